"""What a window of measurements amounts to: the whole table, each row with its reason."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from reconciler.core.verdict import judge_so_far, judge_window
from reconciler.model.measure import GateKind, GateLimits, Measurement, OnSilence, Outcome, VerdictKind

START = datetime(2026, 1, 22, 10, 15, tzinfo=UTC)
OUTCOMES = {
    "P": Outcome.PASS,
    "B": Outcome.BREACH,
    "?": Outcome.INCONCLUSIVE,
    "0": Outcome.NO_DATA,
    "E": Outcome.ERROR,
}
GO, HOLD, NO_GO = VerdictKind.GO, VerdictKind.HOLD, VerdictKind.NO_GO
WEB = GateLimits("containers", GateKind.CONTAINERS)
API = GateLimits("api", GateKind.HTTP)
LOGS = GateLimits("logs", GateKind.LOGS)
HOST = GateLimits("resources", GateKind.RESOURCES)
DB = GateLimits("db", GateKind.NETWORK)


def taken(gate: GateLimits, outcomes: str, *, fatal: bool = False) -> list[Measurement]:
    """One measurement a letter: P pass, B breach, ? inconclusive, 0 no data, E error."""
    name, kind = gate.gate, gate.kind
    return [
        Measurement(name, kind, OUTCOMES[letter], START + timedelta(seconds=n), "query", f"{letter}{n}", fatal=fatal)
        for n, letter in enumerate(outcomes)
    ]


@pytest.mark.parametrize(
    ("outcomes", "expected", "decisive"),
    [
        ("P", GO, None),
        ("PPPP", GO, None),
        ("?P", GO, None),
        ("BP", GO, None),
        ("BBBBP", GO, None),
        ("EEEEEP", GO, None),
        ("000P", GO, None),
        ("PB", NO_GO, "B1"),
        ("B", NO_GO, "B0"),
        ("P?", NO_GO, "?1"),
        ("?", NO_GO, "?0"),
        ("PE", HOLD, "E1"),
        ("P0", HOLD, "01"),
        ("E", HOLD, "E0"),
        ("EEEE", HOLD, "E3"),
        ("0", HOLD, "00"),
        ("BE", NO_GO, "B0"),
        ("PBEE", NO_GO, "B1"),
        ("?0", NO_GO, "?0"),
        ("BPE", HOLD, "E2"),
        ("", HOLD, None),
    ],
)
@pytest.mark.parametrize("gate", [WEB, API])
def test_container_and_http_gates_are_judged_by_their_last_word(
    gate: GateLimits, outcomes: str, expected: VerdictKind, decisive: str | None
) -> None:
    verdict = judge_window(taken(gate, outcomes), gates=[gate])
    assert verdict.kind is expected
    assert (verdict.decisive.seen if verdict.decisive else None) == decisive


@pytest.mark.parametrize(
    ("outcomes", "expected"),
    [
        ("P", GO),
        ("PPPPP", GO),
        ("BBP", GO),
        ("BBBP", GO),
        ("PB", GO),
        ("PBB", GO),
        ("PPBPB", GO),
        ("PBBB", NO_GO),
        ("BPBPB", NO_GO),
        ("B", NO_GO),
        ("BB", NO_GO),
        ("BBB", NO_GO),
        ("EB", NO_GO),
        ("BE", NO_GO),
        ("PEEE", GO),
        ("PEEEE", HOLD),
        ("EEEEP", GO),
        ("E", HOLD),
        ("EEE", HOLD),
        ("0", HOLD),
        ("P0", HOLD),
        ("P0E", HOLD),
        ("0P", GO),
        ("P?", HOLD),
        ("?", HOLD),
        ("?P", GO),
        ("", HOLD),
    ],
)
@pytest.mark.parametrize("gate", [HOST, DB])
def test_resources_and_network_are_forgiven_two_breaches_and_three_errors(
    gate: GateLimits, outcomes: str, expected: VerdictKind
) -> None:
    assert judge_window(taken(gate, outcomes), gates=[gate]).kind is expected


def test_the_breach_limit_is_an_argument() -> None:
    assert judge_window(taken(DB, "PBB"), gates=[DB], breach_limit=1).kind is NO_GO
    assert judge_window(taken(DB, "PB"), gates=[DB], breach_limit=0).kind is NO_GO
    assert judge_window(taken(DB, "PBBB"), gates=[DB], breach_limit=3).kind is GO


@pytest.mark.parametrize(
    ("outcomes", "expected"),
    [("PPP", GO), ("BPP", NO_GO), ("P0", HOLD), ("0", HOLD), ("EEE", HOLD), ("PE", GO), ("", HOLD)],
)
def test_one_breach_of_the_logs_is_never_taken_back(outcomes: str, expected: VerdictKind) -> None:
    assert judge_window(taken(LOGS, outcomes), gates=[LOGS]).kind is expected


def test_a_no_go_outweighs_a_hold_whatever_the_order() -> None:
    measured = taken(LOGS, "0") + taken(API, "B") + taken(WEB, "P")
    for gates in ([LOGS, API, WEB], [WEB, API, LOGS], [API, LOGS, WEB]):
        verdict = judge_window(measured, gates=gates)
        assert verdict.kind is NO_GO
        assert verdict.reason == "api: B0"


def test_containers_that_breach_are_a_no_go_where_http_cannot_measure() -> None:
    assert judge_window(taken(WEB, "PB") + taken(API, "EE"), gates=[WEB, API]).kind is NO_GO


def test_http_that_cannot_measure_holds_and_is_named_where_containers_pass() -> None:
    verdict = judge_window(taken(WEB, "PP") + taken(API, "EE"), gates=[WEB, API])
    assert verdict.kind is HOLD
    assert verdict.reason == "api: E1"


def test_a_gate_never_measured_holds_and_is_named() -> None:
    verdict = judge_window(taken(WEB, "PP"), gates=[WEB, API])
    assert verdict.kind is HOLD
    assert verdict.reason.startswith("api: never measured")


def test_gates_of_two_kinds_may_share_a_name() -> None:
    http, network = GateLimits("db", GateKind.HTTP), GateLimits("db", GateKind.NETWORK)
    assert judge_window(taken(http, "P"), gates=[http, network]).kind is HOLD
    assert judge_window(taken(http, "P") + taken(network, "P"), gates=[http, network]).kind is GO


def test_no_gates_at_all_are_a_go_that_says_so() -> None:
    assert judge_window([], gates=[]).reason == "no gates are defined"


@pytest.mark.parametrize("gate", [WEB, API, LOGS, HOST, DB])
def test_a_fatal_measurement_ends_the_window_at_once_even_if_later_ones_pass(gate: GateLimits) -> None:
    measured = taken(gate, "P") + taken(gate, "B", fatal=True) + taken(gate, "PP")
    early = judge_so_far(measured)
    assert early is not None
    assert early.kind is NO_GO
    assert early.decisive is measured[1]
    assert judge_window(measured, gates=[gate]).kind is NO_GO


@pytest.mark.parametrize(
    ("gate", "outcomes", "ends"),
    [(LOGS, "PB", True), (LOGS, "P0E?", False), (WEB, "BBB", False), (API, "BBBB", False), (HOST, "BBBB", False)],
)
def test_only_logs_need_no_full_window_when_nothing_is_fatal(gate: GateLimits, outcomes: str, ends: bool) -> None:
    assert (judge_so_far(taken(gate, outcomes)) is not None) is ends


def test_nothing_measured_yet_is_no_verdict() -> None:
    assert judge_so_far([]) is None


RATE = GateLimits("rate", GateKind.METRICS)


def limited(**limits: Any) -> GateLimits:
    return replace(RATE, **limits)


@pytest.mark.parametrize(
    ("gate", "outcomes", "expected"),
    [
        (limited(), "0", HOLD),
        (limited(), "E", HOLD),
        (limited(), "P0", HOLD),
        (limited(), "?", HOLD),
        (limited(), "B", NO_GO),
        (limited(), "PBB", GO),
        (limited(breach_limit=0), "PB", NO_GO),
        (limited(breach_limit=0), "BP", GO),
        (limited(breach_limit=5), "PBBBB", GO),
        (limited(min_samples=3), "PP", HOLD),
        (limited(min_samples=3), "BB", HOLD),
        (limited(min_samples=3), "P0EP?", HOLD),  # the last telling one is inconclusive
        (limited(min_samples=3), "PPP", GO),
        (limited(min_samples=3), "BBB", NO_GO),
        (limited(min_samples=3), "000", HOLD),
        (limited(on_no_data=OnSilence.ROLLBACK), "0", NO_GO),
        (limited(on_no_data=OnSilence.ROLLBACK), "E", HOLD),
        (limited(on_no_data=OnSilence.ROLLBACK), "00P", GO),
        (limited(on_error=OnSilence.ROLLBACK), "E", NO_GO),
        (limited(on_error=OnSilence.ROLLBACK), "0", HOLD),
        (limited(on_error=OnSilence.ROLLBACK), "PEEE", NO_GO),
    ],
)
def test_a_measuring_system_is_judged_by_the_limits_of_its_gate(
    gate: GateLimits, outcomes: str, expected: VerdictKind
) -> None:
    assert judge_window(taken(gate, outcomes), gates=[gate]).kind is expected


def test_what_counts_as_a_breach_keeps_what_was_seen() -> None:
    verdict = judge_window(taken(RATE, "0"), gates=[limited(on_no_data=OnSilence.ROLLBACK)])
    assert (verdict.kind, verdict.reason) == (NO_GO, "rate: 00")


def test_a_gate_that_is_not_due_holds_nothing_up_and_is_named() -> None:
    late = limited(due=START + timedelta(minutes=2))
    verdict = judge_window(taken(WEB, "P"), gates=[WEB, late], now=START + timedelta(minutes=1))
    assert (verdict.kind, verdict.reason) == (GO, "all 1 gates passed; rate isn't measured before 10:17:00 UTC")
    assert judge_window(taken(WEB, "P"), gates=[WEB, late], now=START + timedelta(minutes=2)).kind is HOLD


def test_a_gate_that_does_not_apply_is_named() -> None:
    verdict = judge_window(taken(WEB, "P"), gates=[WEB, limited(skipped="no release before")], now=START)
    assert (verdict.kind, verdict.reason) == (GO, "all 1 gates passed; rate: no release before")


def test_the_error_limit_is_an_argument() -> None:
    assert judge_window(taken(RATE, "PEE"), gates=[RATE], error_limit=2).kind is HOLD
