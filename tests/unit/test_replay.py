"""A verdict from a record alone: what agrees, what was tampered with, and what can't be told."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from reconciler.core.account import recorded
from reconciler.core.replay import replay
from reconciler.core.verdict import judge_window
from reconciler.model.measure import GateKind, GateLimits, Measurement, Outcome, VerdictKind, Verification
from reconciler.model.record import RecordKind, RunRecord

NOW = datetime(2026, 1, 22, 10, 15, tzinfo=UTC)
NEW, OLD = "20260122_101500-11111111", "20260121_101500-22222222"
API = GateLimits("api", GateKind.HTTP)


def window(release: str, outcome: Outcome) -> Verification:
    """One window of one measurement."""
    taken = (Measurement("api", GateKind.HTTP, outcome, NOW, "query", "saw it"),)
    return Verification(release, NOW, judge_window(taken, gates=[API], now=NOW), taken, (API,))


def a_record(*judged: Verification, verdict: str) -> RunRecord:
    measurements, judgements = recorded(judged, lambda text: text)
    return RunRecord(
        run="20260122_101500_abcd",
        kind=RecordKind.DEPLOY,
        app="observer",
        target="prod",
        project="observer",
        controller="me",
        started_at=NOW,
        finished_at=NOW,
        tag="20260122_101500",
        release=NEW,
        measurements=measurements,
        judgements=judgements,
        verdict=verdict,
        reason="",
        exit_code=0,
    )


PASSED, BREACHED = window(NEW, Outcome.PASS), window(NEW, Outcome.BREACH)
BACK, BACK_TOO = window(OLD, Outcome.PASS), window(OLD, Outcome.BREACH)


@pytest.mark.parametrize(
    ("judged", "verdict", "trouble"),
    [
        ([PASSED], "go", ""),
        ([BREACHED, BACK], "no_go", ""),
        ([BREACHED, BACK_TOO], "no_go", ""),
        ([BACK], "go", ""),  # by hand: what was left isn't measured
        ([BACK], "interrupted", ""),
        ([PASSED], "no_go", "its own judgement"),
        ([BREACHED], "go", "its own judgement"),
        ([BACK], "no_go", "doesn't come from measurements"),  # it didn't even start
        ([], "no_go", "nothing was measured"),
        ([], "interrupted", "nothing was measured"),
    ],
)
def test_the_verdict_of_a_pass_follows_from_the_judgement_of_its_release(
    judged: list[Verification], verdict: str, trouble: str
) -> None:
    found = replay(a_record(*judged, verdict=verdict))
    assert found.agrees is not bool(trouble)
    assert trouble in found.trouble


def test_a_measurement_that_somebody_changed_is_found() -> None:
    record = a_record(BREACHED, verdict="no_go")
    (measured,) = record.measurements
    forged = record.model_copy(update={"measurements": (measured.model_copy(update={"outcome": Outcome.PASS}),)})
    found = replay(forged)
    assert not found.agrees
    assert found.judgements[0].verdict.kind is VerdictKind.GO


@pytest.mark.parametrize(
    ("change", "trouble"),
    [
        ({"measurements": ()}, "measurements are missing: 0 of 1"),
        ({"judgements": ()}, "it holds no limits"),
        ({"measurements": a_record(PASSED, PASSED, verdict="go").measurements}, "belong to no judgement"),
    ],
)
def test_what_is_missing_is_said(change: dict[str, object], trouble: str) -> None:
    found = replay(a_record(PASSED, verdict="go").model_copy(update=change))
    assert not found.agrees
    assert trouble in found.trouble
