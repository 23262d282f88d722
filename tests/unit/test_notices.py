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
        drift=frozenset(),
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
                sighting("failed", state(episodes={"container:web": drift("r1", 1)}), record="heal_r1.md"),
                sighting("drifted", state(episodes={"container:web": drift("r1", 1)}), drift={"container:web"}),
                sighting("blocked", state(episodes={"container:web": drift("r1", 1)}), drift=None),
                sighting("healed", state(episodes={"container:web": drift("r1", 2)})),
                sighting(seen=state(episodes={"container:web": drift("r1", 2)})),
            ],
            [Event.HEALED],
            id="healed is what a repair did that succeeded",
        ),
        pytest.param(
            AT_A,
            [sighting("failed", state(episodes={"container:web": drift("r1", 1)}), record="heal_r1.md")] * 2,
            [],
            id="a repair that failed",
        ),
        pytest.param(
            AT_A,
            [
                sighting(
                    "blocked",
                    state(episodes={"container:web": drift("r1", 1)}),
                    drift={"container:web"},
                    record="heal_r1",
                ),
                sighting("blocked", state(episodes={"container:web": drift("r1", 1)})),
                sighting("blocked", state(episodes={"container:web": drift("r1", 2)}), drift={"container:web"}),
            ],
            [Event.HEALED],
            id="put back while what is asked for is quarantined",
        ),
        pytest.param(
            AT_A,
            [
                sighting("blocked", state(episodes={"file:x": drift("r1", 1)}), drift={"file:x"}),
                sighting("blocked", state(episodes={"file:x": drift("r1", 1)})),
            ],
            [Event.HEALED],
            id="put back by somebody else's pass, when it isn't seen any more",
        ),
        pytest.param(
            AT_A,
            [sighting("blocked", state(episodes={"file:x": drift("r1", 1)}), drift={"file:x"}, record="heal_r1.md")],
            [Event.HEALED],
            id="put back by this pass, which is blocked otherwise",
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
            [
                sighting(
                    "healed", state(episodes={"file:x": drift("r0", 3), "file:y": drift("r1", 1)}), record="heal_r1"
                )
            ],
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


FOUND = st.sets(st.sampled_from(["file:x", "container:web"])).map(frozenset)


@given(st.lists(st.tuples(RESULTS, STATES, FOUND), min_size=1, max_size=6))
def test_a_pass_that_finds_what_the_last_one_left_tells_nothing(
    passes: list[tuple[str, TargetState, frozenset[str]]],
) -> None:
    """Whatever came before: a look that changes nothing has no news, also after a restart."""
    before = AT_A
    for result, seen, found in passes:
        before, _ = told(before, sighting(result, seen, drift=found))
    quiet = sighting("healed" if result == "healed" else "in_sync", seen, drift=found)

    after, notices = told(restarted(before), quiet)

    assert notices == ()
    assert told(after, quiet)[1] == ()


# What lasts.


def over_time(*steps: tuple[str, float]) -> list[tuple[float, Event]]:
    """What is told when, with a grace of two minutes: `lost` and `back` happen, `look` is the notifier's own clock."""
    troubles: lasting.Troubles = {}
    found: list[tuple[float, Event]] = []
    for what, seconds in steps:
        now = NOW + timedelta(seconds=seconds)
        notices: tuple[Notice, ...] = ()
        match what:
            case "lost":
                troubles = lasting.began(troubles, Event.UNREACHABLE, why="refused", now=now, where="prod")
            case "back":
                troubles, notices = lasting.after_pass(troubles, sighting(seen=state(), at=now))
            case _:
                troubles, notices = lasting.ripe(troubles, app="observer", now=now, grace=120)
        found += [(seconds, each.event) for each in notices]
    return found


@pytest.mark.parametrize(
    ("steps", "expected"),
    [
        pytest.param([("lost", 0), ("look", 1), ("back", 100), ("look", 130)], [], id="a blip is no news"),
        pytest.param(
            [("lost", 0), ("lost", 60), ("look", 119), ("look", 120), ("lost", 130), ("look", 9000)],
            [(120, Event.UNREACHABLE)],
            id="what lasts is told once, by when it began",
        ),
        pytest.param(
            [("lost", 0), ("look", 120), ("back", 130), ("back", 140)],
            [(120, Event.UNREACHABLE), (130, Event.RECOVERED)],
            id="its end is told once",
        ),
        pytest.param(
            [("lost", 0), ("look", 120), ("back", 130), ("lost", 140), ("look", 259), ("look", 260)],
            [(120, Event.UNREACHABLE), (130, Event.RECOVERED), (260, Event.UNREACHABLE)],
            id="another one is another",
        ),
    ],
)
def test_what_lasts_is_told_after_a_grace(steps: list[tuple[str, float]], expected: list[tuple[float, Event]]) -> None:
    assert over_time(*steps) == expected


def test_it_is_known_when_the_next_one_is_to_be_told() -> None:
    troubles = lasting.began({}, Event.UNREACHABLE, why="refused", now=NOW, where="prod")

    assert lasting.due({}, now=NOW, grace=120) is None
    assert lasting.due(troubles, now=NOW + timedelta(seconds=119), grace=120) == 1.0
    assert lasting.due(troubles, now=NOW + timedelta(seconds=130), grace=120) == 0.0


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
