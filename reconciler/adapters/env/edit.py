"""`env edit`: the encrypted values in a person's editor. The plaintext is in a private directory, and never stays."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from reconciler.adapters.env import age
from reconciler.adapters.env.encrypt import sealed, write_atomically
from reconciler.adapters.env.place import EnvPlace
from reconciler.adapters.env.private_dir import private_directory
from reconciler.adapters.env.written import Written, decoded, read_file
from reconciler.dataclass import dataclass
from reconciler.model.errors import EnvError

PATIENCE = 3.0
"""Seconds that an editor gets to end when it is asked to."""

Problems = Callable[[Written], Sequence[str]]
"""What is wrong with values, each a line for a person; empty where they can be taken."""
Again = Callable[[Sequence[str]], bool]
"""Shows the problems and asks whether to edit again; False where there is nobody to ask."""


class _Stopped(Exception):
    """A signal asked to end."""


@dataclass(slots=True)
class _Guard:
    """What a signal may do: raise once, before the end begins, and not where Ctrl-C is the editor's own affair."""

    at_keyboard: bool
    editor_runs: bool = False
    is_ending: bool = False

    def __call__(self, number: int, _frame: FrameType | None) -> None:
        if self.is_ending or (number == signal.SIGINT and self.editor_runs and self.at_keyboard):
            return
        self.is_ending = True
        raise _Stopped(signal.Signals(number).name)


def edit_values(place: EnvPlace, problems: Problems, again: Again) -> bool:
    """Decrypts, opens the editor, checks, and encrypts again if something changed. Gives whether it did.

    Raises EnvError: then nothing was changed, and what was typed is gone with the plaintext.
    """
    if place.spec.values is None or not place.spec.values.is_encrypted or place.file is None:
        raise EnvError(
            "env.values isn't an encrypted file (`*.age`): change it where it is, then `reconcile env check`"
        )
    if place.spec.identity is None:
        raise EnvError("env.identity: is missing; name what decrypts env.values: `{file: ~/…}` or `{env: NAME}`")
    editor = _editor()
    content = age.read_ciphertext(place.file)
    plain = age.decrypt(content, age.read_keys(place.spec.identity, place.identity), name=str(place.file))
    sealed(place, plain)  # before anything is typed: could it be written at all?
    try:
        with _signals() as guard, private_directory() as directory:
            try:
                file = directory / place.file.with_suffix("").name
                _write_private(file, plain)
                typed = _typed(file, plain, editor, guard, problems, again)
                if typed == plain:
                    return False
                encrypted = sealed(place, typed, armored=age.is_armored(content))
                if age.read_ciphertext(place.file) != content:
                    raise EnvError(
                        f"{place.file}: somebody else changed it meanwhile: nothing was written; edit it again"
                    )
                guard.is_ending = True
                write_atomically(place.file, encrypted)
                return True
            finally:
                guard.is_ending = True
    except _Stopped as error:
        raise EnvError(f"env edit: ended by {error}: nothing was changed, and the plaintext is removed") from None


def _typed(file: Path, plain: bytes, editor: Sequence[str], guard: _Guard, problems: Problems, again: Again) -> bytes:
    """What the person left in `file`: `plain` as it was, or something with nothing wrong in it. Raises EnvError."""
    while True:
        _run(editor, file, guard)
        raw, _ = read_file(file, hint="the editor removed it: nothing was changed")
        if raw == plain:
            return raw
        try:
            found: Sequence[str] = problems(decoded(file.name, raw))
        except EnvError as error:
            found = (str(error),)
        if not found:
            return raw
        if not again(found):
            more = f" (and {len(found) - 1} more)" if len(found) > 1 else ""
            raise EnvError(f"env edit: nothing was changed: {found[0]}{more}")


def _run(editor: Sequence[str], file: Path, guard: _Guard) -> None:
    guard.editor_runs = True
    try:
        process = subprocess.Popen([*editor, str(file)])
    except (OSError, ValueError):
        raise EnvError(f"env edit: {editor[0]} can't be run; set VISUAL or EDITOR to your editor") from None
    try:
        status = process.wait()
    except BaseException:
        process.terminate()
        try:
            process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        raise
    finally:
        guard.editor_runs = False
    if status != 0:
        raise EnvError(f"env edit: {editor[0]} ended with {status}: nothing was changed")


def _editor() -> list[str]:
    """The person's editor. Source of the order: POSIX's `more`, git-var(1)."""
    written = os.environ.get("VISUAL") or os.environ.get("EDITOR") or ("notepad" if os.name == "nt" else "vi")
    try:
        words = shlex.split(written, posix=os.name == "posix")
    except ValueError:
        words = []
    if not words:
        raise EnvError("env edit: VISUAL or EDITOR can't be read as a command; set it to your editor")
    return words


def _write_private(file: Path, plain: bytes) -> None:
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as stream:
        stream.write(plain)


@contextmanager
def _signals() -> Iterator[_Guard]:
    """The guard handles what would end this process otherwise, until the block ends."""
    guard = _Guard(at_keyboard=sys.stdin.isatty())
    names = [name for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT") if hasattr(signal, name)]
    before = {name: signal.signal(getattr(signal, name), guard) for name in names}
    try:
        yield guard
    finally:
        guard.is_ending = True
        for name, handler in before.items():
            signal.signal(getattr(signal, name), handler)
