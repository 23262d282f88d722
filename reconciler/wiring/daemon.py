"""From the deploy.yaml that the daemon was started with to a daemon: its source, its outbox, its settings."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, cast

from reconciler import __version__
from reconciler.adapters.desired.tag_line import tag_in
from reconciler.adapters.git.clone import Clone
from reconciler.adapters.git.worktree import find_top
from reconciler.adapters.records.outbox import PushedRecords, forget_unwritten
from reconciler.adapters.records.queue import Queue
from reconciler.adapters.records.shelf import RecordShelf
from reconciler.adapters.records.store import RecordDirectory
from reconciler.adapters.secret import secret_of
from reconciler.cycle.context import RecordStore, TargetContext
from reconciler.daemon.commit_status import KIND, CommitStatuses
from reconciler.daemon.meter import Meter
from reconciler.daemon.notify import Notifier
from reconciler.daemon.pages.site import Pages
from reconciler.daemon.revision import Connection, Revision
from reconciler.daemon.service import Service
from reconciler.daemon.source import Checkout, Followed, Memory, Source
from reconciler.daemon.web import App, Server, Site
from reconciler.daemon.webhooks import Webhooks
from reconciler.dataclass import dataclass
from reconciler.model.deploy import Deploy
from reconciler.model.errors import DesiredStateError, ReconcilerError
from reconciler.ports import Transport, Watch
from reconciler.telemetry.live import LiveMetrics
from reconciler.wiring.desk import Desk, Work, transport_to
from reconciler.wiring.notify import commit_statuses, notifier
from reconciler.wiring.outbox import WiredOutbox, path_in, records_in, remote_of

if TYPE_CHECKING:
    from reconciler.adapters.engine.reader import Reader

ENGINE_TIMEOUT = 30.0
"""Seconds for an answer of an engine that is only looked at."""


@dataclass(frozen=True, slots=True)
class WiredConnection:
    """Implements `daemon.revision.Connection`."""

    transport: Transport
    reader: Reader
    watch: Watch

    def close(self) -> None:
        self.watch.close()
        self.reader.close()
        self.transport.close()


@dataclass(frozen=True, slots=True)
class WiredRevision:
    """Implements `daemon.revision.Revision`."""

    work: Work
    commit: str | None
    fingerprint: str

    @property
    def deploy(self) -> Deploy:
        return self.work.desk.deploy

    def connect(self, name: str) -> WiredConnection:
        from reconciler.adapters.engine.reader import Reader
        from reconciler.adapters.engine.watch import ProjectWatch

        target = self.deploy.targets[name]
        transport = transport_to(name, target)
        try:
            reader = Reader(transport, target.docker_socket, ENGINE_TIMEOUT)
            watch = ProjectWatch(transport, target.docker_host, self.deploy.project_of(name), reader)
        except BaseException:
            transport.close()
            raise
        return WiredConnection(transport, reader, watch)

    def on(self, name: str, connection: Connection, say: Callable[[str], None]) -> TargetContext:
        way = cast("WiredConnection", connection)
        return self.work.on(name, way.transport, say, reader=way.reader)


@dataclass(frozen=True, slots=True)
class Followers:
    """What follows the desired state: where it comes from, where records go (None: they stay where they are), and where
    those that are on this side are read."""

    source: Source
    outbox: WiredOutbox | None
    shelf: RecordShelf


@dataclass(frozen=True, slots=True)
class Wired:
    """A daemon that hasn't begun yet; it listens already, on `address`."""

    service: Service
    server: Server
    address: str
    tellers: tuple[Notifier | CommitStatuses, ...] = ()
    """They begin before the service, and end after it."""


def daemon(desk: Desk, *, accept: str | None = None) -> Wired:
    """The daemon that `desk`'s deploy.yaml asks for. `accept` is a commit that a person vouches for.

    Raises DesiredStateError, EnvError and ReconcilerError.
    """
    spec = desk.deploy
    follows = followers(desk, accept=accept)
    secrets = _webhook_secrets(desk)
    metrics = LiveMetrics(__version__, started_at=time.time())
    tellers = _tellers(desk, metrics)
    service = Service(
        follows.source,
        follows.outbox,
        every=spec.git.every,
        grace=spec.git.grace,
        push_every=spec.records.push_every,
        listeners=(Meter(metrics, follows.outbox, secrets), *tellers),
    )
    pages = Pages(service.board, follows.shelf, lambda text: desk.redactor.current.text(text))
    token = spec.daemon.token
    site = Site(
        is_alive=service.is_alive,
        is_ready=service.is_ready,
        metrics=metrics.exposition,
        page=pages.answer,
        webhooks=Webhooks(secrets, service.wake),
        token=secret_of(token, "daemon.token", desk.own_directory, desk.learn) if token else None,
        count=metrics.webhook,
    )
    host, _, port = spec.daemon.listen.rpartition(":")
    server = Server(App(site), host, int(port))
    return Wired(service, server, f"http://{host}:{server.port}", tellers)


