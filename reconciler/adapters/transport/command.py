"""How a command becomes the argument list that runs, the one line a remote shell gets, and its name in messages."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping, Sequence

_ENV_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_SHELLS = frozenset({"sh", "bash", "dash", "ash"})
_LABEL_CHARACTERS = 60
NOT_EXECUTABLE, NOT_FOUND = 126, 127
"""The exit statuses of a shell for a command that it can't run, or can't find (POSIX)."""


def argument_list(command: Sequence[str], *, env: Mapping[str, str] | None = None, sudo: bool = False) -> list[str]:
    """`command` with its environment (by `env`, so that sudo doesn't drop it) and sudo in front of it.

    Raises ValueError for an empty command, a NUL in an argument, or a name that no shell takes as a variable.
    """
    if not command or not command[0]:
        raise ValueError("an empty command")
    wrong = [name for name in env or {} if not _ENV_NAME.fullmatch(name)]
    if wrong:
        raise ValueError(f"not the name of an environment variable: {wrong[0]!r}")
    words = list(command)
    if env:
        words = ["env", *(f"{name}={value}" for name, value in env.items()), *words]
    if sudo:
        words = ["sudo", "-n", "--", *words]
    if any("\0" in word for word in words):
        raise ValueError(f"{label(command)}: a NUL byte in an argument")
    return words


def shell_line(words: Sequence[str]) -> bytes:
    """The one line that a remote POSIX shell splits into exactly `words`: the only place where quoting happens."""
    return shlex.join(words).encode("utf-8", "surrogateescape")


def dial_stdio(path: str) -> list[str]:
    """The command that joins its standard input and output to the engine's socket `path`."""
    return ["docker", "-H", f"unix://{path}", "system", "dial-stdio"]


def label(command: Sequence[str]) -> str:
    """What messages call a command: its first two words, or the name given to `sh -c SCRIPT name …`.

    Never more of its arguments: they may be long, and they belong to others.
    """
    if len(command) > 2 and command[0].rpartition("/")[2] in _SHELLS and command[1].startswith("-"):
        script_given = command[1].endswith("c")  # -c, -ec, -euc
        words = [command[3]] if script_given and len(command) > 3 else list(command[:2])
    else:
        words = list(command[:2])
    text = " ".join(" ".join(words).split())
    return text if len(text) <= _LABEL_CHARACTERS else text[: _LABEL_CHARACTERS - 1] + "…"
