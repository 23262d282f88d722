"""Boards of the daemon in every state that a page has to tell, filled as the daemon fills them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from reconciler.core import history
from reconciler.core.health import Health
from reconciler.cycle.result import PassResult
from reconciler.cycle.status import Status, Sync
from reconciler.daemon.board import Board, SourceView
from reconciler.model.drift import Drift, Vector
from reconciler.model.errors import ExitCode
from reconciler.model.measure import GateKind, Measurement, Outcome
from reconciler.model.plan import Plan, Start
from reconciler.model.record import RecordKind, RunRecord
from reconciler.model.stored import Past, Phase, Quarantine, Stabilization, Suspension, TargetState

OLD, GOOD, BAD = "20260120_090000-1b7e03c4", "20260122_111500-466919c1", "20260122_121500-0912b3bd"
COMMIT = "3f2b8c1d9e0a4f5b6c7d8e9f0a1b2c3d4e5f6a7b"
RUN = "20260122_122001_42f1"
PERIOD = 24 * 3600.0
WHY = "containers: web: unhealthy: observer: database is locked"


def tag_of(release: str) -> str:
    return release.rpartition("-")[0]


@dataclass
class Scene:
    """A board, and the means to say what happened on one target. `now` is when it is told."""

    board: Board
    now: datetime

    def ago(self, **since: float) -> datetime:
        return self.now - timedelta(**since)

    def desired(self, release: str = GOOD, **changes: object) -> None:
        view = SourceView(
            app="observer",
            tag=tag_of(release),
            commit=COMMIT,
            since=self.ago(hours=3),
            asked_at=self.ago(seconds=20),
            period=PERIOD,
        )
        self.board.desired(replace(view, **changes))  # type: ignore[arg-type]

    def expect(self, *names: str) -> None:
        self.board.expect(names)

    def state(self, **changes: object) -> TargetState:
        """Two releases that were fine; the newer one serves and is stable."""
        known = {
            "app": "observer",
            "project": "observer",
            "serving": GOOD,
            "previous": OLD,
            "phase": Phase.STABLE,
            "since": self.ago(hours=2),
            "releases": {
                OLD: Past(
                    tag=tag_of(OLD),
                    switched_at=self.ago(days=3),
                    verified_at=self.ago(days=3),
                    stable_at=self.ago(days=2),
                ),
                GOOD: Past(
                    tag=tag_of(GOOD),
                    switched_at=self.ago(days=1, hours=3),
                    verified_at=self.ago(days=1, hours=3),
                    stable_at=self.ago(hours=2),
                ),
            },
        }
        return TargetState.model_validate({**known, **changes})

    def status(self, target: str, state: TargetState, **changes: object) -> Status:
        known = Status(
            target=target,
            sync=Sync.IN_SYNC,
            health=Health.HEALTHY,
            phase=state.shown_phase,
            desired_tag=tag_of(GOOD),
            serving=state.serving,
            last_good=history.last_good(state),
            since=state.since,
            quarantine=tuple(
                f"{name}: {held.reason} (record {held.run})" for name, held in sorted(state.quarantine.items())
            ),
            reason="",
            plan=Plan(GOOD, tag_of(GOOD), ()),
        )
        return replace(known, **changes)  # type: ignore[arg-type]

    def passed(
        self,
        target: str,
        state: TargetState | None,
        status: Status,
        *,
        result: str = "in_sync",
        code: ExitCode = ExitCode.OK,
        message: str = "in sync",
        **changes: object,
    ) -> None:
        tag = tag_of(GOOD)
        made = PassResult(target=target, exit_code=code, result=result, message=message, tag=tag, state=state)
        self.board.passed(target, replace(made, **changes), status)  # type: ignore[arg-type]

    def rounds(self, count: int, ending: Mapping[str, Outcome] | None = None) -> tuple[Measurement, ...]:
        """So many rounds of three gates; `ending` says how the last one ends for a gate."""
        found = []
        for number in range(count):
            at, last = self.now - timedelta(seconds=2 * (count - number)), number == count - 1
            memory = 40 + 9 * ((number * 7) % 5) / 4
            found += [
                _measured(GateKind.CONTAINERS, "containers", at, 2.0, "2 of 2 run and are healthy"),
                _measured(GateKind.HTTP, "api", at, 200.0, "GET http://127.0.0.1:8000/healthz answered 200"),
                _measured(GateKind.RESOURCES, "resources", at, memory, f"web memory {memory:.0f} %"),
            ]
            if last:
                found = [
                    replace(each, outcome=ending[each.gate], value=None, seen=f"{each.gate}: not as it should be")
                    if each.at == at and ending and each.gate in ending
                    else each
                    for each in found
                ]
        return tuple(found)


def _measured(kind: GateKind, gate: str, at: datetime, value: float, seen: str) -> Measurement:
    queries = {
        "containers": "running and healthy of 2 containers, at least 2, restarts ≤ 0",
        "api": "status of GET http://127.0.0.1:8000/healthz from the target, expected 200",
        "resources": "percent in use: CPU ≤ 80, memory ≤ 85, disk ≤ 90",
    }
    return Measurement(gate, kind, Outcome.PASS, at, queries[gate], seen, value)


def deployed(scene: Scene, target: str = "prod") -> None:
    """A release that is stabilizing, half an hour after its deployment."""
    base = scene.state()
    state = scene.state(
        phase=Phase.STABILIZING,
        since=scene.ago(minutes=30),
        stabilization=Stabilization(covered=1800.0, measured_at=scene.ago(seconds=2)),
        releases={
            OLD: base.releases[OLD],
            GOOD: Past(tag=tag_of(GOOD), switched_at=scene.ago(minutes=31), verified_at=scene.ago(minutes=30)),
        },
    )
    scene.passed(
        target,
        state,
        scene.status(target, state),
        result="deployed",
        message=f"{GOOD} is live and verified",
        record=f"/somewhere/records/deploy_{RUN}.md",
        measurements=scene.rounds(20),
        durations={"pass": 33.4},
    )


def reverted(scene: Scene, target: str = "prod") -> None:
    """A bad release came, and went; then the pass that says that it isn't tried again."""
    scene.desired(BAD)
    base = scene.state()
    held = {BAD: Quarantine(tag=tag_of(BAD), at=scene.ago(minutes=4), reason=WHY, run=RUN)}
    failed = Past(tag=tag_of(BAD), switched_at=scene.ago(minutes=5))
    state = scene.state(
        phase=Phase.ROLLED_BACK,
        since=scene.ago(minutes=4),
        releases={
            OLD: base.releases[OLD],
            BAD: failed,
            GOOD: base.releases[GOOD].model_copy(update={"switched_at": scene.ago(minutes=4, seconds=10)}),
        },
        quarantine=held,
    )
    after = scene.status(
        target,
        state,
        sync=Sync.OUT_OF_SYNC,
        reason=f"{BAD} is asked for, and quarantined",
        plan=None,
    )
    scene.passed(
        target,
        state,
        after,
        result="reverted",
        code=ExitCode.REVERTED,
        message=f"{BAD} breached ({WHY}) and is quarantined; {GOOD} serves again and is verified",
        record=f"/somewhere/records/rollback_{RUN}.md",
        measurements=scene.rounds(12, {"containers": Outcome.BREACH}),
        durations={"pass": 21.0},
    )
    scene.passed(
        target,
        state,
        after,
        result="blocked",
        code=ExitCode.BLOCKED,
        message=f"{BAD} is quarantined and isn't tried again; {GOOD} serves",
        plan=Plan(None, tag_of(BAD), ()),
    )


