"""The git program: one function that runs it, without the caller's hooks, prompts and locks in the way."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from reconciler.model.errors import ReconcilerError

_OF_ANOTHER_REPOSITORY = (
    "GIT_DIR",
    "GIT_WORK_TREE",
    "GIT_INDEX_FILE",
    "GIT_OBJECT_DIRECTORY",
    "GIT_ALTERNATE_OBJECT_DIRECTORIES",
    "GIT_COMMON_DIR",
    "GIT_NAMESPACE",
    "GIT_PREFIX",
)
"""What git sets for a hook's children: inside one it would lead every call to the hook's repository."""


class GitMissing(ReconcilerError):
    """There is no git program on the PATH."""


class GitFailed(ReconcilerError):
    """Git ended with an error; the message is its first line. `status` is its exit status (None: timed out)."""

    def __init__(self, message: str, *, status: int | None) -> None:
        self.status = status
        super().__init__(message)


def git(
    args: Sequence[str],
    cwd: Path,
    timeout: float = 60.0,
    *,
    stdin: bytes = b"",
    env: Mapping[str, str] | None = None,
) -> bytes:
    """What `git <args>` prints, run in `cwd` for at most `timeout` seconds; `args` starts with the subcommand.

    `env` adds to its environment (a secret there is in no process list). Paths in `args` are paths, never patterns.
    Raises GitMissing or GitFailed.
    """
    around = {name: value for name, value in os.environ.items() if name not in _OF_ANOTHER_REPOSITORY}
    around |= {"LC_ALL": "C", "GIT_TERMINAL_PROMPT": "0", "GIT_OPTIONAL_LOCKS": "0", "GIT_LITERAL_PATHSPECS": "1"}
    around |= env or {}
    name = _subcommand(args)
    try:
        done = subprocess.run(
            ["git", *args], cwd=cwd, env=around, input=stdin, capture_output=True, timeout=timeout, check=False
        )
    except FileNotFoundError:
        if not cwd.is_dir():
            raise GitFailed(f"git {name}: there is no directory {cwd}", status=None) from None
        raise GitMissing("git isn't installed on this machine, or not on the PATH") from None
    except subprocess.TimeoutExpired:
        raise GitFailed(f"git {name}: no answer in {timeout:g} s", status=None) from None
    if done.returncode != 0:
        said = done.stderr.decode(errors="replace").strip().partition("\n")[0]
        raise GitFailed(f"git {name}: {said or f'exit status {done.returncode}'}", status=done.returncode)
    return done.stdout


def _subcommand(args: Sequence[str]) -> str:
    """What comes after the `-c name=value` pairs."""
    rest = iter(args)
    for word in rest:
        if word != "-c":
            return word
        next(rest, None)
    return ""
