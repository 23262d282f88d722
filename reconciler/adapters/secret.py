"""Secrets of the controller itself (tokens), from where deploy.yaml says that they are."""

from __future__ import annotations

import os
from pathlib import Path

from pydantic import SecretStr

from reconciler.adapters.desired.files import Unreadable, read_regular
from reconciler.model.daemon import Secret
from reconciler.model.errors import EnvError
from reconciler.telemetry.log import RedactorHolder
from reconciler.telemetry.redact import Redactor

LARGEST = 64 * 1024
"""Bytes of a file that holds a secret."""


def secret_of(spec: Secret, where: str, directory: Path, redactor: RedactorHolder) -> str:
    """The secret, masked from here on. `where` is its place in deploy.yaml, `directory` the one of relative paths.

    Raises EnvError naming the variable or the file, never what is in it.
    """
    found = _read(spec, where, directory)
    if spec.file is not None:
        found = found.partition("\n")[0].strip()
    if not found:
        raise EnvError(f"{where}.file: {_path(spec, directory)} is empty")
    redactor.set_redactor(Redactor(others=[SecretStr(found)]))
    return found


def secrets_of(spec: Secret, where: str, directory: Path, redactor: RedactorHolder) -> tuple[str, ...]:
    """The same where there may be several, one on a line; blank lines and those that begin with `#` don't count."""
    lines = [line.strip() for line in _read(spec, where, directory).splitlines()]
    found = tuple(dict.fromkeys(line for line in lines if line and not line.startswith("#")))
    if not found:
        raise EnvError(f"{where}: {spec.env or _path(spec, directory)} names none; one belongs on each line")
    redactor.set_redactor(Redactor(others=[SecretStr(each) for each in found]))
    return found


def _read(spec: Secret, where: str, directory: Path) -> str:
    if spec.env is not None:
        found = os.environ.get(spec.env, "")
        if not found:
            raise EnvError(f"{where}.env: {spec.env} isn't set in the environment")
        return found
    path = _path(spec, directory)
    try:
        return read_regular(path, LARGEST).decode("utf-8", "strict")
    except (Unreadable, UnicodeDecodeError) as error:
        raise EnvError(f"{where}.file: {path} {getattr(error, 'what', 'is not UTF-8 text')}") from None


def _path(spec: Secret, directory: Path) -> Path:
    return directory / Path(spec.file or "").expanduser()
