"""Which records no remote is known to have: names in a directory, on the disk before the records themselves are.

A process that dies between the two leaves a name without a record, which is dropped. One push carries all of them.
"""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path

from reconciler.dataclass import dataclass


@dataclass(frozen=True, slots=True)
class Waiting:
    """A record that waits. `since` tells this addition from a later one of the same record."""

    name: str
    since: str


class Queue:
    """Durable, and thread-safe within a process; a directory has one process."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._lock = threading.Lock()

    def add(self, name: str) -> None:
        """`name` is to be pushed; again, where it was before. Raises OSError."""
        with self._lock:
            self._directory.mkdir(parents=True, exist_ok=True)
            with (self._directory / name).open("w", encoding="ascii") as file:
                file.write(str(time.time_ns()))
                file.flush()
                os.fsync(file.fileno())
            if os.name == "posix":  # elsewhere a directory can't be opened, nor synchronised
                entry = os.open(self._directory, os.O_RDONLY)
                try:
                    os.fsync(entry)
                finally:
                    os.close(entry)

    def all(self) -> tuple[Waiting, ...]:
        """What waits, oldest first: `<kind>_<time>…` sorts by its time. Raises OSError."""
        with self._lock:
            if not self._directory.is_dir():
                return ()
            found = [Waiting(entry.name, entry.read_text("ascii")) for entry in self._directory.iterdir()]
        return tuple(sorted(found, key=lambda each: (each.name.partition("_")[2], each.name)))

    def drop(self, waiting: Waiting) -> None:
        """It waits no longer, unless it was added again since. Raises OSError."""
        with self._lock:
            place = self._directory / waiting.name
            if place.exists() and place.read_text("ascii") == waiting.since:
                place.unlink()