def _tellers(desk: Desk, metrics: LiveMetrics) -> tuple[Notifier | CommitStatuses, ...]:
    spec = desk.deploy.notify
    tellers: list[Notifier | CommitStatuses] = []
    if spec.urls is not None:
        metrics.expect_notifications(event.value for event in spec.events)
        tellers.append(notifier(desk, state_dir(desk), grace=spec.grace, count=metrics.notified))
    if statuses := commit_statuses(desk, state_dir(desk), count=metrics.notified):
        metrics.expect_notifications((KIND,))
        tellers.append(statuses)
    return tuple(tellers)


def _webhook_secrets(desk: Desk) -> Mapping[str, str]:
    spec = desk.deploy.daemon.webhooks
    named = {"github": spec.github, "gitlab": spec.gitlab, "gitea": spec.gitea}
    return {
        forge: secret_of(secret, f"daemon.webhooks.{forge}", desk.own_directory, desk.learn)
        for forge, secret in named.items()
        if secret is not None
    }


def followers(desk: Desk, *, accept: str | None = None) -> Followers:
    """What the daemon that was started with `desk` follows. `accept` is a commit that a person vouches for.

    Raises DesiredStateError, EnvError and ReconcilerError.
    """
    git = desk.deploy.git
    if git.url is None:
        if accept is not None:
            raise ReconcilerError("--accept goes with `git.url`: here the checkout counts, as it lies there")
        here = RecordShelf(lambda: [desk.file.parent / Path(desk.deploy.records.dir)])
        return Followers(Checkout(lambda: _revision(desk.reopened(desk.file), None, None)), None, here)
    state = state_dir(desk)
    top = find_top(desk.file.parent.resolve())
    path = git.path or path_in(top, desk.file)
    signers = Path(git.require_signed).expanduser() if git.require_signed else None
    clone = Clone(state / "clone", remote_of(desk), git.branch, signers)
    memory = Memory(state / "accepted.json")
    if accept is not None:
        clone.fetch()
        memory.accept(clone.resolve(accept))
    into = records_in(path, desk.deploy)
    queue = Queue(state / "unpushed")
    forget_unwritten(queue, state / "records")
    wanted = desk.deploy.records.push
    records = RecordDirectory(state / "records", commit=False, queue=queue if wanted else None)
    pushed = PushedRecords(
        clone, queue, state / "records", into=into, branch=desk.deploy.records.branch, deploy_file=path, state=state
    )
    committed: list[Path] = []

    def tag_at(commit: str) -> str:
        try:
            return tag_in((clone.read(commit, str(path)) or b"").decode("utf-8", "replace"))
        except DesiredStateError:
            return ""

    def open_at(file: Path, commit: str, superseded: tuple[str, ...]) -> Revision:
        revision = _revision(desk.reopened(file), commit, records, superseded)
        committed[:] = _records_of(file.parents[len(path.parts) - 1], into)
        return revision

    source = Followed(
        clone,
        memory,
        open_at,
        tag_at,
        branch=git.branch,
        path=path,
        records=into,
        signed=signers is not None,
    )
    outbox = WiredOutbox(pushed) if wanted or desk.deploy.rollback.write_back else None
    return Followers(source, outbox, RecordShelf(lambda: [state / "records", *committed]))


def _records_of(tree: Path, into: PurePosixPath) -> list[Path]:
    """The directory of the records in a commit's tree, unless the commit leads out of it: whoever may commit may not
    read what else is here."""
    directory = tree / into
    return [directory] if directory.resolve() == tree.resolve() / into else []


def state_dir(desk: Desk) -> Path:
    """Where the daemon keeps what it must not lose. Source: systemd.exec(5), "StateDirectory"; the XDG directories."""
    if desk.deploy.daemon.state_dir is not None:
        return desk.file.parent.resolve() / Path(desk.deploy.daemon.state_dir).expanduser()
    if given := os.environ.get("STATE_DIRECTORY"):
        return Path(given.partition(":")[0])
    base = os.environ.get("XDG_STATE_HOME") or "~/.local/state"
    return Path(base).expanduser() / "reconciler" / desk.deploy.app


def _revision(
    desk: Desk, commit: str | None, records: RecordStore | None, superseded: tuple[str, ...] = ()
) -> Revision:
    work = replace(desk.work(records, commit), superseded=superseded)
    digest = hashlib.sha256(f"{commit}\0{desk.public}".encode())
    if commit is None:  # the files of a commit are what they are; those of a checkout are read each time
        tree = work.sources()
        for file in tree.files:
            digest.update(f"\0{file.path}\0{file.mode}\0".encode() + file.data)
    for entry in sorted(work.env.entries, key=lambda each: each.key):
        digest.update(f"\0{entry.key}\0{entry.value.get_secret_value()}".encode())
    return WiredRevision(work, commit or work.commit(), digest.hexdigest())
