"""Secrets of the controller itself (tokens, passwords), from where deploy.yaml says that they are."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from pydantic import SecretStr

from reconciler.adapters.desired.files import Unreadable, read_regular
from reconciler.model.errors import EnvError
from reconciler.model.secret import Secret

LARGEST = 64 * 1024
"""Bytes of a file that holds a secret."""


def secret_of(spec: Secret, where: str, directory: Path, learn: Callable[[SecretStr], None]) -> str:
    """The secret, one line of plain text; `learn` is given it before anyone else sees it.

    `where` is its place in deploy.yaml, `directory` the one where relative paths begin. Raises EnvError naming the
    variable or the file, never what is in it.
    """
    found = _read(spec, where, directory).strip()
    if not _is_line(found):
        raise EnvError(f"{where} is empty, or not one line of plain text")
    learn(SecretStr(found))
    return found


def secrets_of(spec: Secret, where: str, directory: Path, learn: Callable[[SecretStr], None]) -> tuple[str, ...]:
    """The same where there may be several, one on a line; blank lines and those that begin with `#` don't count."""
    lines = [line.strip() for line in _read(spec, where, directory).split("\n")]
    found = tuple(dict.fromkeys(line for line in lines if line and not line.startswith("#")))
    if not found or not all(_is_line(each) for each in found):
        raise EnvError(f"{where} names none, or holds what isn't plain text; one belongs on each line")
    for each in found:
        learn(SecretStr(each))
    return found


def _read(spec: Secret, where: str, directory: Path) -> str:
    if spec.env is not None:
        found = os.environ.get(spec.env)
        if found is None:
            raise EnvError(f"{where}.env: {spec.env} isn't set in the controller's environment")
        return found
    try:
        return read_regular(directory / Path(spec.file or "").expanduser(), LARGEST).decode("utf-8")
    except Unreadable as error:
        raise EnvError(f"{where}.file: {spec.file} {error.what}") from None
    except UnicodeDecodeError:
        raise EnvError(f"{where}.file: {spec.file} isn't text") from None


def _is_line(text: str) -> bool:
    return bool(text) and text.isascii() and text.isprintable()
