"""The lines of a run record and of a plan: from steps and measurements to what people and machines read."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, assert_never

from reconciler.model.measure import Measurement
from reconciler.model.plan import Plan, Pull, Remove, Stage, Start, Step, Switch, Up

if TYPE_CHECKING:
    from reconciler.model.record import RecordedMeasurement

MOST_MEASUREMENTS = 200
"""A record keeps the first and the last so many; between them only what wasn't a pass."""


def step_line(step: Step) -> str:
    """One line for one step: what, on what, why."""
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
        case _:
            assert_never(step)


def plan_lines(plan: Plan) -> tuple[str, ...]:
    """Every step, in order."""
    return tuple(step_line(step) for step in plan.steps)


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
