"""The one place that names concrete adapters: from a deploy.yaml to what a pass is given."""

from __future__ import annotations

import getpass
import importlib
import os
import platform
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, cast

from pydantic import SecretStr

from reconciler.adapters.desired.load import load_deploy
from reconciler.adapters.desired.sources import read_sources, read_template, values_path
from reconciler.adapters.env.dotenv import parse_dotenv
from reconciler.adapters.env.values import load_values, render_env
from reconciler.adapters.git.run import GitFailed, GitMissing, git
from reconciler.adapters.host.target import Settings, TargetHost
from reconciler.cycle.context import TargetContext
from reconciler.model.deploy import Deploy
from reconciler.model.env import EnvValues
from reconciler.model.errors import EnvError, ReconcilerError
from reconciler.model.sources import SourceTree
from reconciler.model.stored import ServiceFacts
from reconciler.model.target import Target
from reconciler.ports import Credentials, Gate, Transport
from reconciler.telemetry.log import RedactorHolder
from reconciler.telemetry.redact import Redactor

if TYPE_CHECKING:
    from reconciler.adapters.engine.engine import DockerEngine
    from reconciler.adapters.records.store import RecordDirectory

T = TypeVar("T")

CONNECT_TIMEOUT = 10.0
"""Seconds to a login."""
PASSWORD_TIMEOUT = 60.0
"""Seconds for a command that prints a registry password."""


@dataclass(slots=True)
class Interrupt:
    """Whether a person asked to end (Ctrl-C, SIGTERM)."""

    event: threading.Event = field(default_factory=threading.Event)

    def __call__(self) -> bool:
        return self.event.is_set()


@dataclass(slots=True)
class TargetInterrupt:
    """Implements `cycle.context.Interruption`: each target answers a request for itself."""

    asked: Interrupt
    is_answered: bool = False

    def __call__(self) -> bool:
        return not self.is_answered and self.asked()

    def answered(self) -> None:
        self.is_answered = True

    def wait(self, seconds: float) -> None:
        """Sleeps, and ends early at a request that isn't answered yet."""
        if self.is_answered:
            time.sleep(seconds)
        else:
            self.asked.event.wait(seconds)


class SystemClock:
    """Real time. A sleep ends early at an interrupt."""

    def __init__(self, interrupt: TargetInterrupt) -> None:
        self._interrupt = interrupt

    def now(self) -> datetime:
        return datetime.now(UTC)

    def monotonic(self) -> float:
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        self._interrupt.wait(seconds)


class Mask:
    """Implements `cycle.context.Masker` over the redactor in force. `public` as in Redactor."""

    def __init__(self, holder: RedactorHolder, public: str) -> None:
        self._holder = holder
        self._public = public

    def text(self, text: str) -> str:
        return self._holder.current.text(text)

    def quoted(self, text: str) -> str:
        return self._holder.current.strict().text(text)

    def learn(self, env: bytes) -> None:
        try:
            entries = parse_dotenv(env.decode("utf-8", "replace"), file=".env on the target")
        except EnvError:
            return  # somebody edited it: what can't be parsed can't be masked key by key
        values = {entry.key: entry.value for entry in entries if entry.key != "TAG"}
        self._holder.set_redactor(Redactor(values, public=self._public))


