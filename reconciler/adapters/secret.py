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
    if spec.env is not None:
        found = os.environ.get(spec.env)
        if found is None:
            raise EnvError(f"{where}.env: {spec.env} isn't set in the controller's environment")
    else:
        try:
            content = read_regular(directory / Path(spec.file or "").expanduser(), LARGEST)
            found = content.decode("utf-8").strip()
        except Unreadable as error:
            raise EnvError(f"{where}.file: {spec.file} {error.what}") from None
        except UnicodeDecodeError:
            raise EnvError(f"{where}.file: {spec.file} isn't text") from None
    if not found or not found.isascii() or not found.isprintable():
        raise EnvError(f"{where} is empty, or not one line of plain text")
    learn(SecretStr(found))
    return found
