"""`ports.Host` and `ports.Engine` over a target in memory: what `TargetHost` and `DockerEngine` do, call by call.

Every call takes its turn first (`Connection.ask`): whoever drives a pass decides there whether it goes on, dies, or
loses the target, and what becomes of the message that it was about to send.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial
from typing import Any

from reconciler.adapters.host import answers, guard, state_file
from reconciler.model.audit import Action, Entry, FileAudit, Kind, Relink, Reseal, Rewrite
from reconciler.model.errors import PreflightFailed
from reconciler.model.housekeeping import Housekeeping
from reconciler.model.observed import ContainerFacts, HostView
from reconciler.model.release import Bundle, Rendering
from reconciler.model.sources import SourceFile, SourceTree
from reconciler.model.stored import Attachment, TargetState
from reconciler.model.sweep import SweepReport, Written
from reconciler.model.trace import Change, Login
from reconciler.model.watchdog import Lease, Silence
from reconciler.ports import Completed, Credentials, Events, Origin, Survey, Usage
from tests.fakes.dock import HAS_PORT, NO_PORT, image_of
from tests.fakes.target import KEY, Held, Message, Steps, Target
from tests.fakes.target import Lease as LeaseThere

APP, WRITABLE, DEPLOY_DIR = "app", ("archives/data",), "/srv/app"
_LINK = 0o777


def _no_turn(_what: str) -> None:
    """Nobody drives."""


@dataclass(eq=False)
class Connection:
    """A pass's way to the target. `lost` makes the error that every further call ends with; `pending` is the message
    that is about to be sent while a call waits for its turn."""

    target: Target
    turn: Callable[[str], None] = _no_turn
    lost: Callable[[], BaseException] | None = None
    generation: int | None = None
    pending: Message | None = None
    held: Held | None = field(default=None, repr=False)

    def ask(self, what: str) -> None:
        """Takes a turn."""
        self.turn(what)
        if self.lost is not None:
            raise self.lost()

    def change(self, name: str, steps: Callable[[], Steps], *words: Any) -> None:
        """Sends a script through the fence. Raises TakenOver."""
        if self.generation is None:
            raise RuntimeError(f"{name} changes the target, and only the lock allows that")
        self.pending = Message(name, self.generation, steps, words)
        self.ask(name)
        message, self.pending = self.pending, None
        self.target.run(message)

    def cut(self, error: Callable[[], BaseException], *, half_open: bool) -> None:
        """The connection is gone; one that is half open leaves the lock for as long as the target hopes."""
        self.lost = error
        if self.held is not None:
            self.held.beats = False
            if not half_open:
                self.target.drop(self.held)


@dataclass
class FakeLock:
    """Implements `ports.HeldLock`."""

    link: Connection

    def release(self) -> None:
        if self.link.held is not None and self.link.lost is None:
            self.link.target.drop(self.link.held)
        self.link.held = None


class FakeHost:
    """Implements `ports.Host` (docstrings there), as `TargetHost` does by its scripts."""

    def __init__(self, link: Connection, model: Callable[[str], dict[str, Any]]) -> None:
        self._link, self._target, self._model = link, link.target, model
        self._revision = 0

    @property
    def generation(self) -> str | None:
        return None if self._link.generation is None else str(self._link.generation)

    def observe(self, *, files: bool = True) -> HostView:
        self._link.ask("observe")
        return self._view(files=files)

    def lock(
        self,
        who: str,
        purpose: str,
        *,
        takeover: bool = False,
        patience: float = 0.0,
        waiting: Callable[[str], None] = lambda holder: None,
    ) -> tuple[FakeLock, HostView]:
        """`lock.sh` with a turn between its steps: a watchdog may act there."""
        link, target = self._link, self._target
        link.ask("lock")
        link.held = target.take(who)
        try:
            link.ask("lock: is the watchdog at work?")
            if target.refuse_to_disturb():
                target.abandon()
            link.ask("lock: next generation")
            link.generation = target.next_generation()
            target.renew()
            target.made, target.holder = True, f"{who}, {purpose}"
            link.ask("lock: observe")
            return FakeLock(link), self._view(files=True)
        except BaseException:
            FakeLock(link).release()
            raise

    def render(self, tree: SourceTree, env: bytes, tag: str) -> Rendering:
        self._link.ask("render")
        model = self._model(tag)
        return Rendering(model=model, root="/tmp/r/1", project_dir=".", everything=tuple(model["services"]))

    def install(self, bundle: Bundle) -> str:
        seal = image_of(bundle.manifest.release)
        self._change("install", lambda: self._target.install(bundle, seal), bundle.manifest.release)
        return seal

    def reseal(self, release: str, expected: str | None) -> str:
        self._link.ask("gather")
        if release not in self._target.releases:
            raise PreflightFailed(f"prod: the sealed copy of {release} can't be made again")
        self._change("seal", lambda: self._target.seal(release, image_of(release)), release)
        return image_of(release)

    def put_back(self, run: str, actions: Sequence[Action]) -> tuple[str, ...]:
        failed = []
        for action in dict.fromkeys(actions):
            match action:
                case Reseal():
                    try:
                        self.reseal(action.release, action.seal)
                    except PreflightFailed as error:
                        failed.append(str(error))
                case Relink(serving=serving, last_good=good, last_good_tag=tag):
                    self._change("relink", partial(self._target.relink, serving, good, tag), serving, good)
                case Rewrite():
                    pass
                case _:
                    raise NotImplementedError(action)
        if failed:
            raise PreflightFailed(f"prod: not everything could be put back: {'; '.join(failed)}")
        return ()

    def read_release(self, release: str) -> Bundle | None:
        self._link.ask("read_release")
        return self._target.releases.get(release)

    def write_state(self, state: TargetState, *, last_good: str | None, last_good_tag: str | None) -> None:
        self._commit(state, last_good, last_good_tag, None)

    def switch(self, state: TargetState, release: str) -> None:
        self._commit(state, None, None, release)

    def arm(self, lease: Lease, *, in_keeper: bool) -> bool:
        about = {
            "mode": lease.mode.value,
            "lease": lease.id,
            "run": lease.run,
            "entering": lease.entering,
            "back": lease.back,
            "seconds": str(math.ceil(lease.seconds)),
            "silence": lease.silence.value,
        }
        steps = tuple(tuple(line.split()) for line in guard.lines(lease.steps).decode().splitlines())
        self._change(
            "arm",
            lambda: self._target.arm(LeaseThere(dict(about), steps, 0.0, 0.0, 0), in_keeper=in_keeper),
            lease.id,
        )
        return not self._target.detached

    def confirm(self, lease: str, *, looks: float | None, lasts: float, silence: Silence) -> None:
        soak = None if looks is None else {"seconds": str(math.ceil(looks)), "silence": silence.value}
        self._change("confirm", lambda: self._target.confirm(lease, soak, math.ceil(lasts)), lease)

    def disarm(self) -> None:
        self._change("confirm", lambda: self._target.confirm("any", None, 0), "any")

    def acknowledge(self) -> None:
        self._change("acknowledge", self._target.acknowledge)

    def compose_up(self, services: Sequence[str], *, timeout: float, model: bytes | None = None) -> Completed:
        said: list[str] = []
        self._change("up", lambda: self._target.up(services, said), *services)
        return Completed(1 if said else 0, b"", "\n".join(said).encode())

    def save_evidence(self, run: str, containers: Sequence[ContainerFacts]) -> str:
        self._change("evidence", self._target.evidence, run)
        return f"{DEPLOY_DIR}/.reconciler/evidence/{run}"

    def save_record(self, run: str, text: str) -> None:
        self._change("record", lambda: self._target.record(run, text), run)

    def read_record(self, run: str) -> str | None:
        self._link.ask("read_record")
        return self._target.records.get(run)

    def prune(self, releases: Sequence[str], files: Sequence[str]) -> None:
        self._change("prune", lambda: self._target.prune(releases), *releases)

    def sweep(self, rules: Housekeeping, *, holder: str | None) -> SweepReport:
        raise NotImplementedError

    def written(self, areas: Sequence[str]) -> tuple[Written, ...]:
        raise NotImplementedError

    def render_here(self, config_files: Sequence[str]) -> Rendering:
        raise NotImplementedError

    def fetch(self, paths: Sequence[str]) -> tuple[SourceFile, ...]:
        raise NotImplementedError

    def logins_at(self, when: datetime) -> tuple[Login, ...]:
        return ()

    def _change(self, name: str, steps: Callable[[], Steps], *words: Any) -> None:
        self._link.change(name, steps, *words)

    def _commit(self, state: TargetState, good: str | None, good_tag: str | None, current: str | None) -> None:
        data = state_file.encoded(state.model_dump_json(indent=1).encode(), KEY, self._revision + 1)
        self._change("commit", lambda: self._target.commit(data, good, good_tag, current), state, current, good)
        self._revision += 1

    def _view(self, *, files: bool) -> HostView:
        target = self._target
        found = {name: text.encode() for name, text in self._lines().items()}
        copies = {"state": target.state, "state_backup": target.backup}
        found |= {name: data for name, data in copies.items() if data is not None}
        for name in ("lease", "reverting", "outcome"):
            lease: LeaseThere | None = getattr(target, name)
            if lease is not None:
                found[name] = lease.text
        if target.current in target.releases:
            found["manifest"] = target.releases[str(target.current)].manifest.model_dump_json().encode()
        chosen = answers.chosen_state(found)
        self._revision = max(self._revision, chosen.revision)
        view = answers.view(found, chosen, app=APP, project=APP, deploy_dir=DEPLOY_DIR, writable=WRITABLE)
        return replace(view, audit=self._audit()) if files and target.made else view

    def _lines(self) -> dict[str, str]:
        target = self._target
        if not target.made:
            return {}
        return {
            "key": KEY.hex(),
            "key_copy": KEY.hex(),
            "holder": target.holder,
            "journal": "\n".join(target.journal[-300:]),
            "current": target.current or "",
            "last_good": target.last_good or "",
            "sealed": "\n".join(f"{name}.seal" for name in target.seals),
            "releases": "\n".join(target.releases),
            "alone": "\n".join(target.outcome.told) if target.outcome else "",
        }

    def _audit(self) -> FileAudit:
        """What `audit.sh` tells of links and seals; the files of a release are always as they were installed."""
        target = self._target
        links = {"last_good": f"releases/{target.last_good}"} if target.last_good else {}
        if target.current:
            links |= {"current": f"releases/{target.current}", ".env": "current/.env"}
            links["compose.yaml"] = "current/compose.yaml"
        top = [Entry(name, Kind.LINK, _LINK, 0, len(to), 0, None) for name, to in links.items()]
        if target.last_good_tag:
            size = len(target.last_good_tag) + 1
            top.append(Entry("last_good_tag", Kind.FILE, 0o444, 0, size, 0, None))
        return FileAudit(
            directory=DEPLOY_DIR,
            writable=WRITABLE,
            seals=dict(target.seals),
            top=tuple(top),
            links=links,
            last_good_tag=target.last_good_tag,
        )


class Silent:
    """Implements `ports.Events`: nothing happens but time."""

    def __init__(self, link: Connection) -> None:
        self._link = link

    def next(self, timeout: float) -> str | None:
        self._link.ask("next event")
        self._link.target.pass_time(timeout)
        return None

    def close(self) -> None:
        """Nothing to end."""


class FakeEngine:
    """Implements `ports.Engine` (docstrings there), as `DockerEngine` does."""

    def __init__(self, link: Connection) -> None:
        self._link, self._dock = link, link.target.dock

    def containers(self, project: str, *, details: bool) -> tuple[ContainerFacts, ...]:
        self._link.ask("containers")
        return self._dock.facts()

    def survey(self, project: str, *, layers: bool, kept: frozenset[str]) -> Survey:
        self._link.ask("survey")
        return Survey(self._dock.facts(), kept - self._dock.keepers)

    def origin(self, project: str) -> Origin | None:
        return None

    def image_id(self, reference: str) -> str | None:
        self._link.ask("image_id")
        wanted = self._dock.registry.get(reference, reference)
        return wanted if wanted in self._dock.images else None

    def missing(self, *, networks: Sequence[str], volumes: Sequence[str]) -> tuple[str, ...]:
        return ()

    def pull(
        self, reference: str, credentials: Credentials | None, progress: Callable[[str], None], *, timeout: float
    ) -> None:
        def steps() -> Steps:
            yield
            if not self._dock.is_pullable or reference not in self._dock.registry:
                raise PreflightFailed(f"prod: {reference} can't be pulled: the registry doesn't answer")
            self._dock.images.add(self._dock.registry[reference])

        self._link.change("pull", steps, reference)

    def remove_image(self, image_id: str) -> None:
        def steps() -> Steps:
            if image_id not in {*self._dock.keepers, *(box.image for box in self._dock.boxes.values())}:
                self._dock.images.discard(image_id)
            yield

        self._link.change("remove image", steps, image_id)

    def logs(self, container_id: str, *, since: datetime, limit: int) -> bytes:
        return b""

    def usage(self, container_id: str) -> Usage:
        raise NotImplementedError

    def events(self, project: str) -> Events:
        self._link.ask("events")
        return Silent(self._link)

    def start(self, container_id: str) -> None:
        self._link.change("start", lambda: self._set(container_id, runs=True), container_id)

    def remove(self, container_id: str, *, stop_timeout: float) -> None:
        def steps() -> Steps:
            yield from self._set(container_id, runs=False)
            self._dock.boxes.pop(container_id, None)

        self._link.change("remove", steps, container_id)

    def stop(self, container_id: str) -> None:
        self._link.change("stop", lambda: self._set(container_id, runs=False), container_id)

    def update(self, container_id: str, limits: Mapping[str, int | str]) -> None:
        raise NotImplementedError

    def connect(self, container_id: str, network: str, attachment: Attachment) -> None:
        raise NotImplementedError

    def disconnect(self, container_id: str, network: str) -> None:
        raise NotImplementedError

    def changes(self, since: datetime) -> tuple[Change, ...]:
        return ()

    def keep(self, project: str, app: str, image_ids: frozenset[str]) -> None:
        def steps() -> Steps:
            yield from self._held(image_ids)
            self._dock.keepers &= image_ids

        self._link.change("keepers", steps)

    def guards(self, project: str) -> bool:
        self._link.ask("guards")
        return bool(self._dock.keepers)

    def add_keepers(self, project: str, app: str, image_ids: frozenset[str]) -> None:
        self._link.change("keepers", lambda: self._held(image_ids))

    def holders(self, port: int) -> tuple[str, ...]:
        self._link.ask("holders")
        return () if self._dock.is_stuck else ("another",)

    def environments(self, project: str) -> Mapping[str, tuple[Mapping[str, str], ...]]:
        return {}

    def disk_root(self) -> str:
        return "/var/lib/docker"

    def _held(self, image_ids: frozenset[str]) -> Steps:
        for image_id in sorted(image_ids - self._dock.keepers):
            if image_id not in self._dock.images:
                raise PreflightFailed(f"prod: image {image_id[:19]} isn't on the target, so nothing can hold it")
            self._dock.keepers.add(image_id)
            yield

    def _set(self, container_id: str, *, runs: bool) -> Steps:
        box = self._dock.boxes.get(container_id)
        if runs and box is not None and box.service == HAS_PORT and self._dock.is_stuck:
            raise PreflightFailed(f"prod: the engine refused (500): {NO_PORT}")
        if box is not None:
            box.runs = runs
        yield
