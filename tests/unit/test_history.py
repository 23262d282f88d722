"""The way back: a table over phase × history × outcome, and what must hold in every cell of it."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime, timedelta

import pytest

from reconciler.core.history import (
    Outcome,
    concluded,
    forgotten,
    last_good,
    protected,
    retried,
    subject,
    switched,
    way_back,
)
from reconciler.core.retention import prunable
from reconciler.model.measure import Served, Subject
from reconciler.model.stored import OpenPass, Past, Phase, Quarantine, Stabilization, Standing, TargetState

T0 = datetime(2026, 1, 22, tzinfo=UTC)


def at(minutes: float) -> datetime:
    return T0 + timedelta(minutes=minutes)


def past(minute: float, standing: Standing) -> Past:
    verified = at(minute + 0.5) if standing is not Standing.UNVERIFIED else None
    stable = at(minute + 0.9) if standing is Standing.STABLE else None
    return Past(tag=f"tag{minute:g}", switched_at=at(minute), verified_at=verified, stable_at=stable)


def quarantine(reason: str = "breached") -> Quarantine:
    return Quarantine(tag="", at=T0, reason=reason, run="r")


def state_of(
    releases: dict[str, Past],
    *,
    serving: str | None,
    previous: str | None = None,
    quarantined: tuple[str, ...] = (),
    phase: Phase | None = None,
) -> TargetState:
    return TargetState(
        app="app",
        project="app",
        serving=serving,
        previous=previous,
        phase=phase,
        releases=releases,
        quarantine={name: quarantine() for name in quarantined},
    )


U, V, S = Standing.UNVERIFIED, Standing.VERIFIED, Standing.STABLE

Case = tuple[str, dict[str, Standing], str | None, tuple[str, ...], str | None, str | None]
HISTORIES: list[Case] = [
    # what it shows, releases oldest first (the last one is left), served before, quarantined, way back, last good
    ("a first release has nowhere to go", {"a": U}, None, (), None, None),
    ("a first release that was verified is last good itself", {"a": V}, None, (), None, "a"),
    ("the one before, verified", {"a": V, "b": U}, "a", (), "a", "a"),
    ("the one before, stable", {"a": S, "b": U}, "a", (), "a", "a"),
    (
        "five merges in a day, the fifth bad: the fourth serves",
        {"a": V, "b": V, "c": V, "d": V, "e": U},
        "d",
        (),
        "d",
        "d",
    ),
    (
        "the same with an old stable release: still the fourth",
        {"a": S, "b": V, "c": V, "d": V, "e": U},
        "d",
        (),
        "d",
        "a",
    ),
    (
        "the fourth is held: it proved nothing, so last good",
        {"a": S, "b": V, "c": V, "d": U, "e": U},
        "d",
        (),
        "a",
        "a",
    ),
    ("held, and nothing stable: the newest verified", {"a": V, "b": V, "c": U, "d": U}, "c", (), "b", "b"),
    ("held after held, and nothing verified: nowhere", {"a": U, "b": U, "c": U}, "b", (), None, None),
    ("the one before is quarantined: last good", {"a": S, "b": V, "c": U}, "b", ("b",), "a", "a"),
    ("the one before is quarantined, stable or not", {"a": V, "b": S, "c": U}, "b", ("b",), "a", "a"),
    ("all before are quarantined: nowhere", {"a": S, "b": V, "c": U}, "b", ("a", "b"), None, None),
    ("after a revert nothing is known to have served before: last good", {"a": S, "b": V, "c": V}, None, (), "a", "a"),
    ("stable beats a newer verified one for last good", {"a": S, "b": S, "c": V, "d": U}, None, (), "b", "b"),
    ("the release that is left is never its own way back", {"a": V, "b": S}, None, (), "a", "b"),
    ("nor when it served before itself (a repaired deploy)", {"a": V, "b": V}, "b", (), "a", "b"),
    ("what served before and isn't known any more: last good", {"a": S, "c": U}, "gone", (), "a", "a"),
]


@pytest.mark.parametrize("phase", [None, *Phase])
@pytest.mark.parametrize("case", HISTORIES, ids=lambda case: case[0])
def test_way_back_depends_on_history_and_never_on_the_phase(case: Case, phase: Phase | None) -> None:
    _, standings, before, quarantined, expected, good = case
    releases = {name: past(10 * position, standing) for position, (name, standing) in enumerate(standings.items())}
    leaving = list(standings)[-1]
    state = state_of(releases, serving=leaving, previous=before, quarantined=quarantined, phase=phase)
    assert way_back(state, leaving=leaving, before=before) == expected
    assert last_good(state) == good


@pytest.mark.parametrize("outcome", Outcome)
@pytest.mark.parametrize("phase", [None, *Phase])
@pytest.mark.parametrize("case", HISTORIES, ids=lambda case: case[0])
def test_every_cell_keeps_the_invariants(case: Case, phase: Phase | None, outcome: Outcome) -> None:
    _, standings, before, quarantined, _, good = case
    releases = {name: past(10 * position, standing) for position, (name, standing) in enumerate(standings.items())}
    leaving = list(standings)[-1]
    state = state_of(releases, serving=leaving, previous=before, quarantined=quarantined, phase=phase)
    after = concluded(state, outcome, release=leaving, now=at(500), reason="why", run="run")

    new_good = last_good(after)
    if new_good is not None:
        assert new_good not in after.quarantine
        assert after.releases[new_good].verified_at is not None
    if outcome is Outcome.HELD:
        assert new_good == good, "a hold never moves last good"
        assert after.quarantine == state.quarantine
    if outcome in {Outcome.VERIFIED, Outcome.HELD, Outcome.STABILIZED}:
        assert after.quarantine == state.quarantine
        assert after.serving == leaving
    else:
        assert after.quarantine[leaving].reason == "why"
        assert new_good != leaving, "what breached is never a way back"
        assert after.stabilization is None
    back = way_back(after, leaving=leaving, before=after.previous)
    assert back is None or (back != leaving and back not in after.quarantine)


EXPECTED_PHASE = {
    Outcome.VERIFIED: Phase.STABILIZING,
    Outcome.HELD: Phase.HELD,
    Outcome.STABILIZED: Phase.STABLE,
    Outcome.REVERTED: Phase.ROLLED_BACK,
    Outcome.ROLLED_BACK: Phase.ROLLED_BACK,
    Outcome.REVERT_BREACHED: Phase.FAILED,
    Outcome.NOTHING_TO_REVERT_TO: Phase.FAILED,
}


@pytest.mark.parametrize(("outcome", "phase"), EXPECTED_PHASE.items())
def test_an_outcome_leads_to_its_phase(outcome: Outcome, phase: Phase) -> None:
    state = state_of({"a": past(0, V), "b": past(10, U)}, serving="b", previous="a")
    assert concluded(state, outcome, release="b", now=at(20)).phase is phase


def test_every_outcome_has_a_row() -> None:
    assert set(EXPECTED_PHASE) == set(Outcome)


def test_a_day_of_five_merges_walked_through() -> None:
    state = TargetState(app="app", project="app")
    for position, name in enumerate("abcd"):
        state = switched(state, entering=name, tag=name, now=at(position))
        state = concluded(state, Outcome.VERIFIED, release=name, now=at(position + 0.5))
    state = switched(state, entering="e", tag="e", now=at(5))
    assert way_back(state, leaving="e", before=state.previous) == "d"
    state = concluded(state, Outcome.REVERTED, release="e", now=at(6), reason="bad", run="r6")
    state = switched(state, entering="d", tag="d", now=at(6)).model_copy(update={"previous": None})
    assert state.serving == "d"
    assert "e" in state.quarantine


def test_last_good_is_the_newest_verified_until_something_is_stable() -> None:
    state = state_of({"a": past(0, V), "b": past(10, V)}, serving="b", previous="a")
    assert last_good(state) == "b"
    state = concluded(state, Outcome.STABILIZED, release="a", now=at(30))
    assert last_good(state) == "a"


def test_a_release_that_is_entered_again_keeps_what_it_proved() -> None:
    state = state_of({"a": past(0, S), "b": past(10, V)}, serving="b", previous="a")
    again = switched(state, entering="a", tag="a", now=at(20))
    assert again.releases["a"].standing is Standing.STABLE
    assert (again.serving, again.previous) == ("a", "b")


def test_a_switch_to_what_serves_already_doesnt_lose_what_served_before() -> None:
    state = state_of({"a": past(0, V), "b": past(10, U)}, serving="b", previous="a")
    assert switched(state, entering="b", tag="b", now=at(20)).previous == "a"


def test_verified_again_keeps_the_first_time() -> None:
    state = state_of({"a": past(0, V)}, serving="a")
    assert concluded(state, Outcome.VERIFIED, release="a", now=at(99)).releases["a"].verified_at == at(0.5)


def test_stabilization_starts_counting_at_the_verification_and_not_at_a_hold() -> None:
    state = state_of({"a": past(0, U)}, serving="a")
    verified = concluded(state, Outcome.VERIFIED, release="a", now=at(1))
    held = concluded(state, Outcome.HELD, release="a", now=at(1))
    assert verified.stabilization == Stabilization(measured_at=at(1))
    assert held.stabilization == Stabilization(measured_at=None)


def test_retry_lifts_one_or_all() -> None:
    state = state_of({}, serving=None, quarantined=("a", "b"))
    assert set(retried(state, release="a").quarantine) == {"b"}
    assert not retried(state, release=None).quarantine


def test_protected_are_current_way_back_last_good_and_an_open_pass() -> None:
    releases = {name: past(10 * position, V) for position, name in enumerate("abcdef")}
    releases["a"] = past(0, S)
    state = state_of(releases, serving="e", previous="d")
    assert protected(state) == {"e", "d", "a"}
    opened = OpenPass(run="r", kind="deploy", at=T0, by="me", leaving="b", entering="f")
    assert protected(state.model_copy(update={"open": opened})) == {"e", "d", "a", "b", "f"}


def test_retention_never_prunes_what_is_protected() -> None:
    names = "abcdefgh"
    for keep, serving, previous in itertools.product((1, 2, 5), names, (None, *names)):
        releases = {name: past(10 * position, S if name == "b" else V) for position, name in enumerate(names)}
        state = state_of(releases, serving=serving, previous=previous)
        gone = set(prunable(state, list(names), keep=keep))
        assert not gone & protected(state)
        assert len(names) - len(gone) <= keep + len(protected(state))


def test_retention_prunes_a_release_that_was_never_entered_first() -> None:
    state = state_of({"a": past(0, V), "b": past(10, V)}, serving="b", previous="a")
    assert prunable(state, ["a", "b", "stray"], keep=2) == ("stray",)


def test_a_quarantine_outlives_its_release_and_its_sources_are_still_known() -> None:
    state = state_of({"a": past(0, U), "b": past(1, U)}, serving=None, quarantined=("a",))
    state = state.model_copy(update={"sources": {"source-a": "a", "source-b": "b"}})
    after = forgotten(state, gone=frozenset({"a", "b"}))
    assert "a" in after.quarantine
    assert after.sources == {"source-a": "a"}


BOTH_THERE = {"old": past(0, V), "new": past(10, U)}


@pytest.mark.parametrize(
    ("state", "since", "before"),
    [
        (state_of(BOTH_THERE, serving="new", previous="old"), 10, Served("tag0", at(0))),
        (state_of({**BOTH_THERE, "old": past(0, U)}, serving="new", previous="old"), 10, Served("tag0", at(0))),
        (state_of(BOTH_THERE, serving="new", previous=None), 10, None),  # a first release
        (state_of(BOTH_THERE, serving="new", previous="gone"), 10, None),
        (state_of(BOTH_THERE, serving="new", previous="old", quarantined=("old",)), 10, None),  # a way back
        (state_of(BOTH_THERE, serving="new", previous="old"), 20, None),  # a repair is no switch
        (state_of(BOTH_THERE, serving="new", previous="new"), 10, None),
    ],
)
def test_a_release_is_compared_with_the_one_that_served_until_the_switch(
    state: TargetState, since: float, before: Served | None
) -> None:
    assert subject(state, "new", "tag10", since=at(since)) == Subject("tag10", at(since), before)