@dataclass(frozen=True, slots=True)
class Desk:
    """The controller's side: one deploy.yaml, its sources and its records.

    `public` is deploy.yaml's own text: an env value that stands in it is no secret, and masking it wherever it occurs
    (the app's name, a port) would make every message unreadable.
    """

    file: Path
    deploy: Deploy
    redactor: RedactorHolder
    interrupt: Interrupt
    public: str = ""

    @classmethod
    def open(cls, file: Path, redactor: RedactorHolder, interrupt: Interrupt) -> Desk:
        """Reads and checks deploy.yaml. Raises DesiredStateError."""
        return cls(file, load_deploy(file), redactor, interrupt, file.read_text(encoding="utf-8", errors="replace"))

    def records(self) -> RecordDirectory:
        """Where run records are."""
        from reconciler.adapters.records.store import RecordDirectory

        spec = self.deploy.records
        return RecordDirectory(self.file.parent / Path(spec.dir), commit=spec.commit)

    def sources(self) -> SourceTree:
        """The files of the release. Raises DesiredStateError."""
        return read_sources(self.deploy, self.file)

    def env(self) -> EnvValues:
        """The checked values; from here on they are masked everywhere. Raises EnvError and DesiredStateError."""
        spec = self.deploy.env
        template = read_template(self.deploy, self.file)
        values = load_values(values_path(self.deploy, self.file), template, template_file=str(spec.template or ""))
        self.redactor.set_redactor(Redactor(values.secrets(), public=self.public))
        return values

    @contextmanager
    def contexts(self, names: Sequence[str], say: Callable[[str, str], None]) -> Iterator[list[TargetContext]]:
        """What a pass over each of the targets `names` is given; their connections end with the block.

        Nothing connects yet. Raises DesiredStateError and EnvError.
        """
        env = self.env()
        sources = _once(self.sources)
        commit = _once(lambda: commit_of(self.file))
        records = cast("RecordDirectory", _Later(self.records))
        made: list[tuple[TargetContext, Transport]] = []
        try:
            for name in names:
                made.append(self._context(name, env, sources, commit, records, say))
            # The docker library takes 0.13 s to import: that time is spent while the targets answer.
            threading.Thread(target=_warm, daemon=True).start()
            yield [context for context, _ in made]
        finally:
            for _, transport in made:
                transport.close()

    def _context(
        self,
        name: str,
        env: EnvValues,
        sources: Callable[[], SourceTree],
        commit: Callable[[], str | None],
        records: RecordDirectory,
        say: Callable[[str, str], None],
    ) -> tuple[TargetContext, Transport]:
        target = self.deploy.targets[name]
        transport = transport_to(name, target)
        engine = cast("DockerEngine", _Later(lambda: _docker_engine(transport, target.docker_host)))
        host = TargetHost(
            transport,
            Settings(
                where=name,
                deploy_dir=target.deploy_dir,
                app=self.deploy.app,
                project=self.deploy.project_of(name),
                writable=tuple(str(path) for path in self.deploy.writable),
                docker_host=target.docker_host,
            ),
        )
        interrupt = TargetInterrupt(self.interrupt)
        clock = SystemClock(interrupt)
        mask = Mask(self.redactor, self.public)

        def gates(services: Mapping[str, ServiceFacts], since: datetime) -> Sequence[Gate]:
            from reconciler.adapters.gates.build import GateContext, gates_for

            return gates_for(
                self.deploy.gates,
                GateContext(
                    transport=transport,
                    engine=engine,
                    project=self.deploy.project_of(name),
                    expected=services,
                    since=since,
                    clock=clock,
                    redact=mask.text,
                    deploy_dir=str(target.deploy_dir),
                ),
            )

        context = TargetContext(
            name=name,
            deploy=self.deploy,
            target=target,
            sources=sources,
            env=env,
            delivered_env=render_env(env, {"TAG": self.deploy.tag}),
            commit=commit,
            host=host,
            engine=engine,
            gates=gates,
            credentials=self._credentials(),
            clock=clock,
            mask=mask,
            records=records,
            say=lambda text: say(name, text),
            interrupted=interrupt,
            who=controller(),
        )
        return context, transport

    def _credentials(self) -> Credentials | None:
        spec = self.deploy.image.credentials
        if spec is None:
            return None

        @cache
        def password() -> str:
            if spec.password.env is not None:
                found = os.environ.get(spec.password.env)
                if found is None:
                    raise EnvError(f"image.credentials.password.env: {spec.password.env} isn't set in the environment")
            else:
                found = _printed(spec.password.command)
            self.redactor.set_redactor(Redactor(others=[SecretStr(found)]))
            return found

        return Credentials(spec.username, password)


def transport_to(name: str, target: Target) -> Transport:
    """The way to a target; it connects at its first use."""
    if target.is_local:
        from reconciler.adapters.transport.local import LocalTransport

        return LocalTransport(sudo=target.sudo)
    from reconciler.adapters.transport.ssh import SshTransport
    from reconciler.adapters.transport.ssh_settings import SshSettings

    return SshTransport(
        SshSettings(
            host=target.host,
            port=target.port,
            user=target.user,
            identity_file=Path(target.identity_file).expanduser() if target.identity_file else None,
            known_hosts=Path(target.known_hosts).expanduser() if target.known_hosts else None,
            connect_timeout=CONNECT_TIMEOUT,
            sudo=target.sudo,
            label=name,
        )
    )


def commit_of(file: Path) -> str | None:
    """The commit that `file` is at, with `-dirty` where the working tree has changes; None without git or commits."""
    try:
        said = git(["describe", "--always", "--dirty", "--abbrev=40", "--exclude", "*"], file.resolve().parent)
    except (GitFailed, GitMissing):
        return None
    return said.decode("ascii", "replace").strip() or None


@cache
def controller() -> str:
    """Who runs this and from where, for locks and records."""
    try:
        user = getpass.getuser()
    except (ImportError, KeyError, OSError):
        user = "?"
    return f"{user}@{platform.node() or '?'} (process {os.getpid()})"


def _printed(command: Sequence[str]) -> str:
    try:
        done = subprocess.run(list(command), capture_output=True, timeout=PASSWORD_TIMEOUT, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise EnvError(
            f"image.credentials.password.command: {command[0]} can't be run: {type(error).__name__}"
        ) from None
    first = done.stdout.decode("utf-8", "replace").splitlines()[:1]
    if done.returncode != 0 or not first:
        raise EnvError(
            f"image.credentials.password.command: {command[0]} ended with {done.returncode} and gave no password"
        )
    return first[0]


def _warm() -> None:
    importlib.import_module("reconciler.adapters.engine.engine")


def _docker_engine(transport: Transport, docker_host: str) -> DockerEngine:
    from reconciler.adapters.engine.engine import DockerEngine

    return DockerEngine(transport, docker_host)


class _Later:
    """Stands for an object that is made at its first use."""

    def __init__(self, make: Callable[[], object]) -> None:
        self._get = _once(make)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._get(), name)


def _once(make: Callable[[], T]) -> Callable[[], T]:
    """`make`, called at most once, from whatever thread comes first; an error is raised again for each."""
    lock = threading.Lock()
    made: list[T | ReconcilerError] = []

    def get() -> T:
        with lock:
            if not made:
                try:
                    made.append(make())
                except ReconcilerError as error:
                    made.append(error)
        if isinstance(made[0], ReconcilerError):
            raise made[0]
        return made[0]

    return get
