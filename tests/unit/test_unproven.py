"""Between a switch and its verdict nothing is proved: neither by what came before, nor by a pass that died."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from reconciler.core import history
from reconciler.core.history import Outcome
from reconciler.model.stored import Phase, Stabilization, TargetState

NOW = datetime(2026, 1, 1, tzinfo=UTC)
A, B = "20260101_000001-aaaaaaaa", "20260101_000002-bbbbbbbb"


def stable_on(release: str) -> TargetState:
    state = history.switched(TargetState(app="a", project="a"), entering=release, tag=release[:15], now=NOW)
    state = history.concluded(state, Outcome.VERIFIED, release=release, now=NOW)
    return history.concluded(state, Outcome.STABILIZED, release=release, now=NOW)


def test_a_switch_takes_no_phase_along() -> None:
    before = stable_on(A).model_copy(update={"stabilization": Stabilization(covered=3600)})
    after = history.switched(before, entering=B, tag=B[:15], now=NOW + timedelta(hours=1))
    assert (after.phase, after.stabilization, after.since) == (None, None, NOW + timedelta(hours=1))
    assert history.is_unproven(after, B)
    assert history.last_good(after) == A


def test_a_release_that_was_good_once_is_unproven_again_after_a_switch_to_it() -> None:
    back = history.switched(
        history.switched(stable_on(A), entering=B, tag=B[:15], now=NOW), entering=A, tag=A[:15], now=NOW
    )
    assert history.is_unproven(back, A)
    assert not history.is_unproven(history.concluded(back, Outcome.VERIFIED, release=A, now=NOW), A)


@pytest.mark.parametrize("phase", [phase for phase in Phase if phase is not Phase.SUSPENDED])
def test_what_the_state_does_not_say_serves_is_unproven(phase: Phase) -> None:
    """A pass died between the state file and the link."""
    state = stable_on(A).model_copy(update={"phase": phase})
    assert history.is_unproven(state, B)
    assert not history.is_unproven(state, A)
