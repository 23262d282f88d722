"""The header that a measuring system wants to see: read at its first use, and masked from then on."""

from __future__ import annotations

import base64
import os
from collections.abc import Callable
from functools import cache
from pathlib import Path

from pydantic import SecretStr

from reconciler.adapters.gates.reach import Unmeasurable
from reconciler.model.measured_gates import Login, Secret

MOST_BYTES = 64 * 1024
"""Of a file that holds a token or a password."""

Headers = Callable[[], dict[str, str]]


def login_headers(login: Login | None, directory: Path, learn: Callable[[SecretStr], None]) -> Headers:
    """The headers of `login`; files are relative to `directory`. What is read goes to `learn` before it is used.

    The result raises Unmeasurable naming the variable or the file, never what is in it.
    """
    if login is None:
        return dict

    @cache
    def header() -> str:
        if login.token is not None:
            token = _read(login.token, directory, "login.token")
            learn(SecretStr(token))
            return f"Bearer {token}"
        assert login.password is not None  # noqa: S101 - the model has both or none
        password = _read(login.password, directory, "login.password")
        learn(SecretStr(password))
        pair = base64.b64encode(f"{login.username}:{password}".encode()).decode()
        learn(SecretStr(pair))
        return f"Basic {pair}"

    return lambda: {"Authorization": header()}


def _read(source: Secret, directory: Path, where: str) -> str:
    if source.env is not None:
        found = os.environ.get(source.env)
        if found is None:
            raise Unmeasurable(f"not measured: {where}.env: {source.env} isn't set in the controller's environment")
    else:
        path = directory / Path(source.file or "").expanduser()
        try:
            with path.open("rb") as file:
                found = file.read(MOST_BYTES).decode("utf-8").strip()
        except OSError as error:
            raise Unmeasurable(f"not measured: {where}.file: {source.file}: {error.strerror}") from None
        except UnicodeDecodeError:
            raise Unmeasurable(f"not measured: {where}.file: {source.file} isn't text") from None
    if not found or not found.isascii() or not found.isprintable():
        raise Unmeasurable(f"not measured: {where} is empty, or not one line of plain text")
    return found
