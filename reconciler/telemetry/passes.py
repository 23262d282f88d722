"""From the result of a pass to what is counted of it."""

from __future__ import annotations

from collections import Counter

from reconciler.core import history
from reconciler.core.health import Health
from reconciler.cycle.result import PassResult
from reconciler.model.deploy import Deploy
from reconciler.model.errors import ExitCode
from reconciler.model.measure import GateKind, Measurement, Outcome
from reconciler.model.stored import Phase, TargetState
from reconciler.model.watchdog import Ended, Mode
from reconciler.telemetry.metrics.sample import PassSample, Remembered

_DEPLOYS = {"deployed": "verified", "held": "held", "reverted": "reverted", "revert_failed": "revert_failed"}
_RESULTS = {
    "deployed": "converged",
    "healed": "converged",
    "adopted": "converged",
    "rolled_back": "converged",
    "drifted": "pending",
    "failed": "error",
}
_SYNC = {ExitCode.OK: "in_sync", ExitCode.HELD: "in_sync"}


def sample_of(deploy: Deploy, result: PassResult, *, at: float, by_hand: bool = False) -> PassSample:
    """The sample of a pass that ended `at` (Unix seconds). `by_hand`: a person asked for the rollback that it was."""
    state = result.state
    # Out of reach, locked, refused, suspended: nobody looked (P6).
    looked = state is not None and (result.plan is not None or bool(result.measurements))
    spent = result.durations
    switched = _DEPLOYS.get(result.result) if "switch" in spent else None
    return PassSample(
        app=deploy.app,
        target=result.target,
        sync=_SYNC.get(result.exit_code, "out_of_sync") if looked else "unknown",
        health=(_health(result) if looked else Health.UNKNOWN).value,
        result=_RESULTS.get(result.result, result.result),
        last_reconcile_ts=at,
        interval_s=deploy.drift.every,
        up=result.result != "unreachable",
        reconcile_s=spent.get("pass", 0.0),
        remembered=_remembered(deploy, result, state) if state is not None else None,
        lease_deadline_ts=_lease_deadline(deploy, result, at),
        deploy_s=spent.get("pass") if switched else None,
        rollback_s=spent.get("revert"),
        deploys={switched: 1} if switched else {},
        rollbacks=_rollbacks(result, by_hand=by_hand),
        heals=_heals(result),
        drift=Counter(drift.vector.value for drift in result.plan.drift) if result.plan else {},
        gates=Counter((measurement.gate, measurement.outcome.value) for measurement in result.measurements),
    )


def _remembered(deploy: Deploy, result: PassResult, state: TargetState) -> Remembered:
    good = history.last_good(state)
    past = state.releases.get(good) if good else None
    proved = (past.stable_at or past.verified_at) if past else None
    since = state.suspended.at if state.suspended else state.since
    stabilizing = state.phase is Phase.STABILIZING
    counted = state.stabilization.covered if state.stabilization else 0.0
    return Remembered(
        phase=state.shown_phase.value if state.shown_phase else "",
        since_ts=since.timestamp() if since else None,
        last_good_ts=proved.timestamp() if proved else None,
        blind=result.result == "held" and not _breaches(result.measurements),
        quarantined=len(state.quarantine),
        desired_quarantined=_desired_quarantined(result, state),
        covered_s=counted if stabilizing else None,
        period_s=deploy.stabilization.period,
    )


def _lease_deadline(deploy: Deploy, result: PassResult, at: float) -> float | None:
    """When a target acts that was lost in the middle of a switch. What another took over, that one has in hand."""
    is_lost = result.lease is Mode.SWITCH and result.exit_code is not ExitCode.LOCKED
    return at + deploy.rollback.watchdog if is_lost else None


def _desired_quarantined(result: PassResult, state: TargetState) -> bool | None:
    if not state.quarantine:
        return False
    left = {"reverted", "revert_failed", "rolled_back"}  # then `release` is the one that was left
    desired = result.desired or (result.release if result.result in left else None)
    return None if desired is None else desired in state.quarantine


def _health(result: PassResult) -> Health:
    """What gates measured last says most; else what the engine said of the containers."""
    failed = result.state is not None and result.state.phase is Phase.FAILED
    if failed or result.exit_code is ExitCode.REVERT_FAILED or _breaches(result.measurements):
        return Health.DEGRADED
    if result.measurements:
        containers = _last(result.measurements).get(("containers", GateKind.CONTAINERS))
        told = {Outcome.PASS: Health.HEALTHY, Outcome.INCONCLUSIVE: Health.PROGRESSING}
        return told.get(containers.outcome, Health.UNKNOWN) if containers else Health.UNKNOWN
    return result.health or Health.UNKNOWN


def _breaches(taken: tuple[Measurement, ...]) -> bool:
    return any(measurement.outcome is Outcome.BREACH for measurement in _last(taken).values())


def _last(taken: tuple[Measurement, ...]) -> dict[tuple[str, GateKind], Measurement]:
    return {(measurement.gate, measurement.kind): measurement for measurement in taken}


def _heals(result: PassResult) -> dict[str, int]:
    if "heal" not in result.durations:
        return {}
    return {"healed": {"healed": 1}, "failed": {"failed": 1}}.get(result.result, {})


def _rollbacks(result: PassResult, *, by_hand: bool) -> dict[tuple[str, str], int]:
    counted: Counter[tuple[str, str]] = Counter()
    match result.result:
        case "reverted" if result.state and result.state.phase is Phase.ROLLED_BACK:
            blamed = result.release in result.state.quarantine
            counted["breach" if blamed else "interrupted", "verified"] += 1
        case "revert_failed":
            counted["by_hand" if by_hand else "breach", "failed"] += 1
        case "rolled_back":
            counted["by_hand", "verified"] += 1
    if result.alone is Ended.REVERTED:
        counted["watchdog", "verified"] += 1
    elif result.alone in {Ended.REVERT_FAILED, Ended.ABANDONED}:
        counted["watchdog", "failed"] += 1
    return counted
