"""A private directory for plaintext: in memory where the system has that, and gone afterwards whatever happens.

A process that is killed can't clean up: the next one that needs such a directory removes what no living one holds.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

PREFIX = "reconcile-env-"
IN_MEMORY = Path("/dev/shm")  # noqa: S108 - a tmpfs; the directory in it is made by mkdtemp, 0700
_LOCK = "lock"


@contextmanager
def private_directory(parent: Path | None = None) -> Iterator[Path]:
    """A directory that only its owner can enter (0700), below `parent` or where it is best; removed with the block."""
    where = parent or _best()
    _remove_leftovers(where)
    directory, lock = _made(where)
    try:
        with lock:
            yield directory
    finally:
        _remove(directory)


def _made(where: Path) -> tuple[Path, IO[str]]:
    while True:
        directory = Path(tempfile.mkdtemp(prefix=PREFIX, dir=where))
        lock = (directory / _LOCK).open("w")
        if _take(lock) and (directory / _LOCK).exists():
            return directory, lock
        lock.close()  # somebody cleans up, and took it for a leftover before it was held
        _remove(directory)


def _best() -> Path:
    """In memory if there is such a place, the person's own before everybody's."""
    own = Path(os.environ.get("XDG_RUNTIME_DIR") or "/nonexistent")
    for place in (own, IN_MEMORY):
        if place.is_absolute() and place.is_dir() and os.access(place, os.W_OK | os.X_OK):
            return place
    return Path(tempfile.gettempdir())


def _take(lock: IO[str]) -> bool:
    """Takes the lock, which the kernel gives back when its holder dies; False where another has it."""
    try:
        import fcntl
    except ImportError:  # Windows: nobody looks for leftovers there
        return True
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def _remove_leftovers(where: Path) -> None:
    if os.name != "posix":
        return
    for directory in where.glob(f"{PREFIX}*"):
        with suppress(OSError):
            if directory.is_symlink() or directory.stat().st_uid != os.getuid():
                continue
            with (directory / _LOCK).open("r+") as lock:
                if _take(lock):
                    _remove(directory)


def _remove(directory: Path) -> None:
    shutil.rmtree(directory, ignore_errors=True)
    if directory.exists():  # an editor that is still writing
        shutil.rmtree(directory, ignore_errors=True)
