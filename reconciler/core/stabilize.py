"""Stabilizing across passes: counts only time that passing measurements cover (P4).

A release becomes stable when passing rounds cover its whole period, whoever took them and however many passes that
needed. Time in which nobody looked counts for at most two intervals; time next to a round that didn't pass counts
nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime

from reconciler.core.verdict import ERROR_LIMIT, as_evidence, limits_of, tells
from reconciler.dataclass import dataclass
from reconciler.model.measure import GateLimits, Measurement, Outcome
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
    gates: Sequence[GateLimits] = (),
    now: datetime,
    period: float,
    interval: float,
    breach_limit: int,
) -> tuple[Stabilization, StabilizationVerdict]:
    """Adds one round of measurements (one of each gate) that began at `now`; `period` and `interval` are seconds.

    A round *passes* when it measured something, everything in it passed, and every one of `gates` was due. `covered`
    grows by the time since the round before when both passed: at most `COVERED_INTERVALS` × `interval`, and nothing
    when the clock went back. `measured_at` is the time of the last round if that one passed, and None otherwise: so the
    next passing round counts nothing, and a round is due.

    A round in which everything passed but some gate wasn't due yet covers nothing, and counts against nothing: what a
    gate hasn't looked at isn't proven by it.

    `breaches` counts rounds with a breach, over the whole stabilization: nothing resets it (one cause that three gates
    see at once is one breach). A gate with a `breach_limit` of its own is counted apart, in `breached`. `inconclusive`,
    `no_data` and `errors` count rounds in a row; only a passing round resets them, so that errors and no data in turn
    are no way around their limits. A round without a measurement is no data. No data and errors of a gate that says
    `rollback` are breaches.

    Breached beats blind: evidence against the release outweighs a lack of evidence.
    """
    taken = [as_evidence(m, gates) for m in measurements]
    waiting = any(gate.waits(now) for gate in gates)
    passed = bool(taken) and all(m.outcome is Outcome.PASS for m in taken)
    if passed and waiting:
        return stab.model_copy(update={"measured_at": None}), GoingOn()
    if passed:
        covered = stab.covered + _gap(stab.measured_at, now, COVERED_INTERVALS * interval)
        after = Stabilization(covered=covered, measured_at=now, breaches=stab.breaches, breached=stab.breached)
        return after, Stable() if covered >= period else GoingOn()

    breaches = [m for m in taken if m.outcome is Outcome.BREACH]
    own = {m.gate: limit for m in breaches if (limit := _own_limit(m, gates)) is not None}
    shared = [m for m in breaches if m.gate not in own]
    after = Stabilization(
        covered=stab.covered,
        breaches=stab.breaches + bool(shared),
        breached={**stab.breached, **{gate: stab.breached.get(gate, 0) + 1 for gate in own}},
        inconclusive=stab.inconclusive + _had(taken, Outcome.INCONCLUSIVE),
        no_data=stab.no_data + (_had(taken, Outcome.NO_DATA) or (not taken and not waiting)),
        errors=stab.errors + _had(taken, Outcome.ERROR),
    )
    for m in taken:
        if m.fatal:
            return after, Breached(f"{m.gate}: {m.seen}", m)
    for breach in breaches:
        count, limit = (
            (after.breached[breach.gate], own[breach.gate]) if breach.gate in own else (after.breaches, breach_limit)
        )
        if count > limit:
            return after, Breached(f"{breach.gate}: {breach.seen} ({count} breaches, {limit} allowed)", breach)
    return after, _blind_or_not(after, taken)


def _blind_or_not(after: Stabilization, taken: list[Measurement]) -> StabilizationVerdict:
    if max(after.errors, after.no_data, after.inconclusive) < SILENCE_LIMIT:
        return GoingOn()
    if not taken:
        return Blind("nothing was measured", None)
    silent = next((m for m in taken if not tells(m)), None) or next(m for m in taken if m.outcome is not Outcome.PASS)
    return Blind(f"{silent.gate}: {silent.seen}", silent)


def _own_limit(measurement: Measurement, gates: Sequence[GateLimits]) -> int | None:
    limits = limits_of(measurement, gates)
    return limits.breach_limit if limits else None


def _gap(before: datetime | None, now: datetime, most: float) -> float:
    if before is None:
        return 0.0
    return min(max(0.0, (now - before).total_seconds()), most)


def _had(taken: list[Measurement], outcome: Outcome) -> bool:
    return any(m.outcome is outcome for m in taken)
