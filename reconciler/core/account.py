"""The lines of a run record and of a plan: from steps and measurements to what people and machines read."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, assert_never

from reconciler.model.drift import Drift
from reconciler.model.measure import GateKind, GateLimits, Measurement, Outcome, Verification
from reconciler.model.plan import (
    Connect,
    Disconnect,
    Hold,
    Plan,
    Pull,
    PutBack,
    Remove,
    Restart,
    Stage,
    Start,
    Step,
    Stop,
    Switch,
    Up,
    Update,
)

if TYPE_CHECKING:
    from reconciler.model.record import Judgement, RecordedLimits, RecordedMeasurement

MOST_MEASUREMENTS = 200
"""A window with more of them is thinned for its record, to the ends of each row of passes."""
KEPT_AT_EACH_END = 3
"""So many of a row of passes stay at each of its ends in a window that is thinned."""


def step_line(step: Step) -> str:
    """One line for one step: what, on what, why. The reason of a repair begins with what it is about."""
    match step:
        case Pull():
            return f"pull {step.reference}: {step.reason}"
        case Stage():
            return f"stage {step.release}: {step.reason}"
        case Switch():
            return f"switch {step.leaving or '(nothing)'} → {step.entering}: {step.reason}"
        case Up():
            return f"{step.action} {step.service}: {step.reason}"
        case Start():
            return f"start {step.service}: {step.reason}"
        case Remove():
            return f"remove {step.service}: {step.reason}"
        case Restart():
            return f"restart {step.container}: {step.reason}"
        case Stop():
            return f"stop {step.reason}"
        case Update():
            return f"update {step.reason}"
        case Connect():
            return f"connect {step.reason}"
        case Disconnect():
            return f"disconnect {step.reason}"
        case PutBack():
            return f"put back {step.reason}"
        case Hold():
            return f"hold {step.reason}"
        case _:
            assert_never(step)


def masked(plan: Plan, mask: Callable[[str], str]) -> Plan:
    """The plan with every text that is shown of it masked."""

    def hidden(drift: Drift) -> Drift:
        return replace(drift, object=mask(drift.object), expected=mask(drift.expected), found=mask(drift.found))

    return replace(
        plan,
        steps=tuple(replace(step, reason=mask(step.reason)) for step in plan.steps),
        drift=tuple(hidden(drift) for drift in plan.drift),
        left=tuple((hidden(drift), mask(why)) for drift, why in plan.left),
        notes=tuple(mask(note) for note in plan.notes),
    )


def plan_lines(plan: Plan) -> tuple[str, ...]:
    """Every step, in order."""
    return tuple(step_line(step) for step in plan.steps)


def left_text(plan: Plan) -> str:
    """What is left alone, and why."""
    return "; ".join(f"drift {drift.vector}: {drift.line}: {why}" for drift, why in plan.left)


def drift_lines(plan: Plan) -> tuple[str, ...]:
    """One line for each difference: its vector, what was expected and found, and why it stays where it does."""
    left = {drift.key: f" ({why})" for drift, why in plan.left}
    return tuple(f"{drift.vector}: {drift.line}{left.get(drift.key, '')}" for drift in plan.drift)


def recorded(
    judged: Sequence[Verification], mask: Callable[[str], str]
) -> tuple[tuple[RecordedMeasurement, ...], tuple[Judgement, ...]]:
    """The measurements of windows and rounds for a record, masked, and what each amounted to by which limits.

    What is left out of a long window is counted at the measurement before it: nothing is lost that a verdict hangs on.
    """
    from reconciler.core.verdict import BREACH_LIMIT, ERROR_LIMIT
    from reconciler.model.record import Judgement, RecordedMeasurement  # a pass with nothing to do writes no record

    measurements: list[RecordedMeasurement] = []
    judgements: list[Judgement] = []
    for window in judged:
        kept = list(thinned(window.measurements))
        measurements += [
            RecordedMeasurement(
                gate=m.gate,
                kind=m.kind,
                outcome=m.outcome,
                at=m.at,
                query=mask(m.query),
                seen=mask(m.seen),
                value=m.value,
                fatal=m.fatal,
                omitted=omitted,
            )
            for m, omitted in kept
        ]
        rules = window.rules
        judgements.append(
            Judgement(
                release=window.release,
                at=window.at,
                verdict=window.verdict.kind,
                reason=mask(window.verdict.reason),
                measurements=len(kept),
                gates=tuple(_limits(gate, mask) for gate in window.gates),
                breach_limit=rules.breach_limit if rules else BREACH_LIMIT,
                error_limit=ERROR_LIMIT,
                before=rules.before if rules else None,
                period=rules.period if rules else None,
                interval=rules.interval if rules else None,
            )
        )
    return tuple(measurements), tuple(judgements)


def thinned(measurements: Sequence[Measurement]) -> Iterator[tuple[Measurement, int]]:
    """What a record keeps of one window, and how many passes of the same gate that follow each it leaves out.

    Only passes between passes of the same gate go: a verdict hangs on the order and the number of outcomes of each
    gate, and both can be had from the rest.
    """
    if len(measurements) <= MOST_MEASUREMENTS:
        yield from ((measurement, 0) for measurement in measurements)
        return
    omitted: dict[int, int] = {}
    for row in _rows_of_passes(measurements):
        if len(row) > 2 * KEPT_AT_EACH_END:
            first = row[KEPT_AT_EACH_END - 1]
            omitted |= {first: len(row) - 2 * KEPT_AT_EACH_END}
            omitted |= dict.fromkeys(row[KEPT_AT_EACH_END:-KEPT_AT_EACH_END], -1)
    for position, measurement in enumerate(measurements):
        if omitted.get(position, 0) >= 0:
            yield measurement, omitted.get(position, 0)


def _rows_of_passes(measurements: Sequence[Measurement]) -> Iterator[list[int]]:
    """The positions of each unbroken row of passes of one gate."""
    rows: dict[tuple[str, GateKind], list[int]] = {}
    for position, m in enumerate(measurements):
        gate = (m.gate, m.kind)
        if m.outcome is Outcome.PASS:
            rows.setdefault(gate, []).append(position)
        elif gate in rows:
            yield rows.pop(gate)
    yield from rows.values()


def _limits(gate: GateLimits, mask: Callable[[str], str]) -> RecordedLimits:
    from reconciler.model.record import RecordedLimits

    return RecordedLimits(
        gate=gate.gate,
        kind=gate.kind,
        breach_limit=gate.breach_limit,
        min_samples=gate.min_samples,
        due=gate.due,
        skipped=mask(gate.skipped),
        on_no_data=gate.on_no_data,
        on_error=gate.on_error,
    )
