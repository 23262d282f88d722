"""The POSIX-sh files that run on a target, and the function that reads them. Shellcheck clean."""

from __future__ import annotations

from functools import cache
from pathlib import Path

_ALSO = {"lock": ("audit",), "observe": ("audit",), "restore": ("aside",), "relink": ("aside",)}
"""What some scripts need besides `lib.sh`."""


FENCED = 76
"""Exit code of a script whose pass has lost the target to another (`fenced.sh`)."""


@cache
def script(name: str, *, fenced: bool = False) -> str:
    """The text of `<name>.sh`, with the common parts before it: ready for `sh -c TEXT <name> ARGUMENTS…`.

    With `fenced`, its second argument is the generation that it belongs to, and it does nothing under a newer one.
    """
    here = Path(__file__).parent
    parts = ("lib", *(("fenced",) if fenced else ()), *_ALSO.get(name, ()), name)
    return "".join((here / f"{part}.sh").read_text("utf-8") for part in dict.fromkeys(parts))
