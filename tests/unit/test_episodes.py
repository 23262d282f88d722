"""core/episodes.py: the pace of repairs, and when their story is over. The clock is an argument."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.core import episodes
from reconciler.core.treatment import BY_POLICY, treatment
from reconciler.model.drift import Drift, Vector
from reconciler.model.policy import Drift as DriftSpec
from reconciler.model.stored import Episode

START = datetime(2026, 1, 1, tzinfo=UTC)
WEB = Drift(Vector.CONTAINER, "app-web-1", "running", "exited with code 137")


def after(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def repaired(known: dict[str, Episode], now: datetime, run: str = "r1") -> dict[str, Episode]:
    return episodes.noted(known, [WEB], run=run, now=now, repaired=True)


def fought(times: int) -> tuple[dict[str, Episode], datetime]:
    """Another manager undoes each repair at once: the episode, and when the last repair was."""
    known: dict[str, Episode] = {}
    now = START
    for _ in range(times):
        now = episodes.waits_until(known.get(WEB.key), now) or now
        known = repaired(known, now)
    return known, now


@pytest.mark.parametrize(
    ("repairs", "wait"), [(0, None), (1, 2), (2, 6), (3, 18), (4, 54), (5, 162), (6, 300), (7, 300), (20, 300)]
)
def test_each_repair_waits_three_times_as_long_up_to_five_minutes(repairs: int, wait: float | None) -> None:
    known, last = fought(repairs)
    until = episodes.waits_until(known.get(WEB.key), last)
    assert until == (last + timedelta(seconds=wait) if wait else None)


def test_a_fight_of_a_day_is_one_story_with_one_record() -> None:
    known, now = fought(1)
    for _ in range(300):
        assert not episodes.are_new(known, [WEB], repaired=True)
        now = episodes.waits_until(known[WEB.key], now) or now
        known = repaired(known, now, run="another")
    assert (known[WEB.key].run, known[WEB.key].opened_at, known[WEB.key].repairs) == ("r1", START, 301)
    assert now - START < timedelta(days=2)
    assert now - START > timedelta(hours=23)


@pytest.mark.parametrize(
    ("quiet", "wait"),
    [(timedelta(minutes=59), 300), (timedelta(hours=1), 300), (timedelta(hours=2), 162), (timedelta(hours=6), 2)],
)
def test_the_waiting_decays_by_a_step_for_each_quiet_hour(quiet: timedelta, wait: float) -> None:
    """The next repair is made at once, and the one after that waits by what is left of the last fight."""
    known, last = fought(7)
    now = last + quiet
    assert episodes.waits_until(known[WEB.key], max(now, last + timedelta(minutes=5))) is None
    again = repaired(known, now)
    until = episodes.waits_until(again[WEB.key], now)
    assert until is not None
    assert (until - now).total_seconds() == wait


def test_an_episode_is_over_after_a_quiet_hour_and_is_told_once() -> None:
    known, last = fought(2)
    staying, ending = episodes.closed(known, seen=(), now=last + timedelta(minutes=59))
    assert (staying, ending) == (known, {})
    over = last + episodes.QUIET
    staying, ending = episodes.closed(known, seen=(), now=over)
    assert ending[WEB.key].closed_at == over
    assert episodes.are_new(staying, [WEB], repaired=True)
    assert episodes.closed(staying, seen=(), now=over) == (staying, {})
    assert episodes.closed(staying, seen=(), now=over + timedelta(hours=9)) == ({}, {})


def test_what_is_there_isnt_over_however_long_it_is_quiet() -> None:
    known, last = fought(1)
    assert episodes.closed(known, seen={WEB.key}, now=last + timedelta(days=3))[1] == {}


def test_what_is_only_reported_is_over_when_it_isnt_seen_any_more() -> None:
    known = episodes.noted({}, [WEB], run="r1", now=START, repaired=False)
    assert episodes.noted(known, [WEB], run="r2", now=after(300), repaired=False) == known
    assert episodes.waits_until(known[WEB.key], START) is None
    assert episodes.closed(known, seen={WEB.key}, now=after(9999))[1] == {}
    assert set(episodes.closed(known, seen=(), now=after(1))[1]) == {WEB.key}


def test_the_first_repair_of_what_was_only_reported_has_a_record_of_its_own() -> None:
    known = episodes.noted({}, [WEB], run="r1", now=START, repaired=False)
    assert not episodes.are_new(known, [WEB], repaired=False)
    assert episodes.are_new(known, [WEB], repaired=True)
    healed = repaired(known, after(60), run="r2")
    assert (healed[WEB.key].run, healed[WEB.key].repairs, healed[WEB.key].opened_at) == ("r2", 1, after(60))
    assert not episodes.are_new(healed, [WEB], repaired=True)


def test_a_new_episode_has_its_own_record() -> None:
    known, last = fought(1)
    staying, _ = episodes.closed(known, seen=(), now=last + timedelta(hours=9))
    again = repaired(staying, last + timedelta(hours=9), run="r2")
    assert (again[WEB.key].run, again[WEB.key].repairs) == ("r2", 1)


@given(st.lists(st.integers(0, 40_000), max_size=40))
def test_never_faster_than_the_pace_and_never_longer_than_five_minutes(gaps: list[int]) -> None:
    known: dict[str, Episode] = {}
    now, last = START, None
    for gap in gaps:
        now += timedelta(seconds=gap)
        known, _ = episodes.closed(known, seen={WEB.key}, now=now)
        until = episodes.waits_until(known.get(WEB.key), now)
        if until is not None:
            assert last is not None
            assert timedelta(0) < until - now
            assert until - last <= timedelta(seconds=episodes.LONGEST_WAIT)
            continue
        if last is not None:
            assert now - last >= timedelta(seconds=episodes.FIRST_WAIT)
        known, last = repaired(known, now), now


class TestTreatment:
    def of(self, known: dict[str, Episode] | None = None, now: datetime = START, **spec: object) -> str | None:
        return treatment(DriftSpec.model_validate(spec), known or {}, now)(WEB)

    def test_the_policy_of_its_vector(self) -> None:
        assert self.of() == ""
        assert self.of(policy="alert") == BY_POLICY
        assert self.of(policy="alert", vectors={"container": "heal"}) == ""
        assert self.of(vectors={"container": "ignore"}) is None
        assert self.of(vectors={"file": "alert"}) == ""

    @pytest.mark.parametrize("vector", list(Vector))
    def test_what_programs_do_by_themselves_is_only_reported(self, vector: Vector) -> None:
        spec = DriftSpec()
        expected = "alert" if vector in {Vector.LAYER, Vector.ATTACHMENT} else "heal"
        assert spec.policy_of(vector) == expected

    def test_while_it_waits_it_is_left_alone_and_says_until_when(self) -> None:
        known, last = fought(3)
        said = self.of(known, last + timedelta(seconds=1))
        assert said is not None
        assert "put back 3 times since 2026-01-01 00:00:00 UTC" in said
        assert f"waits until {last + timedelta(seconds=18):%H:%M:%S} UTC" in said
        assert self.of(known, last + timedelta(seconds=18)) == ""
