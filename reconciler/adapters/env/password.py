"""The registry's password, from where deploy.yaml says that it is: asked for once, and only when it is needed."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Sequence
from functools import cache

from pydantic import SecretStr

from reconciler.model.errors import EnvError
from reconciler.model.image import Credentials as Source
from reconciler.ports import Credentials

PASSWORD_TIMEOUT = 60.0
"""Seconds for a command that prints a password."""


def registry_login(source: Source, learn: Callable[[SecretStr], None]) -> Credentials:
    """A login whose password is fetched at its first use, and given to `learn` before anyone else sees it.

    Fetching raises EnvError naming the variable or the program, never what it printed.
    """

    @cache
    def password() -> str:
        found = _from_environment(source.password.env) if source.password.env else _printed(source.password.command)
        learn(SecretStr(found))
        return found

    return Credentials(source.username, password)


def _from_environment(name: str) -> str:
    found = os.environ.get(name)
    if found is None:
        raise EnvError(f"image.credentials.password.env: {name} isn't set in the environment")
    return found


def _printed(command: Sequence[str]) -> str:
    try:
        done = subprocess.run(list(command), capture_output=True, timeout=PASSWORD_TIMEOUT, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise EnvError(
            f"image.credentials.password.command: {command[0]} can't be run: {type(error).__name__}"
        ) from None
    first = done.stdout.decode("utf-8", "replace").splitlines()[:1]
    if done.returncode != 0 or not first:
        raise EnvError(
            f"image.credentials.password.command: {command[0]} ended with {done.returncode} and gave no password"
        )
    return first[0]
