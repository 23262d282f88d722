"""Reading one file that somebody else wrote: regular, not too large, and never waited for."""

from __future__ import annotations

import stat
from pathlib import Path

ABSENT = "doesn't exist"
"""`Unreadable.what` of a file that isn't there."""


class Unreadable(Exception):
    """The file can't be read. `what` completes the sentence that starts with its name; `hint` says what to do."""

    def __init__(self, what: str, hint: str | None = None) -> None:
        self.what, self.hint = what, hint
        super().__init__(what)


def read_regular(path: Path, limit: int) -> bytes:
    """The content of the regular file `path`, at most `limit` bytes.

    Raises Unreadable for anything else, without opening what isn't a regular file (a FIFO would wait for ever).
    """
    try:
        status = path.stat()
        check_regular(status.st_mode)
        if status.st_size > limit:
            raise Unreadable(f"is too large: {status.st_size} bytes", f"at most {limit} bytes")
        with path.open("rb") as file:
            content = file.read(limit + 1)
    except FileNotFoundError:
        raise Unreadable(ABSENT) from None
    except NotADirectoryError:
        raise Unreadable("doesn't exist", "a part of its path is a file") from None
    except PermissionError:
        raise Unreadable("can't be read: permission denied") from None
    except ValueError:
        raise Unreadable("isn't a path that the system knows") from None
    except OSError as error:
        raise Unreadable(f"can't be read: {error.strerror}") from None
    if len(content) > limit:
        raise Unreadable("grew while it was read", f"at most {limit} bytes")
    return content


def check_regular(mode: int) -> None:
    """Raises Unreadable unless `mode` (a `st_mode`) is a regular file's."""
    if stat.S_ISDIR(mode):
        raise Unreadable("is a directory")
    if not stat.S_ISREG(mode):
        raise Unreadable("isn't a regular file")
