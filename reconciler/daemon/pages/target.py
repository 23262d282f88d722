"""The page of one target: its releases and their verdicts, its measurements, its plan, its passes and records. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import PurePath
from typing import Protocol
from urllib.parse import quote

from reconciler.core.account import plan_lines
from reconciler.daemon.pages.chart import Chart, chart
from reconciler.daemon.pages.overview import Row, plan_of, row
from reconciler.daemon.pages.scene import Scene, Standing
from reconciler.daemon.pages.words import Badge, Moment, Tone, lasting, maybe, moment, result_badge, spaced
from reconciler.dataclass import dataclass
from reconciler.model.record import RunRecord
from reconciler.model.stored import Past, Phase, Quarantine, TargetState
from reconciler.model.stored import Standing as Proved

MOST_RECORDS = 10
"""Records that a page names; `reconcile history` lists all."""


class Shelf(Protocol):
    """The run records that are on this side. Must not take long: pages are made for whoever asks."""

    def latest(self, target: str, most: int) -> Sequence[RunRecord]:
        """The newest ones of a target, newest first, without their measurements."""

    def text(self, name: str) -> str | None:
        """The document of a run, named by its id or its file's name without ending; None where there is none."""


@dataclass(frozen=True, slots=True)
class Release:
    """One release in the timeline. `marks` say what it is now: serving, last good. `record` is the address of the run
    that quarantined it."""

    name: str
    tag: str
    verdict: Badge
    reason: str
    record: str
    marks: tuple[str, ...]
    switched: Moment | None
    verified: Moment | None
    stable: Moment | None
    quarantined: Moment | None


@dataclass(frozen=True, slots=True)
class Progress:
    """How much of the stabilization period passing measurements cover; both in seconds."""

    covered: float
    period: float
    words: str


@dataclass(frozen=True, slots=True)
class PlanNow:
    """What a pass would do. `says` is the sentence that stands for the steps, or introduces them."""

    says: str
    steps: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class PassLine:
    """A pass that is over; `record` is the address of its record, empty where it wrote none."""

    at: Moment
    result: Badge
    message: str
    record: str
    took: str


@dataclass(frozen=True, slots=True)
class RecordLine:
    """A run record that is on this side."""

    name: str
    href: str
    kind: str
    verdict: str
    tag: str
    at: Moment
    reason: str


@dataclass(frozen=True, slots=True)
class TargetPage:
    """One target. `remembered` is when what its timeline says was read from it."""

    row: Row
    remembered: Moment | None
    releases: tuple[Release, ...]
    progress: Progress | None
    charts: tuple[Chart, ...]
    plan: PlanNow
    passes: tuple[PassLine, ...]
    records: tuple[RecordLine, ...]


def target_page(scene: Scene, name: str, shelf: Shelf) -> TargetPage:
    """Raises KeyError where there is no such target."""
    standing = scene.standing(name)
    view = standing.view
    return TargetPage(
        row=row(scene, standing),
        remembered=maybe(view.memory.at, scene.now) if view.memory else None,
        releases=_releases(scene, standing),
        progress=_progress(scene, standing),
        charts=tuple(chart(gate, scene) for gate in view.measured),
        plan=_plan(scene, standing),
        passes=tuple(
            PassLine(
                at=moment(passed.at, scene.now),
                result=result_badge(scene.text(passed.result.result)),
                message=scene.text(passed.result.message),
                record=record_address(PurePath(passed.result.record).stem if passed.result.record else ""),
                took=_seconds(passed.result.durations.get("pass")),
            )
            for passed in reversed(view.told)
        ),
        records=tuple(_record(scene, record) for record in shelf.latest(name, MOST_RECORDS)),
    )


def record_address(name: str) -> str:
    """Where the record of a run is shown; empty for no run."""
    return f"/records/{quote(name, safe='')}" if name else ""


