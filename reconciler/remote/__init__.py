"""The POSIX-sh files that run on a target, and the function that reads them. Shellcheck clean."""

from __future__ import annotations

from functools import cache
from pathlib import Path


@cache
def script(name: str) -> str:
    """The text of `<name>.sh`, with the common part before it: ready for `sh -c TEXT <name> ARGUMENTS…`."""
    here = Path(__file__).parent
    return (here / "lib.sh").read_text("utf-8") + (here / f"{name}.sh").read_text("utf-8")
