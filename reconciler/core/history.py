"""Where a target stands after a pass, and where a revert goes: pure functions over phase × history × outcome.

Words (DESIGN): *last good* is the newest stable release, until there is one the newest verified. The *way back* is the
release that served before the switch if it is verified and not quarantined, else last good. A quarantined release is
neither, whatever it proved before.
"""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import assert_never

from reconciler.model.measure import Served, Subject
from reconciler.model.stored import Past, Phase, Quarantine, Stabilization, Standing, TargetState


class Outcome(StrEnum):
    """How a pass over a release ended."""

    VERIFIED = "verified"
    """Its window of gates passed."""
    HELD = "held"
    """Its window ended without enough measurements to say."""
    STABILIZED = "stabilized"
    """Its stabilization period is over, covered by passing measurements."""
    REVERTED = "reverted"
    """It breached, and the way back was brought up and verified."""
    REVERT_BREACHED = "revert_breached"
    """It breached, and so did the way back: a person is needed."""
    NOTHING_TO_REVERT_TO = "nothing_to_revert_to"
    """It breached with no way back: it was stopped."""
    ROLLED_BACK = "rolled_back"
    """A person left it for another release, which was brought up and verified."""


def last_good(state: TargetState, *, besides: str | None = None) -> str | None:
    """The newest stable release, or else the newest verified one; never a quarantined one nor `besides`."""
    candidates = {
        release: past
        for release, past in state.releases.items()
        if release not in state.quarantine and release != besides and past.verified_at is not None
    }
    stable = {release: past for release, past in candidates.items() if past.standing is Standing.STABLE}
    pool = stable or candidates
    return max(pool, key=lambda release: _proved_at(pool[release]), default=None)


def way_back(state: TargetState, *, leaving: str, before: str | None) -> str | None:
    """Where a revert from `leaving` goes, given the release that served `before` it; None if there is nowhere."""
    if before and before != leaving and before not in state.quarantine:
        past = state.releases.get(before)
        if past and past.standing is not Standing.UNVERIFIED:
            return before
    return last_good(state, besides=leaving)


def is_unproven(state: TargetState, release: str) -> bool:
    """Whether nobody knows how `release` is since it was switched to: a pass died before its window was over."""
    past = state.releases.get(release)
    return state.phase is None or state.serving != release or past is None or past.standing is Standing.UNVERIFIED


def subject(state: TargetState, release: str, tag: str, *, since: datetime) -> Subject:
    """What is judged when `release` is measured since `since`, by the controller's clock.

    It is compared with the release that served until then: with none where `since` isn't a switch (a repair), or where
    that one is quarantined, as in a revert: what breached is no measure of anything.
    """
    past = state.releases.get(release)
    previous = state.releases.get(state.previous) if state.previous else None
    is_switch = past is not None and past.switched_at == since
    if previous is None or not is_switch or state.previous in {release, *state.quarantine}:
        return Subject(tag, since)
    return Subject(tag, since, Served(previous.tag, previous.switched_at))


def protected(state: TargetState) -> frozenset[str]:
    """Releases whose files and images must stay: current, the way back of it, last good."""
    names = {state.serving, last_good(state)}
    if state.serving:
        names.add(way_back(state, leaving=state.serving, before=state.previous))
    if state.open:
        names |= {state.open.leaving, state.open.entering}
    return frozenset(name for name in names if name)


def switched(state: TargetState, *, entering: str, tag: str, now: datetime) -> TargetState:
    """The state with `entering` at `current`: written together with the switch, before Compose runs.

    A release that is switched to again keeps what it proved; the release that it replaces becomes the previous one.
    There is no phase until the pass is concluded: what the last release had come to says nothing of this one (P4).
    """
    past = state.releases.get(entering)
    known = past.model_copy(update={"switched_at": now}) if past else Past(tag=tag, switched_at=now)
    previous = state.serving if state.serving != entering else state.previous
    return state.model_copy(
        update={
            "serving": entering,
            "previous": previous,
            "phase": None,
            "since": now,
            "stabilization": None,
            "releases": {**state.releases, entering: known},
        }
    )


def concluded(
    state: TargetState, outcome: Outcome, *, release: str, now: datetime, reason: str = "", run: str = ""
) -> TargetState:
    """The state after a pass whose subject was `release` ended with `outcome`.

    For outcomes that leave `release`, `state.serving` is where the target is by then.
    """
    match outcome:
        case Outcome.VERIFIED:
            return _phase(
                _prove(state, release, verified_at=now), Phase.STABILIZING, now, Stabilization(measured_at=now)
            )
        case Outcome.HELD:
            return _phase(state, Phase.HELD, now, Stabilization(measured_at=None))
        case Outcome.STABILIZED:
            return _phase(_prove(state, release, stable_at=now), Phase.STABLE, now, None)
        case Outcome.REVERTED | Outcome.ROLLED_BACK:
            back = state.model_copy(update={"previous": None})
            return _phase(_quarantine(back, release, now, reason, run), Phase.ROLLED_BACK, now, None)
        case Outcome.REVERT_BREACHED | Outcome.NOTHING_TO_REVERT_TO:
            return _phase(_quarantine(state, release, now, reason, run), Phase.FAILED, now, None)
        case _:
            assert_never(outcome)


def retried(state: TargetState, *, release: str | None) -> TargetState:
    """The state without the quarantine of `release` (None: of any); what it proved before counts no more (P4)."""
    kept = {} if release is None else {name: q for name, q in state.quarantine.items() if name != release}
    unproven = {
        name: past.model_copy(update={"verified_at": None, "stable_at": None})
        for name, past in state.releases.items()
        if name in state.quarantine and name not in kept
    }
    return state.model_copy(update={"quarantine": kept, "releases": {**state.releases, **unproven}})


def forgotten(state: TargetState, *, gone: frozenset[str]) -> TargetState:
    """The state without pruned releases; a quarantine outlives the files of its release."""
    return state.model_copy(
        update={
            "releases": {name: past for name, past in state.releases.items() if name not in gone},
            "seals": {name: seal for name, seal in state.seals.items() if name not in gone},
            "sources": {
                source: name for source, name in state.sources.items() if name not in gone or name in state.quarantine
            },
        }
    )


def _proved_at(past: Past) -> datetime:
    proved = past.stable_at or past.verified_at
    return proved if proved is not None else past.switched_at


def _prove(
    state: TargetState, release: str, *, verified_at: datetime | None = None, stable_at: datetime | None = None
) -> TargetState:
    past = state.releases[release]
    proved = past.model_copy(
        update={"verified_at": past.verified_at or verified_at, "stable_at": past.stable_at or stable_at}
    )
    return state.model_copy(update={"releases": {**state.releases, release: proved}})


def _quarantine(state: TargetState, release: str, now: datetime, reason: str, run: str) -> TargetState:
    tag = state.releases[release].tag if release in state.releases else ""
    entry = Quarantine(tag=tag, at=now, reason=reason, run=run)
    return state.model_copy(update={"quarantine": {**state.quarantine, release: entry}})


def _phase(state: TargetState, phase: Phase, now: datetime, stabilization: Stabilization | None) -> TargetState:
    return state.model_copy(update={"phase": phase, "since": now, "stabilization": stabilization})
