"""What is counted of a pass: each deploy, revert and repair once, and nothing that nobody looked at."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

import reconciler.cycle
from reconciler.core.health import Health
from reconciler.cycle.result import PassResult
from reconciler.model.deploy import Deploy
from reconciler.model.drift import Drift, Vector
from reconciler.model.errors import ExitCode
from reconciler.model.measure import GateKind, Measurement, Outcome
from reconciler.model.plan import Plan
from reconciler.model.stored import Past, Phase, Quarantine, Stabilization, Suspension, TargetState
from reconciler.model.watchdog import Ended, Mode
from reconciler.telemetry.metrics.registry import RESULTS
from reconciler.telemetry.metrics.sample import PassSample
from reconciler.telemetry.passes import sample_of

NOW = datetime(2026, 1, 22, 12, 0, tzinfo=UTC)
OLD, NEW = "20260122_101500-aaaaaaaa", "20260122_111500-bbbbbbbb"
DEPLOY = Deploy.model_validate(
    {
        "apiVersion": "reconciler/v1",
        "app": "observer",
        "tag": "20260122_111500",
        "compose": "compose.yaml",
        "targets": {"prod": {"host": "local", "deploy_dir": "/srv/observer"}},
    }
)
STATE = TargetState(
    app="observer",
    project="observer",
    serving=NEW,
    phase=Phase.STABILIZING,
    since=NOW,
    releases={NEW: Past(tag="20260122_111500", switched_at=NOW, verified_at=NOW)},
    stabilization=Stabilization(covered=60.0),
)
SWITCHED = {"pass": 9.0, "stage": 1.0, "switch": 2.0, "verify": 5.0}
BLAMED = {NEW: Quarantine(tag="20260122_111500", at=NOW, reason="breach", run="r1")}
WENT_BACK = STATE.model_copy(
    update={"serving": OLD, "phase": Phase.ROLLED_BACK, "stabilization": None, "quarantine": BLAMED}
)
DONE = PassResult(
    "prod", ExitCode.OK, "in_sync", "", "t", release=NEW, serving=NEW, plan=Plan(NEW, "t", ()), state=STATE,
    health=Health.HEALTHY, durations={"pass": 0.5},
)  # fmt: skip


def measured(outcome: Outcome, kind: GateKind = GateKind.CONTAINERS, gate: str = "containers") -> Measurement:
    return Measurement(gate, kind, outcome, NOW, "q", "seen")


def sample(result: PassResult, *, by_hand: bool = False) -> PassSample:
    return sample_of(DEPLOY, result, at=1000.0, by_hand=by_hand)


def test_nothing_to_do() -> None:
    """In sync, with what the target remembers."""
    got = sample(DONE)
    assert (got.sync, got.health, got.result, got.up) == ("in_sync", "healthy", "in_sync", True)
    assert got.remembered is not None
    assert (got.remembered.phase, got.remembered.since_ts) == ("stabilizing", NOW.timestamp())
    assert (got.remembered.covered_s, got.remembered.period_s) == (60.0, 86_400.0)
    assert got.remembered.last_good_ts == NOW.timestamp()
    assert [*got.deploys, *got.rollbacks, *got.heals, *got.drift, *got.gates] == []
    assert (got.deploy_s, got.rollback_s, got.reconcile_s) == (None, None, 0.5)


def test_who_did_not_look_knows_nothing() -> None:
    """Out of reach, and suspended: neither in sync nor healthy (P6). A freeze is the phase that people see."""
    lost = PassResult("prod", ExitCode.UNREACHABLE, "unreachable", "", "t")
    got = sample(lost)
    assert (got.sync, got.health, got.up, got.remembered) == ("unknown", "unknown", False, None)
    frozen = STATE.model_copy(update={"suspended": Suspension(at=NOW, by="x", message="y")})
    got = sample(PassResult("prod", ExitCode.BLOCKED, "blocked", "", "t", serving=NEW, state=frozen))
    assert (got.sync, got.health, got.up) == ("unknown", "unknown", True)
    assert got.remembered is not None
    assert got.remembered.phase == "suspended"


@pytest.mark.parametrize(
    ("word", "code", "expected"),
    [
        ("deployed", ExitCode.OK, "verified"),
        ("held", ExitCode.HELD, "held"),
        ("reverted", ExitCode.REVERTED, "reverted"),
        ("revert_failed", ExitCode.REVERT_FAILED, "revert_failed"),
    ],
)
def test_a_deploy_counts_once_when_it_is_made(word: str, code: ExitCode, expected: str) -> None:
    """A later pass that finds the same release held, or sweeps, or reverts it, is no other deploy."""
    result = replace(DONE, result=word, exit_code=code, record="r", durations=SWITCHED)
    assert sample(result).deploys == {expected: 1}
    assert sample(result).deploy_s == 9.0
    later = replace(result, durations={"pass": 5.0, "revert": 2.0})
    assert sample(later).deploys == {}
    assert sample(later).deploy_s is None


def test_reverts_by_their_reason() -> None:
    """A breach, an interruption, a person and the watchdog; an attempt that failed is one, too."""
    back = replace(DONE, result="reverted", exit_code=ExitCode.REVERTED, state=WENT_BACK, durations={"revert": 4.0})
    assert sample(back).rollbacks == {("breach", "verified"): 1}
    assert sample(back).rollback_s == 4.0
    blameless = WENT_BACK.model_copy(update={"quarantine": {}})
    assert sample(replace(back, state=blameless)).rollbacks == {("interrupted", "verified"): 1}
    nowhere = WENT_BACK.model_copy(update={"phase": Phase.FAILED})
    assert sample(replace(back, state=nowhere)).rollbacks == {}, "a first release has nothing to go back to"
    failed = replace(back, result="revert_failed", exit_code=ExitCode.REVERT_FAILED)
    assert sample(failed).rollbacks == {("breach", "failed"): 1}
    assert sample(failed, by_hand=True).rollbacks == {("by_hand", "failed"): 1}
    assert sample(replace(back, result="rolled_back")).rollbacks == {("by_hand", "verified"): 1}
    assert sample(replace(DONE, alone=Ended.REVERTED)).rollbacks == {("watchdog", "verified"): 1}
    assert sample(replace(DONE, alone=Ended.REVERT_FAILED)).rollbacks == {("watchdog", "failed"): 1}
    assert sample(replace(DONE, alone=Ended.KEPT)).rollbacks == {}


def test_repairs() -> None:
    """One that ended in a revert is a revert."""
    healed = replace(DONE, result="healed", durations={"heal": 1.0})
    assert sample(healed).heals == {"healed": 1}
    assert sample(replace(healed, result="failed", exit_code=ExitCode.ERROR)).heals == {"failed": 1}
    assert sample(replace(healed, result="reverted", exit_code=ExitCode.REVERTED)).heals == {}
    assert sample(replace(DONE, result="failed", exit_code=ExitCode.ERROR)).heals == {}


def test_health_is_what_was_measured_last() -> None:
    """The bad release's breach isn't the way back's; a breach of any gate counts; no measurement is no pass."""
    ill, well = measured(Outcome.BREACH), measured(Outcome.PASS)
    assert sample(replace(DONE, measurements=(ill, well))).health == "healthy"
    assert sample(replace(DONE, measurements=(well, ill))).health == "degraded"
    api = measured(Outcome.BREACH, GateKind.HTTP, "api")
    assert sample(replace(DONE, measurements=(well, api))).health == "degraded"
    assert sample(replace(DONE, measurements=(measured(Outcome.INCONCLUSIVE),))).health == "progressing"
    assert sample(replace(DONE, measurements=(measured(Outcome.ERROR),))).health == "unknown"
    assert sample(replace(DONE, health=Health.DEGRADED)).health == "degraded", "the engine's word, stable or not"
    assert sample(replace(DONE, health=None)).health == "unknown"
    stopped = WENT_BACK.model_copy(update={"phase": Phase.FAILED})
    assert sample(replace(DONE, state=stopped)).health == "degraded"


