"""Stabilizing across passes: counts only time that passing measurements cover (P4).

A release becomes stable when passing rounds cover its whole period, whoever took them and however many passes that
needed. Time in which nobody looked counts for at most two intervals; time next to a round that didn't pass counts
nothing.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from reconciler.core.verdict import ERROR_LIMIT, tells
from reconciler.dataclass import dataclass
from reconciler.model.measure import Measurement, Outcome
from reconciler.model.stored import Stabilization

COVERED_INTERVALS = 2
"""The longest gap between two passing rounds that counts in full, in intervals: one round may be late or lost."""
SILENCE_LIMIT = ERROR_LIMIT
"""Rounds without a passing one between them that hold, for each of inconclusive, no data and errors."""


@dataclass(frozen=True, slots=True)
class GoingOn:
    """Not yet stable, and nothing to do but to measure again."""


@dataclass(frozen=True, slots=True)
class Stable:
    """Passing measurements cover the whole period."""


@dataclass(frozen=True, slots=True)
class Breached:
    """More breaches than the limit, or a fatal one: revert."""

    reason: str
    decisive: Measurement


@dataclass(frozen=True, slots=True)
class Blind:
    """The release can't be judged: hold, and tell a person. `decisive` is None when a round measured nothing."""

    reason: str
    decisive: Measurement | None


StabilizationVerdict = GoingOn | Stable | Breached | Blind


def absorb(
    stab: Stabilization,
    measurements: Iterable[Measurement],
    *,
    now: datetime,
    period: float,
    interval: float,
    breach_limit: int,
) -> tuple[Stabilization, StabilizationVerdict]:
    """Adds one round of measurements (one of each gate) that ended at `now`; `period` and `interval` are seconds.

    A round *passes* when it measured something and everything in it passed. `covered` grows by the time since the
    round before when both passed: at most `COVERED_INTERVALS` × `interval`, and nothing when the clock went back.
    `measured_at` is the time of the last round if that one passed, and None otherwise: so the next passing round counts
    nothing, and a round is due.

    `breaches` counts rounds with a breach, over the whole stabilization: nothing resets it (one cause that three gates
    see at once is one breach). `inconclusive`, `no_data` and `errors` count rounds in a row; only a passing round
    resets them, so that errors and no data in turn are no way around their limits. A round without a measurement is no
    data.

    Breached beats blind: evidence against the release outweighs a lack of evidence.
    """
    taken = list(measurements)
    passed = bool(taken) and all(m.outcome is Outcome.PASS for m in taken)
    if passed:
        covered = stab.covered + _gap(stab.measured_at, now, COVERED_INTERVALS * interval)
        after = Stabilization(covered=covered, measured_at=now, breaches=stab.breaches)
        return after, Stable() if covered >= period else GoingOn()

    after = Stabilization(
        covered=stab.covered,
        breaches=stab.breaches + _had(taken, Outcome.BREACH),
        inconclusive=stab.inconclusive + _had(taken, Outcome.INCONCLUSIVE),
        no_data=stab.no_data + (_had(taken, Outcome.NO_DATA) or not taken),
        errors=stab.errors + _had(taken, Outcome.ERROR),
    )
    return after, _judge(after, taken, breach_limit)


def _judge(after: Stabilization, taken: list[Measurement], breach_limit: int) -> StabilizationVerdict:
    for m in taken:
        if m.fatal:
            return Breached(f"{m.gate}: {m.seen}", m)
    breach = next((m for m in taken if m.outcome is Outcome.BREACH), None)
    if breach and after.breaches > breach_limit:
        return Breached(f"{breach.gate}: {breach.seen} ({after.breaches} breaches, {breach_limit} allowed)", breach)
    if max(after.errors, after.no_data, after.inconclusive) < SILENCE_LIMIT:
        return GoingOn()
    if not taken:
        return Blind("nothing was measured", None)
    silent = next((m for m in taken if not tells(m)), None) or next(m for m in taken if m.outcome is not Outcome.PASS)
    return Blind(f"{silent.gate}: {silent.seen}", silent)


def _gap(before: datetime | None, now: datetime, most: float) -> float:
    if before is None:
        return 0.0
    return min(max(0.0, (now - before).total_seconds()), most)


def _had(taken: list[Measurement], outcome: Outcome) -> bool:
    return any(m.outcome is outcome for m in taken)
