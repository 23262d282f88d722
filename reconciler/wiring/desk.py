"""From a deploy.yaml to what a pass over its targets is given."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, cast

from reconciler.adapters.controller import Interrupt, SystemClock, TargetInterrupt, controller
from reconciler.adapters.desired.load import load_deploy
from reconciler.adapters.desired.sources import read_sources
from reconciler.adapters.env.mask import Mask, redactor_of
from reconciler.adapters.env.password import registry_login
from reconciler.adapters.env.place import EnvPlace
from reconciler.adapters.env.values import render_env
from reconciler.adapters.git.commit import commit_of
from reconciler.adapters.git.worktree import find_top
from reconciler.adapters.host.held_lock import LONGEST_BEAT
from reconciler.adapters.host.scripts import Settings
from reconciler.adapters.host.target import TargetHost
from reconciler.cycle.context import RecordStore, TargetContext
from reconciler.dataclass import dataclass
from reconciler.later import Later, once
from reconciler.model.deploy import Deploy
from reconciler.model.env import EnvValues
from reconciler.model.errors import PreflightFailed
from reconciler.model.measure import Subject
from reconciler.model.release import Rendering
from reconciler.model.sources import SourceTree
from reconciler.model.stored import ServiceFacts
from reconciler.model.target import Target
from reconciler.ports import Credentials, Gate, Transport
from reconciler.telemetry.log import RedactorHolder
from reconciler.telemetry.redact import Redactor

if TYPE_CHECKING:
    from pydantic import SecretStr

    from reconciler.adapters.engine.engine import DockerEngine
    from reconciler.adapters.engine.reader import Reader
    from reconciler.adapters.env.desk import EnvDesk
    from reconciler.adapters.records.queue import Queue
    from reconciler.adapters.records.store import RecordDirectory
    from reconciler.core.windows import Recurring

CONNECT_TIMEOUT = 10.0
"""Seconds to a login."""


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
    private: Path | None = None
    trusted: Desk | None = None
    """Whose env values count, where this commit isn't trusted with that (`wiring.trusted`)."""

    @classmethod
    def open(cls, file: Path, redactor: RedactorHolder, interrupt: Interrupt, *, private: Path | None = None) -> Desk:
        """Reads and checks deploy.yaml. Raises DesiredStateError."""
        deploy = load_deploy(file)  # whatever can't be read is refused here
        return cls(file, deploy, redactor, interrupt, file.read_text(encoding="utf-8", errors="replace"), private)

    @property
    def own_directory(self) -> Path:
        """Where files lie that git doesn't bring: what relative paths of secrets begin at."""
        return self.private or self.file.parent.resolve()

    def reopened(self, file: Path) -> Desk:
        """Another deploy.yaml, or the same one again, at the same desk: files that git doesn't bring stay where they
        are. Raises DesiredStateError."""
        return Desk.open(file, self.redactor, self.interrupt, private=self.own_directory)

    def records(self) -> RecordDirectory:
        """Where run records are."""
        from reconciler.adapters.records.store import RecordDirectory

        spec = self.deploy.records
        return RecordDirectory(self.file.parent / Path(spec.dir), commit=spec.commit, queue=self._queue())

    def _queue(self) -> Queue | None:
        """Where records wait to be pushed, in a checkout."""
        top = find_top(self.file.parent.resolve()) if self.deploy.records.push else None
        if top is None:
            return None
        from reconciler.adapters.records.queue import Queue
        from reconciler.wiring.outbox import private_dir

        return Queue(private_dir(top) / "unpushed")

    def sources(self) -> SourceTree:
        """The files of the release. Raises DesiredStateError."""
        return read_sources(self.deploy, self.file)

    def env(self) -> EnvValues:
        """The checked values; from here on they are masked everywhere. Raises EnvError and DesiredStateError."""
        if self.trusted is not None:
            return self.trusted.env()
        values = EnvPlace.of(self.deploy, self.file, self.private).values()
        self.redactor.set_redactor(redactor_of(values.secrets(), text=self.public, public=values.public))
        return values

    def env_desk(self) -> EnvDesk:
        """What the `env` commands need. Raises DesiredStateError."""
        from reconciler.adapters.env.desk import EnvDesk

        return EnvDesk(EnvPlace.of(self.deploy, self.file, self.private), self.deploy.tag, self.public, self.redactor)

    def render_here(self, sources: SourceTree, env: EnvValues) -> Rendering:
        """The Compose model as this machine's Compose resolves it, for the first target.

        Raises TargetUnfit where there is no Compose v2 here, and PreflightFailed where it refuses the model.
        """
        from reconciler.adapters.host.local_compose import render_locally

        delivered = render_env(env, {"TAG": self.deploy.tag})
        project = self.deploy.project_of(next(iter(self.deploy.targets)))
        try:
            return render_locally(sources, delivered, tag=self.deploy.tag, project=project)
        except PreflightFailed as error:
            raise PreflightFailed(self.redactor.current.strict().text(str(error))) from None

    @contextmanager
    def contexts(
        self, names: Sequence[str], say: Callable[[str, str], None], *, patience: float = 0.0
    ) -> Iterator[list[TargetContext]]:
        """What a pass over each of the targets `names` is given; their connections end with the block. `patience` is
        how many seconds one waits for another pass.

        Nothing connects yet. Raises DesiredStateError and EnvError.
        """
        work = self.work()
        made: list[Transport] = []
        try:
            contexts = []
            for name in names:
                made.append(transport_to(name, self.deploy.targets[name]))
                contexts.append(work.on(name, made[-1], partial(say, name), patience=patience))
            yield contexts
        finally:
            for transport in made:
                transport.close()

    def work(self, records: RecordStore | None = None, commit: str | None = None) -> Work:
        """What passes share from here on; `records` and `commit` where the files lie in no checkout of a person.

        Raises DesiredStateError and EnvError.
        """
        return Work(
            desk=self,
            env=self.env(),
            sources=once(self.sources),
            commit=once(lambda: commit or commit_of(self.file)),
            records=records or cast("RecordStore", Later(self.records)),
            windows=self.windows(),
        )

    def windows(self) -> Sequence[Recurring]:
        """When a release may be switched to. Raises DesiredStateError."""
        if not self.deploy.windows:
            return ()
        from reconciler.adapters.cron import windows_of

        return windows_of(self.deploy, self.file)

    def credentials(self) -> Credentials | None:
        """The login at the registry, where deploy.yaml names one."""
        spec = self.deploy.image.credentials
        if spec is None:
            return None
        return registry_login(spec, self.learn)

    def learn(self, secret: SecretStr) -> None:
        """Masks it from now on."""
        self.redactor.set_redactor(Redactor(others=[secret]))


