"""The part of a target's file system that is ours, reached by small scripts over the transport."""

from __future__ import annotations

import json
import math
import posixpath
import re
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import datetime

from reconciler.adapters.host import answers, archive, guard, housekeeping, logins, sealed, state_file
from reconciler.adapters.host.held_lock import ProcessLock
from reconciler.adapters.host.scripts import MISSING, READ_TIMEOUT, Scripts, Settings, said_by
from reconciler.model.audit import Action
from reconciler.model.engine_socket import socket_path
from reconciler.model.errors import PreflightFailed, ReconcilerError, TargetUnfit
from reconciler.model.housekeeping import Housekeeping
from reconciler.model.observed import ContainerFacts, HostView
from reconciler.model.release import Bundle, ManagedFile, Rendering
from reconciler.model.sources import SourceFile, SourceTree
from reconciler.model.stored import TargetState
from reconciler.model.sweep import SweepReport, Written
from reconciler.model.trace import Login
from reconciler.model.watchdog import Lease, Silence
from reconciler.ports import Completed, RemoteProcess, Stream, Transport
from reconciler.remote import script

MOST_ADOPTED_KB = 64 * 1024
"""KiB of mounted config files that an adoption takes over."""
LOGINS_TIMEOUT = 5.0
"""Seconds for a hint."""
RENDER_TIMEOUT = 120.0
"""Seconds for Compose to resolve a model."""
_UNSET = re.compile(r'The \\?"([^"\\]+)\\?" variable is not set')
"""Compose's warning (its exit code is 0), the same since 2.0."""


