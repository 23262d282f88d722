"""Stabilization counts only time that passing measurements cover, and each limit is its own."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from reconciler.core.stabilize import Blind, Breached, GoingOn, StabilizationVerdict, Stable, absorb
from reconciler.model.measure import GateKind, GateLimits, Measurement, OnSilence, Outcome
from reconciler.model.stored import Stabilization

START = datetime(2026, 1, 22, 10, 15, tzinfo=UTC)
OUTCOMES = {
    "P": Outcome.PASS,
    "B": Outcome.BREACH,
    "?": Outcome.INCONCLUSIVE,
    "0": Outcome.NO_DATA,
    "E": Outcome.ERROR,
}
PERIOD, INTERVAL, LIMIT = 100.0, 10.0, 2


def a_round(letters: str, *, fatal: bool = False) -> list[Measurement]:
    """One measurement a letter, each of another gate; "-" is a round that measured nothing."""
    return [
        Measurement(f"gate{n}", GateKind.HTTP, OUTCOMES[letter], START, "query", f"saw {letter}", fatal=fatal)
        for n, letter in enumerate(letters.replace("-", ""))
    ]


def after(
    rounds: str, *, every: float = INTERVAL, stab: Stabilization | None = None
) -> tuple[Stabilization, StabilizationVerdict]:
    """The state and the last verdict after rounds such as "P P BP", each `every` seconds after the one before."""
    stab = stab or Stabilization(measured_at=START)
    verdict: StabilizationVerdict = GoingOn()
    for n, letters in enumerate(rounds.split(), start=1):
        now = START + timedelta(seconds=n * every)
        stab, verdict = absorb(stab, a_round(letters), now=now, period=PERIOD, interval=INTERVAL, breach_limit=LIMIT)
    return stab, verdict


@pytest.mark.parametrize(
    ("rounds", "covered"),
    [
        ("P", 10.0),
        ("P P P", 30.0),
        ("PP PPP", 20.0),
        ("P B P P", 20.0),  # 10 to 30 lie next to a breach
        ("P E P", 10.0),
        ("P 0 P", 10.0),
        ("P ? P", 10.0),
        ("P PE P", 10.0),
        ("P - P", 10.0),
        ("B P", 0.0),
        ("B P P", 10.0),
    ],
)
def test_only_time_between_two_passing_rounds_counts(rounds: str, covered: float) -> None:
    assert after(rounds)[0].covered == covered


@pytest.mark.parametrize(("gap", "counts"), [(5.0, 5.0), (10.0, 10.0), (20.0, 20.0), (21.0, 20.0), (86400.0, 20.0)])
def test_a_gap_counts_for_two_intervals_at_most(gap: float, counts: float) -> None:
    assert after("P", every=gap)[0].covered == counts


def test_a_first_round_covers_nothing_by_itself() -> None:
    stab, verdict = after("P", stab=Stabilization())
    assert (stab.covered, verdict) == (0.0, GoingOn())
    assert stab.measured_at == START + timedelta(seconds=10)


def test_a_clock_that_went_back_counts_nothing_and_goes_on_from_there() -> None:
    ahead = Stabilization(covered=30.0, measured_at=START + timedelta(days=1))
    stab, _ = after("P", stab=ahead)
    assert stab.covered == 30.0
    stab, _ = after("P P", stab=ahead)
    assert stab.covered == 40.0


@pytest.mark.parametrize(("rounds", "stable"), [("P " * 9, False), ("P " * 10, True), ("P " * 9 + "B", False)])
def test_stable_when_the_whole_period_is_covered(rounds: str, stable: bool) -> None:
    assert (after(rounds)[1] == Stable()) is stable


def test_a_round_that_does_not_pass_never_makes_it_stable() -> None:
    nearly = Stabilization(covered=PERIOD + 1, measured_at=START)
    for letters in ("B", "E", "0", "?", "-"):
        assert after(letters, stab=nearly)[1] == GoingOn()


@pytest.mark.parametrize(
    ("rounds", "kind", "reason"),
    [
        ("B", GoingOn, ""),
        ("B B", GoingOn, ""),
        ("B B B", Breached, "gate0: saw B (3 breaches, 2 allowed)"),
        ("B P B P P B", Breached, "gate0: saw B (3 breaches, 2 allowed)"),
        ("BBB", GoingOn, ""),
        ("PBB PB", GoingOn, ""),
        ("E E E", GoingOn, ""),
        ("E E E E", Blind, "gate0: saw E"),
        ("E E E P E E E", GoingOn, ""),
        ("PE PE PE PPE", Blind, "gate2: saw E"),
        ("0 0 0", GoingOn, ""),
        ("0 0 0 0", Blind, "gate0: saw 0"),
        ("- - -", GoingOn, ""),
        ("- - - -", Blind, "nothing was measured"),
        ("0 - 0 -", Blind, "nothing was measured"),
        ("? ? ?", GoingOn, ""),
        ("? ? ? ?", Blind, "gate0: saw ?"),
        ("E 0 E 0 E 0", GoingOn, ""),
        ("E 0 E 0 E 0 E", Blind, "gate0: saw E"),
        ("B B E E E BE", Breached, "gate0: saw B (3 breaches, 2 allowed)"),
        ("E E E E B", Blind, "gate0: saw B"),
        ("E E E E P", GoingOn, ""),
    ],
)
def test_the_limits(rounds: str, kind: type[StabilizationVerdict], reason: str) -> None:
    verdict = after(rounds)[1]
    assert isinstance(verdict, kind)
    if isinstance(verdict, Breached | Blind):
        assert verdict.reason == reason


def test_a_passing_round_resets_every_counter_in_a_row_but_never_the_breaches() -> None:
    stab, _ = after("BE 0 ?")
    assert (stab.breaches, stab.errors, stab.no_data, stab.inconclusive) == (1, 1, 1, 1)
    stab, _ = after("BE 0 ? P")
    assert (stab.breaches, stab.errors, stab.no_data, stab.inconclusive) == (1, 0, 0, 0)


def test_a_fatal_breach_reverts_at_once() -> None:
    measured = a_round("P") + a_round("B", fatal=True)
    _, verdict = absorb(Stabilization(), measured, now=START, period=PERIOD, interval=INTERVAL, breach_limit=LIMIT)
    assert verdict == Breached("gate0: saw B", measured[1])


def test_absorbing_is_pure() -> None:
    stab = Stabilization(covered=5.0, measured_at=START, breaches=1)
    kept = stab.model_copy()
    after("B", stab=stab)
    assert stab == kept


RATE = GateLimits("gate0", GateKind.HTTP)


def absorbed(rounds: str, gate: GateLimits) -> tuple[Stabilization, StabilizationVerdict]:
    """As `after`, with the limits of gate0."""
    stab = Stabilization(measured_at=START)
    verdict: StabilizationVerdict = GoingOn()
    for n, letters in enumerate(rounds.split(), start=1):
        now = START + timedelta(seconds=n * INTERVAL)
        stab, verdict = absorb(
            stab, a_round(letters), gates=[gate], now=now, period=PERIOD, interval=INTERVAL, breach_limit=LIMIT
        )
    return stab, verdict


@pytest.mark.parametrize(
    ("rounds", "gate", "reason"),
    [
        ("B", replace(RATE, breach_limit=0), "gate0: saw B (1 breaches, 0 allowed)"),
        ("B P B P B", replace(RATE, breach_limit=3), ""),
        ("B P B P B P B", replace(RATE, breach_limit=3), "gate0: saw B (4 breaches, 3 allowed)"),
        ("BB PB BP", replace(RATE, breach_limit=3), ""),  # gate1 is counted apart: two of its own
        ("BB PB PB", replace(RATE, breach_limit=3), "gate1: saw B (3 breaches, 2 allowed)"),
        ("0 0 0", replace(RATE, on_no_data=OnSilence.ROLLBACK), "gate0: saw 0 (3 breaches, 2 allowed)"),
        ("E E E", replace(RATE, on_error=OnSilence.ROLLBACK), "gate0: saw E (3 breaches, 2 allowed)"),
        ("0 0 0", replace(RATE, on_error=OnSilence.ROLLBACK), ""),
        ("P0 P0 P0", replace(RATE, on_no_data=OnSilence.ROLLBACK), ""),  # gate1 only holds
    ],
)
def test_a_gate_has_limits_of_its_own(rounds: str, gate: GateLimits, reason: str) -> None:
    verdict = absorbed(rounds, gate)[1]
    assert (verdict.reason if isinstance(verdict, Breached) else "") == reason


def test_time_counts_only_once_every_gate_is_measured() -> None:
    late = replace(RATE, gate="late", due=START + timedelta(seconds=35))
    stab, verdict = absorbed("P P P", late)
    assert (stab.covered, stab.measured_at, verdict) == (0.0, None, GoingOn())
    stab, _ = absorbed("P P P P P", late)
    assert stab.covered == 10.0
    assert (stab.no_data, stab.errors, stab.inconclusive) == (0, 0, 0)


def test_while_a_gate_waits_the_others_are_judged_and_their_silence_counts() -> None:
    late = replace(RATE, gate="late", due=START + timedelta(days=1))
    assert isinstance(absorbed("E E E E", late)[1], Blind)
    assert isinstance(absorbed("B B B", late)[1], Breached)
    assert absorbed("- - - - -", late)[1] == GoingOn()
    assert absorbed("E P E P E P E", late)[0].errors == 4


def test_a_gate_that_does_not_apply_holds_nothing_up() -> None:
    assert absorbed("P " * 10, replace(RATE, gate="other", skipped="no release before"))[1] == Stable()