def _releases(scene: Scene, standing: Standing) -> tuple[Release, ...]:
    """Newest first, by when they were switched to; a quarantine outlives what else is known of its release."""
    memory = standing.view.memory
    if memory is None:
        return ()
    state, status = memory.state, standing.status
    names = {*state.releases, *state.quarantine}

    def at(name: str) -> tuple[float, str]:
        past, held = state.releases.get(name), state.quarantine.get(name)
        when = past.switched_at if past else held.at if held else None
        return (when.timestamp() if when else 0.0, name)

    return tuple(
        _release(scene, state, name, last_good=status.last_good if status else None)
        for name in sorted(names, key=at, reverse=True)
    )


def _release(scene: Scene, state: TargetState, name: str, *, last_good: str | None) -> Release:
    past, held = state.releases.get(name), state.quarantine.get(name)
    serves = name == state.serving
    marks = [word for word, holds in (("serving", serves), ("last good", name == last_good)) if holds]
    return Release(
        name=scene.text(name),
        tag=scene.text(past.tag if past else held.tag if held else ""),
        verdict=_verdict(past, held, state.phase if serves else None),
        reason=scene.text(held.reason) if held else "",
        record=record_address(held.run) if held else "",
        marks=tuple(marks),
        switched=maybe(past.switched_at if past else None, scene.now),
        verified=maybe(past.verified_at if past else None, scene.now),
        stable=maybe(past.stable_at if past else None, scene.now),
        quarantined=maybe(held.at if held else None, scene.now),
    )


def _verdict(past: Past | None, held: Quarantine | None, phase: Phase | None) -> Badge:
    """`phase` is the target's, for the release that serves."""
    if held is not None:
        return Badge("quarantined", Tone.BAD)
    if past is None or past.standing is Proved.UNVERIFIED:
        return Badge("held: not judged", Tone.WARN) if phase is Phase.HELD else Badge("unverified", Tone.UNKNOWN)
    return Badge("stable", Tone.GOOD) if past.standing is Proved.STABLE else Badge("verified", Tone.GOOD)


def _progress(scene: Scene, standing: Standing) -> Progress | None:
    """Only while it is stabilizing, and known to be."""
    memory, period = standing.view.memory, scene.source.period
    if not standing.is_current or memory is None or memory.state.phase is not Phase.STABILIZING or period <= 0:
        return None
    counted = memory.state.stabilization
    covered = min(period, counted.covered if counted else 0.0)
    return Progress(covered, period, f"{lasting(covered)} of {lasting(period)} are covered by measurements that passed")


def _plan(scene: Scene, standing: Standing) -> PlanNow:
    if not standing.is_current or standing.status is None:
        return PlanNow("Unknown: the target can't be looked at.")
    if standing.is_outdated:
        return PlanNow("Not made yet: what is desired has changed, and a pass is on its way.")
    if standing.status.phase is Phase.SUSPENDED:
        return PlanNow("Nothing is done while the target is suspended; `reconcile resume` ends that.")
    plan = plan_of(standing)
    if plan is None:
        return PlanNow("Another release is asked for than the one that serves; the next pass makes the plan.")
    notes = tuple(scene.text(note) for note in plan.notes)
    if not plan.is_empty:
        return PlanNow("The next pass does this:", tuple(scene.text(line) for line in plan_lines(plan)), notes)
    if plan.left:
        return PlanNow("Nothing is done about the drift: beside each stands why.", notes=notes)
    quarantined = standing.status.plan is None and standing.status.quarantine
    return PlanNow(f"Nothing to do{': what is asked for is quarantined' if quarantined else ''}.", notes=notes)


def _record(scene: Scene, record: RunRecord) -> RecordLine:
    return RecordLine(
        name=scene.text(record.name),
        href=record_address(record.name),
        kind=spaced(record.kind),
        verdict=scene.text(spaced(record.verdict)),
        tag=scene.text(record.tag),
        at=moment(record.started_at, scene.now),
        reason=scene.text(record.reason, most=200),
    )


def _seconds(seconds: float | None) -> str:
    return "" if seconds is None else f"{seconds:.1f} s"
