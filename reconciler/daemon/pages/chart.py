"""The measurements of one gate as a small chart: points on a plane of fixed size, and the same in words. Pure."""

from __future__ import annotations

import math
from collections import Counter
from datetime import datetime

from reconciler.daemon.measured import MeasuredGate, Point
from reconciler.daemon.pages.scene import Scene
from reconciler.daemon.pages.words import Badge, Moment, moment, outcome_badge, spaced
from reconciler.dataclass import dataclass

WIDTH, HEIGHT = 300, 64
"""Size of the plane; the page scales it."""
TOP, BOTTOM, STRIP = 6.0, 42.0, 56.0
"""Where the largest and the smallest value are, and the row of outcomes."""
MARGIN, WIDEST_STEP = 6.0, 24.0


@dataclass(frozen=True, slots=True)
class Mark:
    """The outcome of one measurement, in the row below the line; its shape is the outcome's."""

    x: float
    y: float
    outcome: str


@dataclass(frozen=True, slots=True)
class Chart:
    """`lines` are runs of values as `points` of a polyline, `dots` values with none beside them. `title` and `words`
    say all of it to whoever doesn't see it; `highest` and `lowest` are empty where there is no number."""

    gate: str
    kind: str
    query: str
    seen: str
    last: Badge
    at: Moment
    lines: tuple[str, ...]
    dots: tuple[tuple[float, float], ...]
    marks: tuple[Mark, ...]
    highest: str
    lowest: str
    title: str
    words: str


def chart(gate: MeasuredGate, scene: Scene) -> Chart:
    """The gate has been measured at least once."""
    points, name = gate.points, scene.text(gate.name, most=80)
    values = [_number(point.value) for point in points]
    known = [value for value in values if value is not None]
    low, high = (min(known), max(known)) if known else (0.0, 0.0)
    places = [None if value is None else (_x(i, len(points)), _y(value, low, high)) for i, value in enumerate(values)]
    runs = _runs(places)
    return Chart(
        gate=name,
        kind=gate.kind.value,
        query=scene.text(gate.query),
        seen=scene.text(gate.seen),
        last=outcome_badge(points[-1].outcome),
        at=moment(points[-1].at, scene.now),
        lines=tuple(" ".join(f"{x:g},{y:g}" for x, y in run) for run in runs if len(run) > 1),
        dots=tuple(run[0] for run in runs if len(run) == 1),
        marks=tuple(Mark(_x(i, len(points)), STRIP, point.outcome.value) for i, point in enumerate(points)),
        highest=_shown(high) if known else "",
        lowest=_shown(low) if known else "",
        title=f"Measurements of {name}",
        words=_words(points, known, scene.now),
    )


def _words(points: tuple[Point, ...], known: list[float], now: datetime) -> str:
    counted = Counter(point.outcome for point in points)
    outcomes = ", ".join(f"{count} {spaced(outcome)}" for outcome, count in counted.most_common())
    first, last = moment(points[0].at, now).text, moment(points[-1].at, now).text
    when = f"from {first} to {last}" if len(points) > 1 else f"at {first}"
    numbers = (
        f" Values from {_shown(min(known))} to {_shown(max(known))}, the last one {_shown(known[-1])}." if known else ""
    )
    many = "1 measurement" if len(points) == 1 else f"{len(points)} measurements"
    return f"{many} {when}: {outcomes}; the last one {spaced(points[-1].outcome)}.{numbers}"


def _number(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None


def _x(position: int, many: int) -> float:
    return round(MARGIN + position * min(WIDEST_STEP, (WIDTH - 2 * MARGIN) / max(1, many - 1)), 1)


def _y(value: float, low: float, high: float) -> float:
    """Halved before they are subtracted: the widest range of floats is wider than a float."""
    span = high / 2 - low / 2
    share = (value / 2 - low / 2) / span if span else 0.5
    return round(BOTTOM - share * (BOTTOM - TOP), 1)


def _runs(places: list[tuple[float, float] | None]) -> list[list[tuple[float, float]]]:
    """What has no number interrupts the line."""
    runs: list[list[tuple[float, float]]] = [[]]
    for place in places:
        if place is not None:
            runs[-1].append(place)
        elif runs[-1]:
            runs.append([])
    return [run for run in runs if run]


def _shown(value: float) -> str:
    return f"{value:.4g}"
