"""Who made a drift, from events and logins: what is picked, and how it is told."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from reconciler.core.trace import explained, last_change
from reconciler.model.drift import Drift, Vector
from reconciler.model.observed import ContainerFacts
from reconciler.model.trace import Change, Login

START = datetime(2026, 1, 22, 10, 15, tzinfo=UTC)
STOPPED = Drift(Vector.CONTAINER, "app-web-1", "running", "exited with code 0")


def events(*actions: str, gap: float = 0.1) -> list[Change]:
    return [Change("web", action, START + timedelta(seconds=gap * n)) for n, action in enumerate(actions)]


@pytest.mark.parametrize(
    ("actions", "told"),
    [
        (["die"], "die"),
        (["kill", "die"], "kill"),
        (["kill", "stop", "die"], "stop"),
        (["kill", "kill", "die", "stop"], "stop"),
        (["oom", "die"], "oom"),
        (["kill", "stop", "die", "restart"], "restart"),
        (["kill", "die", "destroy"], "destroy"),
        (["pause"], "pause"),
        (["update", "pause", "connect"], "pause"),
    ],
)
def test_of_the_events_of_one_end_the_one_that_says_why(actions: list[str], told: str) -> None:
    found = last_change(events(*actions), "web", Vector.CONTAINER)
    assert found is not None
    assert found.action == told


def test_an_exit_long_after_a_kill_is_its_own() -> None:
    """A program may take a signal (SIGHUP) and go on."""
    found = last_change(events("kill", "die", gap=3600), "web", Vector.CONTAINER)
    assert found is not None
    assert found.action == "die"


def test_of_others_and_of_other_networks_nothing() -> None:
    changes = [Change("web", "disconnect", START, "front"), Change("api", "disconnect", START, "back")]
    assert last_change(changes, "web", Vector.NETWORK, network="back") is None
    assert last_change(changes, "web", Vector.NETWORK, network="front") == changes[0]
    assert last_change(changes, "web", Vector.CONTAINER) is None
    assert last_change(changes, "web", Vector.ENV) is None


def test_how_it_is_told() -> None:
    logins = [Login("alice", "pts/0 from 10.0.0.7"), Login("bob", "")]
    told = explained(STOPPED, None, Change("web", "stop", START), logins)
    assert told.line == (
        "app-web-1: expected running, found exited with code 0, since 2026-01-22 10:15:00 UTC"
        " (the engine says stop; logged in then: alice (pts/0 from 10.0.0.7), bob)"
    )
    assert explained(STOPPED, None, Change("web", "die", START), ()).hint == "the engine says it ended by itself"
    many = [Login(f"user{n}", "") for n in range(5)]
    assert explained(STOPPED, None, Change("web", "stop", START), many).hint.endswith("user0, user1, user2 and 2 more")


def test_without_an_event_an_ended_container_still_says_when_and_others_say_nothing() -> None:
    ended = ContainerFacts("web", "app-web-1", "web", "i", "exited", finished_at=START)
    assert explained(STOPPED, ended, None, ()).at == START
    limits = Drift(Vector.LIMITS, "app-web-1", "a", "b")
    assert explained(limits, ended, None, [Login("alice", "")]) == limits
    running = ContainerFacts("web", "app-web-1", "web", "i", "running", finished_at=START)
    assert explained(STOPPED, running, None, ()) == STOPPED
