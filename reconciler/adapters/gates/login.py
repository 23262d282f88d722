"""The header that a measuring system wants to see: read at its first use, and masked from then on."""

from __future__ import annotations

import base64
from collections.abc import Callable
from functools import cache
from pathlib import Path

from pydantic import SecretStr

from reconciler.adapters.gates.reach import Unmeasurable
from reconciler.adapters.secret import secret_of
from reconciler.model.errors import EnvError
from reconciler.model.measured_gates import Login
from reconciler.model.secret import Secret

Headers = Callable[[], dict[str, str]]


def login_headers(login: Login | None, directory: Path, learn: Callable[[SecretStr], None]) -> Headers:
    """The headers of `login`; files are relative to `directory`. What is read goes to `learn` before it is used.

    The result raises Unmeasurable naming the variable or the file, never what is in it.
    """
    if login is None:
        return dict

    def read(source: Secret, where: str) -> str:
        try:
            return secret_of(source, where, directory, learn)
        except EnvError as error:
            raise Unmeasurable(f"not measured: {error}") from None

    @cache
    def header() -> str:
        if login.token is not None:
            return f"Bearer {read(login.token, 'login.token')}"
        assert login.password is not None  # noqa: S101 - the model has both or none
        pair = base64.b64encode(f"{login.username}:{read(login.password, 'login.password')}".encode()).decode()
        learn(SecretStr(pair))
        return f"Basic {pair}"

    return lambda: {"Authorization": header()}
