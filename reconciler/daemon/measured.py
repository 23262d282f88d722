"""The newest measurements of each gate: little enough of each to keep many."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from reconciler.dataclass import dataclass
from reconciler.model.measure import GateKind, Measurement, Outcome

KEPT = 60
"""Measurements that are kept of a gate: a fleet of a thousand targets keeps 300,000 of them."""

MOST_GATES = 50
"""Gates of a target that are kept, those measured last: who renames gates for years must not fill the memory."""


@dataclass(frozen=True, slots=True)
class Point:
    """One measurement: when, what it said, and the number behind it where there is one."""

    at: datetime
    outcome: Outcome
    value: float | None


@dataclass(frozen=True, slots=True)
class MeasuredGate:
    """The measurements of one gate, oldest first; `query` and `seen` are the newest one's, masked by the gate."""

    name: str
    kind: GateKind
    query: str
    seen: str
    points: tuple[Point, ...]


def with_round(known: tuple[MeasuredGate, ...], taken: Iterable[Measurement]) -> tuple[MeasuredGate, ...]:
    """What is known with what a pass measured. A gate that it didn't measure keeps what it had, with its times."""
    gates = {gate.name: gate for gate in known}
    rounds: dict[str, list[Measurement]] = {}
    for measurement in taken:
        rounds.setdefault(measurement.gate, []).append(measurement)
    for name, found in rounds.items():
        before = gates.pop(name).points if name in gates else ()
        points = (*before, *(Point(each.at, each.outcome, each.value) for each in found))[-KEPT:]
        gates[name] = MeasuredGate(name, found[-1].kind, found[-1].query, found[-1].seen, points)
    return tuple(gates.values())[-MOST_GATES:]
