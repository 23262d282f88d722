"""The POSIX-sh files that run on a target, and the function that reads them. Shellcheck clean."""

from __future__ import annotations

from functools import cache
from pathlib import Path

_ALSO = {"lock": ("audit",), "observe": ("audit",), "restore": ("aside",), "relink": ("aside",)}
"""What some scripts need besides `lib.sh`."""


@cache
def script(name: str) -> str:
    """The text of `<name>.sh`, with the common parts before it: ready for `sh -c TEXT <name> ARGUMENTS…`."""
    here = Path(__file__).parent
    parts = ("lib", *_ALSO.get(name, ()), name)
    return "".join((here / f"{part}.sh").read_text("utf-8") for part in parts)