def drifted(scene: Scene, target: str = "prod") -> None:
    """A container was stopped by hand; the look that followed has it, the repair hasn't begun."""
    drift = Drift(Vector.CONTAINER, "web", "running", "exited (0)", hint="stop")
    step = Start("web", "c0ffee", "observer-web-1", "drift container: observer-web-1 was stopped")
    status = scene.status(
        target,
        scene.state(),
        sync=Sync.OUT_OF_SYNC,
        health=Health.DEGRADED,
        reason=f"container: {drift.line}; observer-web-1 is exited",
        plan=Plan(GOOD, tag_of(GOOD), (step,), (drift,)),
    )
    scene.passed(target, scene.state(), status)


def held(scene: Scene, target: str = "prod") -> None:
    """A release that couldn't be judged: a gate gave no data."""
    base = scene.state()
    state = scene.state(
        phase=Phase.HELD,
        since=scene.ago(minutes=6),
        releases={OLD: base.releases[OLD], GOOD: Past(tag=tag_of(GOOD), switched_at=scene.ago(minutes=7))},
    )
    scene.passed(
        target,
        state,
        scene.status(target, state),
        result="held",
        code=ExitCode.HELD,
        message=f"{GOOD} is still held: api: no data",
        record=f"/somewhere/records/deploy_{RUN}.md",
        measurements=scene.rounds(9, {"api": Outcome.NO_DATA, "resources": Outcome.ERROR}),
    )


