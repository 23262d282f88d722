"""Reading run records for pages: the newest of several directories, each document parsed once."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from reconciler.adapters.desired.files import Unreadable, read_regular
from reconciler.adapters.records.markdown import from_markdown
from reconciler.dataclass import dataclass
from reconciler.model.errors import ReconcilerError
from reconciler.model.record import RunRecord

log = logging.getLogger("reconciler.records")

LARGEST = 1024 * 1024
"""Bytes of a document that is read: our own are tens of kilobytes, and anybody may commit one."""
LOOKED_THROUGH = 300
"""Documents, newest first, in which those of a target are looked for."""


@dataclass(frozen=True, slots=True)
class _Kept:
    """`size` (bytes) is the document's: it is written once, and again, longer, when its episode is over. The time of a
    file says nothing: each commit is checked out anew. `record` is None for what isn't one."""

    size: int
    record: RunRecord | None


class RecordShelf:
    """Thread-safe. `directories` gives those to look in, the one that counts first; they need not exist.

    A directory may be of a commit, and so of whoever may commit: no symbolic link is followed out of it.
    """

    def __init__(self, directories: Callable[[], Sequence[Path]]) -> None:
        self._directories = directories
        self._lock = threading.Lock()
        self._kept: dict[str, _Kept] = {}

    def latest(self, target: str, most: int) -> Sequence[RunRecord]:
        """The newest of a target, newest first, without what makes them large."""
        with self._lock:
            files = self._newest()
            self._kept = {path.stem: self._kept[path.stem] for path, _ in files if path.stem in self._kept}
            found: list[RunRecord] = []
            for path, size in files:
                record = self._record(path, size)
                if record is not None and record.target == target:
                    found.append(record)
                    if len(found) == most:
                        break
            return found

    def text(self, name: str) -> str | None:
        """The document of a run, named by its id or its file's name without ending; None where there is none."""
        for path in self._files():
            if path.stem == name or path.stem.partition("_")[2] == name:
                try:
                    return read_regular(path, LARGEST).decode("utf-8", "replace")
                except Unreadable as error:
                    log.warning("%s %s", path, error.what)
        return None

    def _newest(self) -> list[tuple[Path, int]]:
        """Documents and their sizes, each name once. `<kind>_<time>_<four hex digits>` sorts by its time."""
        named: dict[str, Path] = {}
        for path in self._files():
            named.setdefault(path.stem, path)
        newest = sorted(named.values(), key=lambda path: path.stem.partition("_")[2], reverse=True)[:LOOKED_THROUGH]
        return [(path, size) for path in newest if (size := _size(path)) is not None]

    def _files(self) -> Iterator[Path]:
        for directory in self._directories():
            try:
                with os.scandir(directory) as entries:
                    files = [entry.name for entry in entries if entry.is_file(follow_symlinks=False)]
            except OSError:
                continue  # it doesn't exist yet, or the commit that it was of is gone
            yield from (directory / name for name in files if name.endswith(".md"))

    def _record(self, path: Path, size: int) -> RunRecord | None:
        kept = self._kept.get(path.stem)
        if kept is None or kept.size != size:
            kept = self._kept[path.stem] = _Kept(size, _read(path))
        return kept.record


def _size(path: Path) -> int | None:
    try:
        return path.lstat().st_size
    except OSError:
        return None  # gone since the directory was read


def _read(path: Path) -> RunRecord | None:
    """None for what isn't the record that its name says."""
    try:
        record = from_markdown(read_regular(path, LARGEST).decode("utf-8"), name=str(path))
    except (ReconcilerError, Unreadable, UnicodeDecodeError) as error:
        log.warning("%s", error if isinstance(error, ReconcilerError) else f"{path} can't be read as a run record")
        return None
    if record.name != path.stem:
        log.warning("%s says that it is %s", path, record.name)
        return None
    return record.model_copy(update={"measurements": (), "plan": (), "changes": (), "drift": (), "journal": ()})
