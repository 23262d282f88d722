"""temp/, logs/ and what is written to other areas: measured and swept by `remote/sweep.sh` and `remote/written.sh`."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from reconciler.adapters.host import answers
from reconciler.model.errors import TargetUnfit
from reconciler.model.housekeeping import Housekeeping
from reconciler.model.sweep import Amount, SweepReport, Written
from reconciler.ports.transport import Completed
from reconciler.remote import script

Run = Callable[..., Completed]
"""`TargetHost`'s own: a script by its name, its arguments, `timeout` in seconds. Raises what the transport raises, and
TargetUnfit or CommandFailed for a script that fails."""

SWEEP_SECONDS = 30
"""So long a sweep removes; the next one goes on. Looking before and after comes on top of it."""
SWEEP_TIMEOUT = 120.0
"""Seconds for all of it."""
MOST_LOOKED_AT = 10_000
"""Files of one area that are looked at to tell what was written there."""
_LONGEST = 200


def sweep(run: Run, rules: Housekeeping, *, holder: str | None) -> SweepReport:
    """Looks at temp/ and logs/; with a `holder` of the lock, also removes what has to go."""
    temp = rules.temp
    done = run(
        "sweep",
        "remove" if holder is not None else "look",
        "-" if temp is None or temp.max_age is None else str(math.ceil(temp.max_age)),
        "-" if temp is None or temp.max_size is None else str(temp.max_size),
        "yes" if rules.logs else "no",
        str(SWEEP_SECONDS),
        holder or "",
        script("sweep_files"),
        timeout=SWEEP_TIMEOUT,
    )
    found = answers.sections(done.stdout)
    return SweepReport(
        temp=_amount(found, "temp"),
        logs=_amount(found, "logs"),
        expired=_amount(found, "expired") or Amount(),
        surplus=_amount(found, "surplus") or Amount(),
        remaining=(_amount(found, "remaining") or Amount()) if holder is not None else None,
        refused=tuple(
            found[name].decode("utf-8", "replace") for name in ("refused_temp", "refused_logs") if name in found
        ),
        failure=_first_failure(done.stderr),
    )


def written(run: Run, areas: Sequence[str]) -> tuple[Written, ...]:
    """What lies in these directories of deploy_dir, relative to it; at most so many files of each are looked at."""
    if not areas:
        return ()
    found = answers.sections(run("written", str(MOST_LOOKED_AT), *areas, timeout=SWEEP_TIMEOUT).stdout)
    return tuple(_written(area, found.get(str(position), b"")) for position, area in enumerate(areas))


def _written(area: str, answer: bytes) -> Written:
    if answer == b"refused":
        return Written(area, refused="it is a link, can't be entered or isn't a directory")
    numbers = [int(word) for word in answer.split() if word.lstrip(b"-").isdigit()]
    if not numbers:
        return Written(area)
    newest = numbers[1] if len(numbers) > 1 else None
    return Written(area, files=numbers[0], newest=newest, more=numbers[0] >= MOST_LOOKED_AT)


def _amount(found: dict[str, bytes], name: str) -> Amount | None:
    if name not in found:
        return None
    words = found[name].split()
    if len(words) != 2 or not all(word.isdigit() for word in words):
        raise TargetUnfit(f"what the target says of its {name} files can't be read: {found[name][:60]!r}")
    return Amount(int(words[0]), int(words[1]))


def _first_failure(said: bytes) -> str:
    """The first line that isn't about a file that was there a moment ago; names in it may hold anything."""
    for line in said.decode("utf-8", "replace").splitlines():
        if line.strip() and "No such file or directory" not in line:
            shown = "".join(char if char.isprintable() else "?" for char in line.strip())
            return shown if len(shown) <= _LONGEST else shown[: _LONGEST - 1] + "…"
    return ""