class TargetHost:
    """Implements `ports.Host`. Every method raises TargetUnreachable when the connection is lost.

    `connect` gives another way to the same target, which connects at its first use.
    """

    def __init__(self, transport: Transport, settings: Settings, connect: Callable[[], Transport]) -> None:
        self._transport = transport
        self._connect = connect
        self._settings = settings
        self._key: bytes | None = None
        self._revision = 0
        self.scripts = Scripts(transport, settings)

    @property
    def generation(self) -> str | None:
        return self.scripts.generation

    def observe(self, *, files: bool = True) -> HostView:
        how = "audit" if files else "brief"
        return self._view(answers.sections(self.scripts.run("observe", how, *self._settings.writable).stdout))

    def lock(
        self,
        who: str,
        purpose: str,
        *,
        takeover: bool = False,
        patience: float = 0.0,
        waiting: Callable[[str], None] = lambda holder: None,
    ) -> tuple[ProcessLock, HostView]:
        foreign = "adopt" if takeover else "refuse"
        arguments = (who, purpose, foreign, str(math.ceil(patience)), *self._settings.writable)
        process = self._transport.start(self.scripts.command("lock", *arguments))
        found: dict[str, bytes] = {}
        try:
            while "end" not in found:
                head = process.read_line(READ_TIMEOUT + (patience if "waiting" in found else 0.0))
                name, _, length = head.partition(b" ")
                if not length.isdigit():
                    self.scripts.refuse(process.wait(READ_TIMEOUT))
                found[name.decode("ascii", "replace")] = _read_exactly(process, int(length))
                if name == b"waiting" and patience:
                    waiting(said_by(found["waiting"]) or "it has not said who it is")
            self.scripts.generation = found["generation"].decode("ascii")
            return ProcessLock(process, self._settings.heartbeat), self._view(found)
        except BaseException:
            process.close()
            raise

    def render(self, tree: SourceTree, env: bytes, tag: str) -> Rendering:
        project_dir = str(tree.compose[0].parent)
        done = self.scripts.run(
            "render",
            "disk" if self._settings.keeps_values else "memory",
            self._settings.project,
            project_dir,
            *(str(path) for path in tree.compose),
            stdin=archive.sources(tree, project_dir, env),
            timeout=RENDER_TIMEOUT,
            check=False,
        )
        where = self._settings.where
        if done.status == MISSING:
            raise TargetUnfit(f"{where}: {said_by(done.stderr)}")
        private, root, model = (*done.stdout.decode("utf-8", "replace").split("\n", 2), "", "")[:3]
        said = answers.without_directory(said_by(done.stderr), private, posixpath.join(root, project_dir))
        if "remote resource is disabled" in said:
            raise PreflightFailed(
                f"{where}: the Compose files of tag {tag} include one from elsewhere (git or a registry), which may be"
                " another one tomorrow; commit a copy of it"
            )
        if done.status != 0:
            raise PreflightFailed(f"{where}: Compose refuses the model of tag {tag}: {said}")
        if unset := sorted(set(_UNSET.findall(said))):
            raise PreflightFailed(
                f"{where}: the Compose model of tag {tag} uses {', '.join(unset)}, and no env value sets it: Compose"
                " would put an empty string there; set it, write ${NAME:-} where empty is meant, or $$ for a plain $"
            )
        resolved, end = json.JSONDecoder().raw_decode(model)
        services = tuple(model[end:].split())
        return Rendering(
            model=resolved,
            root=root,
            project_dir=project_dir,
            private=private,
            everything=None if services == ("?",) else services,
        )

    def install(self, bundle: Bundle) -> str:
        return sealed.install(self.scripts.change, bundle, self._settings.writable)

    def reseal(self, release: str, expected: str | None) -> str:
        return sealed.reseal(self.scripts.run, self.scripts.change, self._settings.where, release, expected)

    def put_back(self, run: str, actions: Sequence[Action]) -> tuple[str, ...]:
        return sealed.put_back(self.scripts.run, self.scripts.change, self._settings.where, run, actions)

    def read_release(self, release: str) -> Bundle | None:
        found = answers.sections(self.scripts.run("read_release", release).stdout)
        if not {"manifest", "compose", "env"} <= found.keys():
            return None
        manifest = answers.manifest(found["manifest"])
        stored = set(found.get("files", b"").decode().split())
        if not set(manifest.files) <= stored:
            return None
        files = tuple(ManagedFile(sha256=sha, name="", entries=()) for sha in manifest.files)
        return Bundle(manifest=manifest, compose=found["compose"], env=found["env"], files=files)

    def write_state(self, state: TargetState, *, last_good: str | None, last_good_tag: str | None) -> None:
        self._commit(state, last_good or "-", last_good_tag or "-", "-")

    def switch(self, state: TargetState, release: str) -> None:
        self._commit(state, "-", "-", release)

    def arm(self, lease: Lease, *, in_keeper: bool) -> bool:
        settings = self._settings
        words = guard.arguments(
            lease,
            project=settings.project,
            socket=socket_path(settings.docker_host),
            is_home=in_keeper,
            watch=script("watch"),
        )
        done = self.scripts.change("arm", *words, stdin=guard.lines(lease.steps))
        return done.stdout.strip() == b"home keeper"

    def confirm(self, lease: str, *, looks: float | None, lasts: float, silence: Silence) -> None:
        goes_on = "end" if looks is None else "soak"
        words = (lease, goes_on, str(math.ceil(looks or 0)), str(math.ceil(lasts)), silence.value)
        fresh = self._connect()
        try:
            self.scripts.change("confirm", *words, over=fresh)
        finally:
            fresh.close()

    def disarm(self) -> None:
        self.scripts.change("confirm", "any", "end", "0", "0", "-")

    def acknowledge(self) -> None:
        self.scripts.change("acknowledge")

    def compose_up(self, services: Sequence[str], *, timeout: float, model: bytes | None = None) -> Completed:
        source = "file" if model is None else "stdin"
        return self.scripts.change("up", source, *services, stdin=model or b"", timeout=timeout, check=False)

    def save_evidence(self, run: str, containers: Sequence[ContainerFacts]) -> str:
        pairs = [part for container in containers for part in (container.id, container.name)]
        self.scripts.change("evidence", run, "whole" if self._settings.keeps_values else "state", *pairs)
        return str(self._settings.deploy_dir / ".reconciler" / "evidence" / run)

    def save_record(self, run: str, text: str) -> None:
        data = text.encode()
        self.scripts.change("record", run, str(len(data)), stdin=data)

    def read_record(self, run: str) -> str | None:
        found = answers.sections(self.scripts.run("read_record", run).stdout)
        return found["record"].decode("utf-8", "replace") if "record" in found else None

    def prune(self, releases: Sequence[str], files: Sequence[str]) -> None:
        names = [f"releases/{name}" for name in releases] + [f"files/{name}" for name in files]
        self.scripts.change("prune", str(self._settings.retained_records), *names)

    def sweep(self, rules: Housekeeping, *, holder: str | None) -> SweepReport:
        return housekeeping.sweep(self.scripts.change if holder else self.scripts.run, rules, holder=holder)

    def written(self, areas: Sequence[str]) -> tuple[Written, ...]:
        return housekeeping.written(self.scripts.run, areas)

    def render_here(self, config_files: Sequence[str]) -> Rendering:
        done = self.scripts.run(
            "render_here", self._settings.project, *config_files, timeout=RENDER_TIMEOUT, check=False
        )
        if done.status == MISSING:
            raise TargetUnfit(f"{self._settings.where}: {said_by(done.stderr)}")
        if done.status != 0:
            raise PreflightFailed(f"{self._settings.where}: Compose refuses {config_files[0]}: {said_by(done.stderr)}")
        return Rendering(model=json.loads(done.stdout), root=str(self._settings.deploy_dir), project_dir=".")

    def fetch(self, paths: Sequence[str]) -> tuple[SourceFile, ...]:
        if not paths:
            return ()
        done = self.scripts.run("fetch", str(MOST_ADOPTED_KB), *paths, timeout=RENDER_TIMEOUT)
        return archive.unpacked(done.stdout) if done.stdout else ()

    def logins_at(self, when: datetime) -> tuple[Login, ...]:
        with suppress(ReconcilerError):  # only a hint: what makes the target unreadable shows at the next call
            done = self.scripts.run("logins", timeout=LOGINS_TIMEOUT, check=False)
            return logins.logins_at(answers.sections(done.stdout), when)
        return ()

    def _commit(self, state: TargetState, last_good: str, last_good_tag: str, current: str) -> None:
        if self._key is None:
            raise RuntimeError("the state is written under the lock, which tells the key")
        data = state_file.encoded(state.model_dump_json(indent=1).encode(), self._key, self._revision + 1)
        self.scripts.change("commit", str(len(data)), last_good, last_good_tag, current, stdin=data)
        self._revision += 1

    def _view(self, found: dict[str, bytes]) -> HostView:
        settings = self._settings
        chosen = answers.chosen_state(found)
        self._key, self._revision = chosen.key, max(self._revision, chosen.revision)
        return answers.view(
            found,
            chosen,
            app=settings.app,
            project=settings.project,
            deploy_dir=str(settings.deploy_dir),
            writable=settings.writable,
        )

    def dial_engine(self, what: str, timeout: float) -> Stream:
        """A stream to the engine's socket for requests that change something; `what` is for the journal."""
        socket = socket_path(self._settings.docker_host)
        return self._transport.dial(self.scripts.fenced("engine", socket, what), timeout=timeout)

    def start_pull(self, reference: str) -> RemoteProcess:
        """`docker pull` on the target, with the login of its user."""
        socket = socket_path(self._settings.docker_host)
        return self._transport.start(self.scripts.fenced("pull", socket, reference))


def _read_exactly(process: RemoteProcess, length: int) -> bytes:
    """`length` bytes that may span lines, and the newline after them."""
    data = process.read_line(READ_TIMEOUT)
    while len(data) < length:
        data += b"\n" + process.read_line(READ_TIMEOUT)
    return data
