"""The text of env values as somebody wrote it, whatever it was read from, and the reading of a plain file."""

from __future__ import annotations

import os
import stat
from dataclasses import field
from pathlib import Path

from reconciler.dataclass import dataclass
from reconciler.model.errors import EnvError

MAX_BYTES = 1024 * 1024
_AGE = (b"age-encryption.org/", b"-----BEGIN AGE ENCRYPTED FILE-----")


@dataclass(frozen=True, slots=True)
class Exposed:
    """A private file that others on this machine can read."""

    path: Path
    mode: int

    @property
    def what(self) -> str:
        """What is wrong with it."""
        return f"others on this machine can read it (mode {self.mode:04o})"

    @property
    def remedy(self) -> str:
        """What to do."""
        return f"chmod 600 {self.path}"


@dataclass(frozen=True, slots=True)
class Written:
    """A dotenv text and its name in messages: a file, or the program that printed it."""

    name: str
    text: str = field(repr=False)
    exposed: tuple[Exposed, ...] = ()

    @property
    def warnings(self) -> tuple[str, ...]:
        """Whole sentences for a person."""
        return tuple(f"{each.path}: {each.what}; {each.remedy}" for each in self.exposed)


def is_age(content: bytes) -> bool:
    """Is it an age file, binary or armored?"""
    return content.lstrip().startswith(_AGE)


def decoded(name: str, raw: bytes, exposed: tuple[Exposed, ...] = ()) -> Written:
    """`raw` as text. Raises EnvError for more than 1 MiB and for what isn't UTF-8."""
    if len(raw) > MAX_BYTES:
        raise EnvError(f"{name}: larger than 1 MiB; it should hold KEY=value lines only, files go by `secrets:`")
    try:
        return Written(name, raw.decode(), exposed)
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise EnvError(f"{name}:{line}: not UTF-8; save the file as UTF-8") from None


def read_file(path: Path, *, hint: str, limit: int = MAX_BYTES) -> tuple[bytes, int]:
    """Up to `limit` + 1 bytes of a regular file, and its mode; `hint` says what to do where there is none.

    Raises EnvError.
    """
    try:
        found = path.stat()  # before opening: opening a FIFO would wait for its writer
        if stat.S_ISDIR(found.st_mode):
            raise EnvError(f"{path}: is a directory; it should be a file")
        if not stat.S_ISREG(found.st_mode):
            raise EnvError(f"{path}: is not a regular file; copy its content into one")
        with path.open("rb") as file:
            return file.read(limit + 1), stat.S_IMODE(found.st_mode)
    except (FileNotFoundError, NotADirectoryError):
        raise EnvError(f"{path}: no such file; {hint}") from None
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else "not a file name"
        raise EnvError(f"{path}: can't be read: {why}; make it readable for the user who deploys") from None


def read_plain(path: Path, *, hint: str) -> Written:
    """The text of a plain values file, with a warning where others can read it. Raises EnvError."""
    raw, mode = read_file(path, hint=hint)
    if is_age(raw):
        raise EnvError(f"{path}: is encrypted by age; call it `{path.name}.age`, in env.values, too")
    return decoded(str(path), raw, exposure(path, mode))


def exposure(path: Path, mode: int) -> tuple[Exposed, ...]:
    """What there is to say of a private file's mode; nothing where modes mean nothing."""
    readable = os.name == "posix" and mode & (stat.S_IRGRP | stat.S_IROTH)
    return (Exposed(path, mode),) if readable else ()
