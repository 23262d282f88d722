"""What is told of a pass: each thing once, however often passes come by it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.core import troubles as lasting
from reconciler.core.notices import Sighting, told
from reconciler.model.notice import Book, Notice, Standing, Trouble
from reconciler.model.notify import Event
from reconciler.model.stored import Episode, Past, Phase, Quarantine, TargetState
from reconciler.model.watchdog import Ended

NOW = datetime(2026, 11, 23, 10, 0, tzinfo=UTC)
A, B = "20260122_101500-aaaaaaaa", "20260122_111500-bbbbbbbb"


def state(
    serving: str = A,
    phase: Phase | None = Phase.STABILIZING,
    *,
    quarantined: dict[str, str] | None = None,
    episodes: dict[str, Episode] | None = None,
) -> TargetState:
    is_proved = phase in {Phase.STABILIZING, Phase.STABLE, Phase.ROLLED_BACK}
    past = Past(tag=serving[:15], switched_at=NOW, verified_at=NOW if is_proved else None)
    return TargetState(
        app="observer",
        project="observer",
        serving=serving,
        phase=phase,
        releases={serving: past},
        quarantine={
            release: Quarantine(tag=release[:15], at=NOW, reason="web: unhealthy", run=run)
            for release, run in (quarantined or {}).items()
        },
        episodes=episodes or {},
    )


def sighting(result: str = "in_sync", seen: TargetState | None = None, **more: Any) -> Sighting:
    base = Sighting(
        app="observer",
        target="prod",
        at=NOW,
        result=result,
        message=f"what {result} says",
        tag=B[:15],
        release=B,
        state=seen,
    )
    return replace(base, **more)


def drift(run: str, repairs: int, closed: datetime | None = None) -> Episode:
    return Episode(run=run, opened_at=NOW, last_at=NOW, line="web: expected x", repairs=repairs, closed_at=closed)


def restarted(standing: Standing | None) -> Standing | None:
    """The standing as the next daemon reads it."""
    return Standing.model_validate_json(standing.model_dump_json()) if standing is not None else None


def events(before: Standing | None, *passes: Sighting) -> list[Event]:
    """What is told over a sequence of passes, with a restart of the daemon before each."""
    found: list[Event] = []
    for seen in passes:
        before, notices = told(restarted(before), seen)
        found += [each.event for each in notices]
    return found


AT_A = told(None, sighting(seen=state()))[0]
REVERTED = sighting("reverted", state(A, Phase.ROLLED_BACK, quarantined={B: "r1"}), record="x/rollback_r1.md")
QUARANTINED = sighting("blocked", state(A, Phase.ROLLED_BACK, quarantined={B: "r1"}))


@pytest.mark.parametrize(
    ("before", "passes", "expected"),
    [
        pytest.param(None, [sighting(seen=state())] * 3, [], id="what was there before us is no news"),
        pytest.param(
            None,
            [sighting("deployed", state(B), record="deploy_r1.md"), *[sighting(seen=state(B))] * 3],
            [Event.DEPLOYED],
            id="a first deploy",
        ),
        pytest.param(AT_A, [sighting(seen=state(B))] * 3, [Event.DEPLOYED], id="deployed by another controller"),
        pytest.param(
            AT_A,
            [REVERTED, *[QUARANTINED] * 4],
            [Event.REVERTED, Event.QUARANTINED],
            id="a breach: taken back and quarantined, once each",
        ),
        pytest.param(
            AT_A,
            [REVERTED, sighting("in_sync", state(B)), replace(REVERTED, state=state(quarantined={B: "r2"}))],
            [Event.REVERTED, Event.QUARANTINED, Event.DEPLOYED, Event.REVERTED, Event.QUARANTINED],
            id="the same release again, after `retry`, is another story",
        ),
        pytest.param(
            None, [QUARANTINED, QUARANTINED], [], id="a quarantine that a run before the first one made is no news"
        ),
        pytest.param(
            told(None, sighting(seen=state(B)))[0],
            [replace(QUARANTINED, result="in_sync")] * 2,
            [Event.REVERTED, Event.QUARANTINED],
            id="rolled back by hand, beside us",
        ),
        pytest.param(
            AT_A,
            [replace(QUARANTINED, alone=Ended.REVERTED, told="alone"), QUARANTINED],
            [Event.REVERTED, Event.QUARANTINED],
            id="the target went back by itself while nobody had seen the new release",
        ),
        pytest.param(
            AT_A,
            [sighting("revert_failed", state(B, Phase.FAILED, quarantined={B: "r1"})), *[QUARANTINED] * 2],
            [Event.REVERT_FAILED, Event.QUARANTINED, Event.REVERTED],
            id="a revert that failed, and a person who mended it",
        ),
        pytest.param(
            AT_A,
            [sighting("revert_failed", state(A, Phase.REVERTING))] * 3,
            [Event.REVERT_FAILED],
            id="a revert that is tried again each pass",
        ),
        pytest.param(AT_A, [sighting("revert_failed")] * 3, [Event.REVERT_FAILED], id="one that ended in an error"),
        pytest.param(
            AT_A,
            [sighting("held", state(B, Phase.HELD), record="deploy_r1.md"), sighting("held", state(B, Phase.HELD))],
            [Event.HELD],
            id="held, and still held",
        ),
        pytest.param(
            AT_A,
            [sighting("held", state(B, Phase.HELD)), *[sighting(seen=state(B))] * 2],
            [Event.HELD, Event.DEPLOYED],
            id="held, and verified later",
        ),
        pytest.param(
            AT_A, [sighting(seen=state(A, Phase.STABLE))] * 2, [Event.STABLE], id="through its stabilization period"
        ),
        pytest.param(AT_A, [sighting(seen=state(B, Phase.STABLE))], [Event.DEPLOYED], id="stable before we looked"),
        pytest.param(
            AT_A,
            [sighting("healed", state(episodes={"container:web": drift("r1", n)})) for n in (1, 2, 3)],
            [Event.HEALED],
            id="repairs of one episode",
        ),
        pytest.param(
            AT_A,
            [sighting("healed", state(episodes={"container:web": drift(run, 1)})) for run in ("r1", "r2")],
            [Event.HEALED, Event.HEALED],
            id="an episode, and another",
        ),
        pytest.param(
            AT_A,
            [
                sighting("failed", state(episodes={"container:web": drift("r1", 1)})),
                sighting("healed", state(episodes={"container:web": drift("r1", 2)})),
                sighting(seen=state(episodes={"container:web": drift("r1", 2)})),
            ],
            [Event.HEALED],
            id="healed is what a repair did that succeeded",
        ),
        pytest.param(
            AT_A,
            [sighting("drifted", state(episodes={"file:x": drift("r1", 0)}))] * 3,
            [Event.DRIFT],
            id="left alone by policy",
        ),
        pytest.param(
            AT_A,
            [
                sighting("drifted", state(episodes={"file:x": drift("r1", 0)})),
                sighting("healed", state(episodes={"file:x": drift("r2", 1)})),
            ],
            [Event.DRIFT, Event.HEALED],
            id="left alone first, put back later",
        ),
        pytest.param(
            None,
            [sighting("healed", state(episodes={"file:x": drift("r0", 3), "file:y": drift("r1", 1)}), record="heal_r1")],
            [Event.HEALED],
            id="at first sight only what this pass did",
        ),
        pytest.param(AT_A, [sighting("unreachable"), sighting("locked"), sighting("failed")], [], id="nobody looked"),
    ],
)
def test_each_thing_is_told_once(before: Standing | None, passes: list[Sighting], expected: list[Event]) -> None:
    assert events(before, *passes) == expected


def test_a_notice_names_app_target_release_reason_record_and_commit() -> None:
    _, (reverted, quarantined) = told(AT_A, replace(REVERTED, commit="c" * 40))

    assert reverted.title == f"observer on prod: {B} was taken back, {A} serves again"
    assert reverted.body == "tag: 20260122_111500\nwhat reverted says\nrecord: rollback_r1\ncommit: cccccccccccc"
    assert quarantined.title == f"observer on prod: {B} is quarantined"
    assert "reason: web: unhealthy" in quarantined.body
    assert "`reconcile retry`" in quarantined.body


def test_a_long_list_of_drift_is_cut() -> None:
    many = {f"file:{number:03}": drift("r1", 0) for number in range(200)}

    _, (notice,) = told(AT_A, sighting("drifted", state(episodes=many)))

    assert notice.body.count("\n") < 15
    assert "… and 190 more" in notice.body


STATES = st.builds(
    state,
    st.sampled_from([A, B]),
    st.sampled_from([*Phase, None]),
    quarantined=st.dictionaries(st.sampled_from([A, B]), st.sampled_from(["r1", "r2"])),
    episodes=st.dictionaries(
        st.sampled_from(["file:x", "container:web"]),
        st.builds(drift, st.sampled_from(["r1", "r2"]), st.integers(0, 3), st.sampled_from([None, NOW])),
    ),
)
RESULTS = st.sampled_from(["in_sync", "deployed", "healed", "reverted", "held", "blocked", "revert_failed", "drifted"])


@given(st.lists(st.tuples(RESULTS, STATES), min_size=1, max_size=6))
def test_a_pass_that_finds_what_the_last_one_left_tells_nothing(passes: list[tuple[str, TargetState]]) -> None:
    """Whatever came before: a look that changes nothing has no news, also after a restart."""
    before = AT_A
    for result, seen in passes:
        before, _ = told(before, sighting(result, seen))
    quiet = sighting("healed" if result == "healed" else "in_sync", seen)

    after, notices = told(restarted(before), quiet)

    assert notices == ()
    assert told(after, quiet)[1] == ()


# What lasts.


def test_a_blip_is_not_told_and_a_lasting_one_is_told_once_and_its_end_too() -> None:
    troubles: lasting.Troubles = {}
    titles: list[str] = []

    def look(seconds: float) -> None:
        nonlocal troubles
        troubles, notices = lasting.ripe(troubles, app="observer", now=NOW + timedelta(seconds=seconds), grace=120)
        titles.extend(each.title for each in notices)

    def lost(seconds: float) -> None:
        nonlocal troubles
        now = NOW + timedelta(seconds=seconds)
        troubles = lasting.began(troubles, Event.UNREACHABLE, why="refused", now=now, where="prod")

    def back(seconds: float) -> None:
        nonlocal troubles
        seen = sighting(seen=state(), at=NOW + timedelta(seconds=seconds))
        troubles, notices = lasting.after_pass(troubles, seen)
        titles.extend(each.title for each in notices)

    lost(0), look(1), back(100), look(130)
    assert titles == []
    lost(200), look(319), lost(319)
    assert lasting.due(troubles, now=NOW + timedelta(seconds=319), grace=120) == 1.0
    look(320), lost(330), look(500), look(9000)
    assert titles == ["observer on prod: nothing is known of it"]
    back(9001), back(9002)
    assert titles[1:] == ["observer on prod: is in reach again"]


@pytest.mark.parametrize(
    ("seen", "expected"),
    [
        (sighting("unreachable"), {"unreachable@prod", "failed@prod", "blind@prod"}),
        (sighting("locked"), {"failed@prod", "blind@prod"}),
        (sighting("failed"), {"failed@prod", "blind@prod"}),
        (sighting("blocked"), {"failed@prod", "blind@prod"}),
        (sighting("blocked", state()), set()),
        (sighting("in_sync", state()), set()),
        (sighting("held", state()), {"blind@prod"}),
        (sighting("held", state(phase=Phase.HELD)), set()),
    ],
)
def test_what_a_pass_says_of_what_lasts(seen: Sighting, expected: set[str]) -> None:
    """One that couldn't look says nothing of what it would have seen."""
    before = {
        f"{event}@prod": Trouble(event=event, where="prod", about=about, why="x", since=NOW, told=True)
        for event, about in ((Event.UNREACHABLE, ""), (Event.FAILED, B[:15]), (Event.BLIND, ""))
    }

    after, notices = lasting.after_pass(before, seen)

    assert set(after) == expected
    assert len(notices) == 3 - len(expected)
    assert {each.event for each in notices} <= {Event.RECOVERED}


def test_a_failure_for_another_tag_is_another_trouble() -> None:
    known = Trouble(event=Event.FAILED, where="prod", about="20260101_000000", why="x", since=NOW, told=True)

    after, _ = lasting.after_pass({"failed@prod": known}, sighting("failed"))

    assert not after["failed@prod"].told


def test_the_book_survives_the_disk() -> None:
    notice = Notice(event=Event.HELD, at=NOW, title="t", body="b")
    assert AT_A is not None
    book = Book(standings={"prod": AT_A}, waiting=((notice,), ()))

    assert Book.model_validate_json(book.model_dump_json(exclude_defaults=True)) == book
