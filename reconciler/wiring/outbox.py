"""What goes back to the repository, from the daemon's clone or from the checkout that a pass ran in."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath

from reconciler.adapters.git.remote import Remote
from reconciler.adapters.git.repository import GitRepository
from reconciler.adapters.git.run import git
from reconciler.adapters.git.worktree import find_top
from reconciler.adapters.records.outbox import PushedRecords, WriteBack
from reconciler.adapters.records.queue import Queue
from reconciler.adapters.secret import secret_of
from reconciler.cycle.result import PassResult
from reconciler.dataclass import dataclass
from reconciler.model.deploy import Deploy
from reconciler.model.errors import ReconcilerError
from reconciler.wiring.desk import Desk

log = logging.getLogger("reconciler.records")


@dataclass(frozen=True, slots=True)
class WiredOutbox:
    """Implements `daemon.service.Outbox`."""

    records: PushedRecords

    def is_empty(self) -> bool:
        return self.records.is_empty()

    def pending(self) -> Mapping[str, int]:
        return self.records.pending()

    def push(self) -> None:
        self.records.push()

    def reverted(self, deploy: Deploy, result: PassResult) -> None:
        past = result.state.releases.get(result.serving or "") if result.state else None
        if not deploy.rollback.write_back or past is None or past.tag == result.tag:
            return
        record = Path(result.record or "").stem
        self.records.write_back(WriteBack(leaving=result.tag, back=past.tag, record=record))


def push_from_checkout(desk: Desk, results: Sequence[PassResult]) -> None:
    """Pushes what `records.push` and `rollback.write_back` ask for after a pass; what can't be pushed waits for the
    next one, and is said."""
    deploy, directory = desk.deploy, desk.file.parent.resolve()
    if not deploy.records.push and not deploy.rollback.write_back:
        return
    top = find_top(directory)
    if top is None:
        log.warning("records.push: %s is in no git repository: nothing is pushed", desk.file)
        return
    try:
        outbox = WiredOutbox(_pushed_from(desk, top))
        for result in results:
            others = [other for other in results if other is not result]
            if result.result == "reverted" and not any(_serves(other, result.tag) for other in others):
                outbox.reverted(deploy, result)
        if not outbox.is_empty():
            outbox.push()
    except (ReconcilerError, OSError) as error:
        log.warning("what was done is recorded here and not pushed, and waits for the next pass: %s", error)


def _pushed_from(desk: Desk, top: Path) -> PushedRecords:
    deploy = desk.deploy
    path = path_in(top, desk.file)
    url = deploy.git.url or git(["remote", "get-url", "--push", "origin"], top).decode().strip()
    state = private_dir(top)
    return PushedRecords(
        GitRepository(top, remote_of(desk, url), deploy.git.branch),
        Queue(state / "unpushed"),
        desk.file.parent.resolve() / Path(deploy.records.dir),
        into=records_in(path, deploy),
        branch=deploy.records.branch,
        deploy_file=path,
        state=state,
    )


def private_dir(top: Path) -> Path:
    """A directory of ours inside of git's own, where nobody commits it. Raises GitFailed."""
    found = git(["rev-parse", "--git-path", "reconciler"], top).decode("utf-8", "surrogateescape").strip()
    return top / found


def records_in(path: PurePosixPath, deploy: Deploy) -> PurePosixPath:
    """The directory of the records in the repository that has deploy.yaml at `path`."""
    return PurePosixPath(os.path.normpath(path.parent / deploy.records.dir))


def _serves(result: PassResult, tag: str) -> bool:
    return result.serving is not None and result.serving.startswith(f"{tag}-")


def remote_of(desk: Desk, url: str | None = None) -> Remote:
    """The remote that `git` names, or `url`, and how one gets in there. Raises EnvError."""
    spec = desk.deploy.git
    return Remote(
        url=url or spec.url or "",
        username=spec.username,
        token=secret_of(spec.token, "git.token", desk.own_directory, desk.learn) if spec.token else None,
        identity_file=Path(spec.identity_file).expanduser() if spec.identity_file else None,
        timeout=spec.timeout,
    )


def path_in(top: Path | None, file: Path) -> PurePosixPath:
    """The path of a file in the repository at `top`; its name alone outside of git."""
    if top is None:
        return PurePosixPath(file.name)
    return PurePosixPath(file.resolve().relative_to(top.resolve()).as_posix())