def test_blind_is_held_for_want_of_measurements() -> None:
    """Held although it breached (rollback.on_breach: false) is something else."""
    held = replace(DONE, result="held", exit_code=ExitCode.HELD, measurements=(measured(Outcome.NO_DATA),))
    got = sample(held).remembered
    assert got is not None
    assert got.blind
    got = sample(replace(held, measurements=(measured(Outcome.BREACH),))).remembered
    assert got is not None
    assert not got.blind


def test_quarantine() -> None:
    """How many, and whether the one that is asked for is among them."""
    blocked = replace(DONE, result="blocked", exit_code=ExitCode.BLOCKED, state=WENT_BACK, release=OLD, desired=NEW)
    got = sample(blocked).remembered
    assert got is not None
    assert (got.quarantined, got.desired_quarantined) == (1, True)
    got = sample(replace(blocked, desired=OLD)).remembered
    assert got is not None
    assert (got.quarantined, got.desired_quarantined) == (1, False)
    got = sample(replace(blocked, desired=None)).remembered
    assert got is not None
    assert got.desired_quarantined is None, "an audit doesn't know what is asked for"
    got = sample(replace(blocked, desired=None, state=STATE)).remembered
    assert got is not None
    assert got.desired_quarantined is False, "retry lifted it"
    got = sample(replace(blocked, desired=None, release=NEW, result="rolled_back")).remembered
    assert got is not None
    assert got.desired_quarantined


def test_a_lease_that_was_left_behind() -> None:
    """A pass that was lost in the middle knows until when the target waits for it; a soak's lease is no such thing."""
    lost = PassResult("prod", ExitCode.UNREACHABLE, "unreachable", "", "t", lease=Mode.SWITCH)
    assert sample(lost).lease_deadline_ts == 1000.0 + DEPLOY.rollback.watchdog
    assert sample(replace(DONE, lease=Mode.SOAK)).lease_deadline_ts is None
    taken = replace(lost, exit_code=ExitCode.LOCKED, result="locked")
    assert sample(taken).lease_deadline_ts is None, "another has the target in hand"


def test_drift_and_gates_are_counted_by_their_words() -> None:
    """Vectors and gates, never what was found."""
    drift = Drift(Vector.ENV, ".env", "x", "y")
    plan = Plan(NEW, "t", (), drift=(drift, drift))
    got = sample(replace(DONE, plan=plan, measurements=(measured(Outcome.PASS), measured(Outcome.PASS))))
    assert got.drift == {"env": 2}
    assert got.gates == {("containers", "pass"): 2}


def test_every_word_of_a_pass_has_a_series() -> None:
    """A result that the registry doesn't know would be refused, and the metrics of the run with it."""
    source = "".join(path.read_text() for path in Path(reconciler.cycle.__path__[0]).glob("*.py"))
    words = set(re.findall(r'result="(\w+)"', source)) | set(re.findall(r'"(\w+)" if [\w.]+ else "in_sync"', source))
    words -= {"swept"}  # the record's; the pass keeps its own
    assert {"deployed", "healed", "adopted", "rolled_back", "drifted", "pending"} <= words
    for word in words:
        assert sample(replace(DONE, result=word)).result in RESULTS, word
