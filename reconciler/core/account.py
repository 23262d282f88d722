"""The lines of a run record and of a plan: from steps and measurements to what people and machines read."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, assert_never

from reconciler.model.drift import Drift
from reconciler.model.measure import Measurement
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
    from reconciler.model.record import RecordedMeasurement

MOST_MEASUREMENTS = 200
"""A record keeps the first and the last so many; between them only what wasn't a pass."""


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


def recorded(measurements: Sequence[Measurement], mask: Callable[[str], str]) -> tuple[RecordedMeasurement, ...]:
    """Measurements for a record, masked; a long window keeps its edges and everything that wasn't a pass."""
    from reconciler.model.record import RecordedMeasurement  # a pass with nothing to do writes no record

    half = MOST_MEASUREMENTS // 2
    kept = [
        measurement
        for position, measurement in enumerate(measurements)
        if position < half or position >= len(measurements) - half or measurement.outcome != "pass"
    ]
    return tuple(
        RecordedMeasurement(
            gate=m.gate, kind=m.kind, outcome=m.outcome, at=m.at, query=mask(m.query), seen=mask(m.seen), value=m.value
        )
        for m in kept
    )
