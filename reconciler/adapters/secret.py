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
    if spec.env is not None:
        found = os.environ.get(spec.env, "")
        if not found:
            raise EnvError(f"{where}.env: {spec.env} isn't set in the environment")
    else:
        path = directory / Path(spec.file or "").expanduser()
        try:
            text = read_regular(path, LARGEST).decode("utf-8", "strict")
        except (Unreadable, UnicodeDecodeError) as error:
            raise EnvError(f"{where}.file: {path} {getattr(error, 'what', 'is not UTF-8 text')}") from None
        found = text.partition("\n")[0].strip()
        if not found:
            raise EnvError(f"{where}.file: {path} is empty")
    redactor.set_redactor(Redactor(others=[SecretStr(found)]))
    return found
