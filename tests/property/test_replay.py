"""What a record keeps is enough: its verdicts are recomputed from it, however long and strange a window was."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from reconciler.adapters.records.markdown import from_markdown, to_markdown
from reconciler.core import account
from reconciler.core.account import recorded
from reconciler.core.replay import Replay, replay
from reconciler.core.stabilize import Blind, Breached, absorb
from reconciler.core.verdict import judge_window
from reconciler.model.measure import (
    GateKind,
    GateLimits,
    Measurement,
    OnSilence,
    Outcome,
    RoundRules,
    Verdict,
    VerdictKind,
    Verification,
)
from reconciler.model.record import RecordKind, RunRecord
from reconciler.model.stored import Stabilization

START = datetime(2026, 1, 22, 10, 15, tzinfo=UTC)
RELEASE = "20260122_101500-00000000"

moments = st.integers(-5, 5).map(lambda minutes: START + timedelta(minutes=minutes))
limits = st.builds(
    GateLimits,
    gate=st.sampled_from(["a", "b", "c"]),
    kind=st.sampled_from(list(GateKind)),
    breach_limit=st.none() | st.integers(0, 5),
    min_samples=st.integers(1, 4),
    due=st.none() | moments,
    skipped=st.sampled_from(["", "no release before"]),
    on_no_data=st.sampled_from(list(OnSilence)),
    on_error=st.sampled_from(list(OnSilence)),
)
# Runs of one outcome: what a record thins are long rows of passes.
outcomes = st.lists(st.tuples(st.sampled_from(list(Outcome)), st.integers(1, 90)), max_size=6)


def measured(gates: list[GateLimits], runs: list[tuple[Outcome, int]], *, fatal: bool) -> list[Measurement]:
    """Rounds over `gates` whose outcomes go round robin through `runs`: no two gates have the same row."""
    row = [outcome for outcome, count in runs for _ in range(count)]
    taken = []
    for n in range(len(row)):
        for place, gate in enumerate(gates):
            outcome = row[(n + 7 * place) % len(row)]
            seen = f"saw {outcome} in {n}"
            taken.append(Measurement(gate.gate, gate.kind, outcome, START + timedelta(seconds=n), "query", seen))
    if fatal and taken:
        last = taken.pop()
        taken.append(Measurement(last.gate, last.kind, Outcome.BREACH, last.at, "query", "crash", None, fatal=True))
    return taken


def told(*judged: Verification, verdict: VerdictKind) -> Replay:
    """What a reader of the record's document recomputes."""
    measurements, judgements = recorded(judged, lambda text: text)
    record = RunRecord(
        run="20260122_101500_abcd",
        kind=RecordKind.DEPLOY,
        app="observer",
        target="prod",
        project="observer",
        controller="me",
        started_at=START,
        finished_at=START,
        tag="20260122_101500",
        release=RELEASE,
        measurements=measurements,
        judgements=judgements,
        verdict=verdict,
        reason="",
        exit_code=0,
    )
    return replay(from_markdown(to_markdown(record), name="a record"))


@settings(deadline=None, max_examples=60)
@given(gates=st.lists(limits, max_size=3, unique_by=lambda g: (g.gate, g.kind)), runs=outcomes, now=moments)
def test_a_window_is_judged_the_same_from_its_record(
    gates: list[GateLimits], runs: list[tuple[Outcome, int]], now: datetime
) -> None:
    taken = measured(gates, runs, fatal=now == START)
    verdict = judge_window(taken, gates=gates, now=now)
    found = told(Verification(RELEASE, now, verdict, tuple(taken), tuple(gates)), verdict=verdict.kind)
    assert found.agrees
    (again,) = found.judgements
    assert again.verdict.kind is verdict.kind
    assert again.verdict.reason == verdict.reason
    assert [(m.gate, m.outcome) for m in by_gate(again.measurements)] == [(m.gate, m.outcome) for m in by_gate(taken)]


@settings(deadline=None, max_examples=60)
@given(
    gates=st.lists(limits, max_size=3, unique_by=lambda g: g.gate),
    row=st.lists(st.sampled_from(list(Outcome)), min_size=3, max_size=3),
    counted=st.builds(
        Stabilization,
        covered=st.floats(0, 100),
        measured_at=st.none() | moments,
        breaches=st.integers(0, 3),
        breached=st.dictionaries(st.sampled_from(["a", "b", "c"]), st.integers(0, 5)),
        inconclusive=st.integers(0, 5),
        no_data=st.integers(0, 5),
        errors=st.integers(0, 5),
    ),
    limit=st.integers(0, 3),
)
def test_a_round_of_stabilization_is_judged_the_same_from_its_record(
    gates: list[GateLimits], row: list[Outcome], counted: Stabilization, limit: int
) -> None:
    taken = [
        Measurement(gate.gate, gate.kind, outcome, START, "query", f"saw {outcome}")
        for gate, outcome in zip(gates, row, strict=False)
    ]
    rules = RoundRules(counted, 60.0, 5.0, limit)
    _, found = absorb(counted, taken, gates=gates, now=START, period=60.0, interval=5.0, breach_limit=limit)
    kind = VerdictKind.NO_GO if isinstance(found, Breached) else VerdictKind.HOLD if isinstance(found, Blind) else None
    verdict = Verdict(kind or VerdictKind.GO, "")
    again = told(Verification(RELEASE, START, verdict, tuple(taken), tuple(gates), rules), verdict=verdict.kind)
    assert again.agrees


def by_gate(measurements: list[Measurement] | tuple[Measurement, ...]) -> list[Measurement]:
    return sorted(measurements, key=lambda m: (m.gate, m.kind))


def test_a_long_window_is_short_in_its_record() -> None:
    gates = [GateLimits(name, GateKind.NETWORK) for name in ("a", "b")]
    taken = measured(gates, [(Outcome.PASS, 500), (Outcome.ERROR, 1), (Outcome.PASS, 500)], fatal=False)
    kept, _ = recorded(
        [Verification(RELEASE, START, judge_window(taken, gates=gates), tuple(taken), tuple(gates))], lambda text: text
    )
    assert len(kept) == 26
    assert len(kept) + sum(m.omitted for m in kept) == len(taken)
    assert max(len(taken), account.MOST_MEASUREMENTS) == len(taken)