@dataclass(frozen=True, slots=True)
class Work:
    """One desired state with its checked values: what passes over its targets share."""

    desk: Desk
    env: EnvValues
    sources: Callable[[], SourceTree]
    commit: Callable[[], str | None]
    records: RecordStore
    windows: Sequence[Recurring]
    superseded: tuple[str, ...] = ()

    def on(
        self,
        name: str,
        transport: Transport,
        say: Callable[[str], None],
        *,
        patience: float = 0.0,
        reader: Reader | None = None,
    ) -> TargetContext:
        """What one pass over the target `name` is given; `reader` where there is one to its engine. Nothing connects
        yet."""
        deploy, env = self.desk.deploy, self.env
        target = deploy.targets[name]
        host = TargetHost(
            transport,
            Settings(
                where=name,
                deploy_dir=target.deploy_dir,
                app=deploy.app,
                project=deploy.project_of(name),
                writable=tuple(str(path) for path in deploy.writable),
                docker_host=target.docker_host,
                keeps_values=deploy.env.delivery == "file",
                heartbeat=min(LONGEST_BEAT, deploy.rollback.watchdog / 4),
            ),
            connect=lambda: transport_to(name, target),
        )
        engine = cast("DockerEngine", Later(lambda: _docker_engine(transport, target, host, reader)))
        interrupt = TargetInterrupt(self.desk.interrupt, deploy.timeouts.whole_pass)
        clock = SystemClock(interrupt)
        mask = Mask(self.desk.redactor, self.desk.public, env.public)

        def gates(services: Mapping[str, ServiceFacts], since: datetime, subject: Subject) -> Sequence[Gate]:
            from reconciler.adapters.gates.build import GateContext, gates_for
            from reconciler.adapters.gates.names import Names

            return gates_for(
                deploy.gates,
                GateContext(
                    transport=transport,
                    engine=engine,
                    project=deploy.project_of(name),
                    expected=services,
                    since=since,
                    clock=clock,
                    redact=mask.text,
                    deploy_dir=str(target.deploy_dir),
                    names=Names(deploy.app, name, subject),
                    learn=self.desk.learn,
                    desk=self.desk.own_directory,
                ),
            )

        return TargetContext(
            name=name,
            deploy=deploy,
            target=target,
            sources=self.sources,
            env=env,
            delivered=lambda tag: render_env(env, {"TAG": tag}),
            commit=self.commit,
            host=host,
            engine=engine,
            gates=gates,
            credentials=self.desk.credentials(),
            clock=clock,
            mask=mask,
            records=self.records,
            say=say,
            interrupted=interrupt,
            who=controller(),
            superseded=self.superseded,
            windows=self.windows,
            patience=patience,
        )


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


def _docker_engine(transport: Transport, target: Target, host: TargetHost, reader: Reader | None) -> DockerEngine:
    from reconciler.adapters.engine.engine import DockerEngine

    return DockerEngine(transport, target.docker_host, host, str(target.deploy_dir), reader)
