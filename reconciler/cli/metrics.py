"""What `--metrics-file` says of the passes of one run: nothing can scrape a process that has ended."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from reconciler.core import history
from reconciler.cycle.result import PassResult
from reconciler.model.deploy import Deploy
from reconciler.model.errors import ExitCode
from reconciler.model.stored import Phase
from reconciler.model.watchdog import Ended
from reconciler.telemetry.metrics import PassSample, write_textfile

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


def write_metrics(file: Path, deploy: Deploy, results: Sequence[PassResult]) -> None:
    """Adds this run to the textfile, atomically. Raises OSError where it can't be written."""
    write_textfile(file, [_sample(deploy, result) for result in results])


def _sample(deploy: Deploy, result: PassResult) -> PassSample:
    state = result.state
    good = history.last_good(state) if state else None
    past = state.releases.get(good) if state and good else None
    proved = (past.stable_at or past.verified_at) if past else None
    unknown = state is None  # out of reach, locked, refused: nobody looked (P6)
    mutated = result.record is not None
    spent = result.durations
    return PassSample(
        app=deploy.app,
        target=result.target,
        sync="unknown" if unknown else _SYNC.get(result.exit_code, "out_of_sync"),
        health="unknown" if unknown else _health(result),
        phase=state.shown_phase.value if state and state.shown_phase else "",
        result=_RESULTS.get(result.result, result.result),
        last_reconcile_ts=time.time(),
        interval_s=deploy.drift.every,
        last_good_ts=proved.timestamp() if proved else None,
        up=result.result != "unreachable",
        reconcile_s=spent.get("pass", 0.0),
        deploy_s=spent.get("pass") if mutated and result.result in _DEPLOYS else None,
        rollback_s=spent.get("revert"),
        deploys={_DEPLOYS[result.result]: 1} if mutated and result.result in _DEPLOYS else {},
        rollbacks=_rollbacks(result),
        drift=Counter(drift.vector.value for drift in result.plan.drift) if result.plan else {},
        gates=Counter((measurement.gate, measurement.outcome.value) for measurement in result.measurements),
    )


def _health(result: PassResult) -> str:
    if result.exit_code in {ExitCode.ERROR, ExitCode.REVERT_FAILED}:
        return "degraded"
    return "missing" if result.serving is None else "healthy"


def _rollbacks(result: PassResult) -> dict[tuple[str, str], int]:
    counted: Counter[tuple[str, str]] = Counter()
    match result.result:
        case "reverted" if result.state and result.state.phase is Phase.ROLLED_BACK:
            counted["breach", "verified"] += 1
        case "revert_failed":
            counted["breach", "failed"] += 1
        case "rolled_back":
            counted["by_hand", "verified"] += 1
    if result.alone is Ended.REVERTED:
        counted["watchdog", "verified"] += 1
    elif result.alone in {Ended.REVERT_FAILED, Ended.ABANDONED}:
        counted["watchdog", "failed"] += 1
    return counted