def blind(scene: Scene, target: str = "prod") -> None:
    """The target is fine; what is desired can't be asked for any more."""
    stable(scene, target)
    scene.desired(asked_at=scene.ago(minutes=25), trouble="git.example: no route to host", is_blind=True)


def unreachable(scene: Scene, target: str = "prod") -> None:
    """It was fine, and then the connection was lost."""
    stable(scene, target)
    scene.board.lost(target, f"{target} (203.0.113.10:22): no SSH session: connection timed out")


def changed(scene: Scene, target: str = "prod") -> None:
    """Another tag was committed a moment ago; the pass over the target isn't over."""
    stable(scene, target)
    scene.desired(BAD, since=datetime.now(UTC))


def suspended(scene: Scene, target: str = "prod") -> None:
    """Somebody froze it."""
    frozen = Suspension(at=scene.ago(hours=1), by="olive@desk", message="database migration by hand")
    state = scene.state(suspended=frozen)
    reason = f"suspended by {frozen.by}: {frozen.message}"
    scene.passed(
        target,
        state,
        scene.status(target, state, reason=reason),
        result="blocked",
        code=ExitCode.BLOCKED,
        message=f"{reason}; `reconcile resume` ends it",
    )


def stable(scene: Scene, target: str = "prod") -> None:
    """Nothing is the matter."""
    scene.passed(target, scene.state(), scene.status(target, scene.state()))


SCENES: Mapping[str, Callable[[Scene, str], None]] = {
    "deployed": deployed,
    "reverted": reverted,
    "drifted": drifted,
    "held": held,
    "blind": blind,
    "unreachable": unreachable,
    "changed": changed,
    "suspended": suspended,
    "stable": stable,
}

STATES: Mapping[str, tuple[str, str, str]] = {
    "deployed": ("in sync", "healthy", "stabilizing"),
    "reverted": ("out of sync", "healthy", "rolled back"),
    "drifted": ("out of sync", "degraded", "stable"),
    "held": ("in sync", "healthy", "held"),
    "blind": ("unknown", "healthy", "stable"),
    "unreachable": ("unknown", "unknown", "unknown"),
    "changed": ("out of sync", "healthy", "stable"),
    "suspended": ("in sync", "healthy", "suspended"),
    "stable": ("in sync", "healthy", "stable"),
}
"""Sync, health and phase of each scene, in the words of the page."""


def scene_of(*names: str, now: datetime | None = None) -> Scene:
    """A board with one target for each of these scenes, named after it; `prod` where there is one."""
    scene = Scene(Board(), now or datetime.now(UTC))
    targets = names if len(names) > 1 else ("prod",)
    scene.desired()
    scene.expect(*targets)
    for name, target in zip(names, targets, strict=True):
        SCENES[name](scene, target)
    return scene


class FakeShelf:
    """Implements `daemon.pages.target.Shelf` over records in memory: name → record and document."""

    def __init__(self, records: Iterable[tuple[RunRecord, str]] = ()) -> None:
        self._records = {record.name: (record, text) for record, text in records}

    def latest(self, target: str, most: int) -> list[RunRecord]:
        return [record for record, _ in self._records.values() if record.target == target][:most]

    def text(self, name: str) -> str | None:
        found = [text for known, (_, text) in self._records.items() if name in {known, known.partition("_")[2]}]
        return found[0] if found else None


def record_of(target: str = "prod", *, reason: str = WHY, kind: RecordKind = RecordKind.ROLLBACK) -> RunRecord:
    """The record of a revert."""
    at = datetime(2026, 1, 22, 12, 20, 1, tzinfo=UTC)
    return RunRecord(
        run=RUN,
        kind=kind,
        app="observer",
        target=target,
        project="observer",
        controller="olive@desk",
        started_at=at,
        finished_at=at + timedelta(seconds=21),
        commit=COMMIT,
        tag=tag_of(BAD),
        release=BAD,
        from_release=GOOD,
        to_release=GOOD,
        verdict="no_go",
        reason=reason,
        quarantined=BAD,
        exit_code=3,
    )
