"""`ops/run_records/`: one file for each run, committed alone."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

from reconciler.adapters.git.run import GitFailed, GitMissing, git
from reconciler.adapters.git.worktree import find_top
from reconciler.adapters.records.markdown import from_markdown, to_markdown
from reconciler.adapters.records.queue import Queue
from reconciler.durable import replace_file
from reconciler.model.errors import ReconcilerError, UsageError
from reconciler.model.record import RunRecord

log = logging.getLogger("reconciler.records")


class RecordDirectory:
    """Implements `cycle.context.RecordStore`, and reads back. Thread-safe: several targets share one."""

    def __init__(self, directory: Path, *, commit: bool, queue: Queue | None = None) -> None:
        """With `commit` each record is committed where it lies; with a `queue` it waits there to be pushed."""
        self._directory = directory
        self._commit = commit
        self._queue = queue
        self._lock = threading.Lock()

    def text(self, record: RunRecord) -> str:
        """The record as Markdown: as it is here already, or as `save` will write it."""
        known = self._find(record.run)
        return known.read_text("utf-8") if known is not None else to_markdown(record)

    def save(self, record: RunRecord) -> tuple[str, str]:
        """Writes a record once, and commits that file alone. A git that fails is said, and undoes nothing."""
        text = to_markdown(record)
        with self._lock:
            known = self._find(record.run)
            if known is not None:
                return str(known), known.read_text("utf-8")
            path = self._directory / f"{record.name}.md"
            self._put(path, text, record, record.verdict)
        return str(path), text

    def _put(self, path: Path, text: str, record: RunRecord, what: str) -> None:
        try:
            if self._queue is not None:
                self._queue.add(path.name)
            _write(path, text)
        except OSError as error:
            log.error("the record %s can't be written here (%s); the target keeps it", path.name, error.strerror)
            return
        if self._commit:
            _committed(path, f"{record.kind.value} {record.tag} on {record.target}: {what} [skip ci]")

    def collect(self, text: str) -> None:
        """Saves a record that the target kept, unless its run is here."""
        self.save(from_markdown(text, name="a record kept on the target"))

    def close(self, text: str, *, at: datetime, repairs: int) -> str:
        """Rewrites the record of an episode that is over; gives its new text, which the target keeps, too."""
        known = from_markdown(text, name="a record kept on the target")
        record = known.model_copy(update={"closed_at": at, "repairs": repairs})
        told = to_markdown(record)
        with self._lock:
            self._put(self._find(record.run) or self._directory / f"{record.name}.md", told, record, "is over")
        return told

    def all(self) -> Iterator[RunRecord]:
        """Every record that can be read, oldest first; one that can't is said and left out."""
        found = []
        for path in self._directory.glob("*.md"):
            try:
                found.append(from_markdown(path.read_text("utf-8"), name=str(path)))
            except (ReconcilerError, OSError, UnicodeDecodeError) as error:
                log.warning("%s", error)
        yield from sorted(found, key=lambda record: (record.started_at, record.run))

    def text_of(self, run: str) -> str:
        """The document of a run, named by its id or its file's name. Raises UsageError where there is none."""
        path = self._find(run.removesuffix(".md").rpartition("/")[2])
        if path is None:
            raise UsageError(f"no record of a run {run} in {self._directory}; `reconcile history` lists them")
        return path.read_text("utf-8")

    @staticmethod
    def parse(text: str, name: str) -> RunRecord:
        """The record in a document. Raises ReconcilerError."""
        return from_markdown(text, name=name)

    def _find(self, run: str) -> Path | None:
        if not run or any(character in run for character in "*?[]/\\"):
            return None
        exact = self._directory / f"{run}.md"
        return exact if exact.is_file() else next(iter(sorted(self._directory.glob(f"*_{run}.md"))), None)


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    replace_file(path, text.encode("utf-8"), mode=0o644)


def _committed(path: Path, message: str) -> None:
    try:
        if find_top(path.parent) is None:
            return
        name = str(path.resolve())
        identity = (
            []
            if _has_identity(path.parent)
            else ["-c", "user.name=reconciler", "-c", "user.email=reconciler@localhost"]
        )
        hookless = ["-c", f"core.hooksPath={os.devnull}"]  # --no-verify leaves prepare-commit-msg and post-commit
        git(["add", "--force", "--", name], path.parent)
        git([*identity, *hookless, "commit", "--quiet", "--no-verify", "-m", message, "--", name], path.parent)
    except GitMissing:
        return
    except GitFailed as error:
        log.warning("the record %s is written and not committed: %s", path.name, error)
        _unstage(path)


def _unstage(path: Path) -> None:
    """During a merge, say, git commits no single file; then the index is the person's again."""
    try:
        git(["rm", "--cached", "--quiet", "--force", "--", str(path.resolve())], path.parent)
    except (GitFailed, GitMissing):
        return  # it wasn't added


def _has_identity(directory: Path) -> bool:
    try:
        return bool(git(["config", "user.email"], directory).strip())
    except GitFailed:
        return False
