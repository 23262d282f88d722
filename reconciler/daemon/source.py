"""Where the desired state comes from: a branch that is followed, or the checkout that the daemon runs in."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from typing import Protocol

from reconciler.daemon.lineage import Untrusted, deployable
from reconciler.daemon.revision import Revision
from reconciler.durable import replace_file
from reconciler.model.errors import DesiredStateError, EnvError, ReconcilerError
from reconciler.ports import Repository

MOST_LOOKED_AT = 200
"""Commits between two fetches that are looked through for tags that never ran."""


class Source(Protocol):
    """Gives the desired state. `poll` may take as long as a fetch; one thread at a time calls it."""

    def poll(self) -> Revision:
        """The desired state now. Raises a ReconcilerError where it can't be had, or must not be believed."""

    def resume(self) -> Revision | None:
        """The one that was deployed last, without the network; None where that isn't known."""

    @property
    def refused(self) -> str | None:
        """The commit about which the last `poll` raised; None where it was about none."""


class Memory:
    """Which commit was accepted last, on the disk: a branch that is rewritten while the daemon is down is noticed."""

    def __init__(self, file: Path) -> None:
        self._file = file

    @property
    def accepted(self) -> str | None:
        """None: none so far. Raises ReconcilerError for a file that can't be read: guessing would trust anything."""
        try:
            return str(json.loads(self._file.read_text("utf-8"))["commit"])
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise ReconcilerError(
                f"{self._file} says which commit was deployed last, and can't be read ({type(error).__name__});"
                " look at the branch, then `reconcile run --accept COMMIT`"
            ) from None

    def accept(self, commit: str) -> None:
        """Raises OSError."""
        self._file.parent.mkdir(parents=True, exist_ok=True)
        replace_file(self._file, json.dumps({"commit": commit}).encode())


class Followed:
    """A branch of a repository. `open_at` makes the revision of a tree on the disk at a commit, given the tags that it
    superseded; `path` is deploy.yaml's in it, and `tag_at` the tag that it asks for at a commit ("": none).

    `records` is the directory of the run records, relative to the repository's top: the daemon's own commits change
    nothing else.
    """

    def __init__(
        self,
        repository: Repository,
        memory: Memory,
        open_at: Callable[[Path, str, tuple[str, ...]], Revision],
        tag_at: Callable[[str], str],
        *,
        branch: str,
        path: PurePosixPath,
        records: PurePosixPath,
        signed: bool,
    ) -> None:
        self._repository = repository
        self._memory = memory
        self._open_at = open_at
        self._tag_at = tag_at
        self._branch = branch
        self._path = path
        self._records = records
        self._signed = signed
        self._before: str | None = None
        self.refused: str | None = None

    def poll(self) -> Revision:
        """Raises Untrusted, GitFailed, DesiredStateError and EnvError: then the commit before goes on being desired."""
        self.refused = None
        head, accepted = self._repository.fetch(), self._memory.accepted
        try:
            commit = deployable(
                self._repository, head, accepted, branch=self._branch, signed=self._signed, records=self._records
            )
            revision = self._open(commit, self._superseded(accepted, commit))
        except (Untrusted, DesiredStateError, EnvError):
            self.refused = head
            raise
        if commit != accepted:
            self._remember(commit)
        if commit != self._before:
            # A pass that has begun may still read the tree of the one before.
            self._repository.forget_trees({commit, *([self._before] if self._before else [])})
            self._before = commit
        return revision

    def resume(self) -> Revision | None:
        accepted = self._memory.accepted
        if accepted is None or not self._is_here(accepted):
            return None
        return self._open(accepted, ())

    def _open(self, commit: str, superseded: tuple[str, ...]) -> Revision:
        return self._open_at(self._repository.tree(commit) / self._path, commit, superseded)

    def _superseded(self, accepted: str | None, commit: str) -> tuple[str, ...]:
        """The tags that nobody will see run: merged since the last time that we looked, and replaced by then."""
        if accepted is None or accepted == commit:
            return ()
        between = self._repository.between(accepted, commit)[-MOST_LOOKED_AT:]
        ends = {"", self._tag_at(accepted), self._tag_at(commit)}
        return tuple(dict.fromkeys(tag for tag in map(self._tag_at, between) if tag not in ends))

    def _is_here(self, commit: str) -> bool:
        try:
            return self._repository.has(commit)
        except ReconcilerError:
            return False  # there is no clone yet, or it is broken: the next fetch makes one

    def _remember(self, commit: str) -> None:
        try:
            self._memory.accept(commit)
        except OSError as error:
            raise ReconcilerError(f"which commit is deployed can't be written down ({error.strerror})") from error


class Checkout:
    """The files as they lie there; who brings them up to date is somebody else's business."""

    refused = None
    """Whoever looks at a checkout sees what is wrong with it."""

    def __init__(self, open_here: Callable[[], Revision]) -> None:
        self._open = open_here

    def poll(self) -> Revision:
        """Raises DesiredStateError and EnvError."""
        return self._open()

    def resume(self) -> Revision | None:
        return None
