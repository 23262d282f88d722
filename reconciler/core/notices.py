"""What to tell of a pass: from how a target stood when it was told of last to how it stands now. Pure.

It compares standings instead of listening for changes (level-triggered): what happened while nobody listened, or was
done by the target's own watchdog or by another controller, is told by the next pass, and what was told isn't told
again. A target that is met for the first time is told of only as far as this very pass did something.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import PurePath

from reconciler.dataclass import dataclass
from reconciler.model.notice import Notice, Standing
from reconciler.model.notify import Event
from reconciler.model.stored import Episode, Phase, TargetState
from reconciler.model.watchdog import Ended

PROVED = frozenset({"verified", "stable"})
MOST_LINES = 10
"""Differences that one notice lists."""


@dataclass(frozen=True, slots=True)
class Sighting:
    """What one pass says of a target. `result` and `message` are those of its PassResult; `alone` is how what the
    target did by itself ended, and `told` says it. `state` is None where the pass didn't come to read it; `drift` are
    the keys of the drift that it found (None: it didn't look), `desired` is the release that is asked for."""

    app: str
    target: str
    at: datetime
    result: str
    message: str
    tag: str
    release: str | None
    state: TargetState | None
    record: str | None = None
    commit: str | None = None
    alone: Ended | None = None
    told: str = ""
    drift: frozenset[str] | None = None
    desired: str | None = None

    @property
    def run(self) -> str:
        """The run whose record this pass wrote; empty for none."""
        return PurePath(self.record).stem.partition("_")[2] if self.record else ""


def told(before: Standing | None, seen: Sighting) -> tuple[Standing | None, tuple[Notice, ...]]:
    """How the target stands from now on, and what to tell of it. `before` is None for a target that is new."""
    stuck = (seen.release or seen.tag) if seen.result == "revert_failed" else ""
    notices = list(_revert_failed(before, seen, stuck))
    state = seen.state
    if state is None:
        after = before.model_copy(update={"stuck": stuck}) if before and stuck else before
        return after, tuple(notices)
    if not stuck and before is not None and state.phase in {Phase.REVERTING, Phase.FAILED}:
        stuck = before.stuck
    now = Standing(
        release=state.serving,
        proof=proof_of(state),
        quarantined=tuple(sorted(f"{release}@{entry.run}" for release, entry in state.quarantine.items())),
        episodes=_episodes(before, seen, state.episodes),
        stuck=stuck,
    )
    notices += _of_release(before, now, seen, state)
    notices += _quarantined(before, seen, state)
    notices += _drift(before, now, seen, state.episodes)
    return now, tuple(notices)


def notice(event: Event, seen: Sighting, what: str, *lines: str) -> Notice:
    """A notice about a target: its title names the app, the target and what; its body says the rest."""
    body = [line for line in lines if line]
    if seen.record:
        body.append(f"record: {PurePath(seen.record).stem}")
    if seen.commit:
        body.append(f"commit: {seen.commit[:12]}")
    return Notice(event=event, at=seen.at, title=f"{seen.app} on {seen.target}: {what}", body="\n".join(body))


def _revert_failed(before: Standing | None, seen: Sighting, stuck: str) -> Iterator[Notice]:
    if stuck and (before is None or before.stuck != stuck):
        yield notice(Event.REVERT_FAILED, seen, f"going back from {stuck} failed: a person is needed", seen.message)
    if seen.alone in {Ended.REVERT_FAILED, Ended.ABANDONED}:
        yield notice(Event.REVERT_FAILED, seen, "the target couldn't go back by itself", seen.told, seen.message)


def _of_release(before: Standing | None, now: Standing, seen: Sighting, state: TargetState) -> Iterator[Notice]:
    """At most one: what serves is another, or has come further."""
    is_other = before is not None and before.release != now.release
    if seen.result == "reverted":
        leaving = seen.release or seen.tag
        back = f"{now.release} serves again" if state.phase is not Phase.FAILED else "nothing serves"
        yield notice(Event.REVERTED, seen, f"{leaving} was taken back, {back}", f"tag: {seen.tag}", seen.message)
        return
    if seen.alone is Ended.REVERTED:
        yield notice(Event.REVERTED, seen, f"the target went back to {now.release} by itself", seen.told)
        return
    if state.phase is Phase.ROLLED_BACK:
        if is_other:
            left = before.release if before else None
            why = state.quarantine[left].reason if left in state.quarantine else ""
            yield notice(
                Event.REVERTED, seen, f"{now.release} serves again instead of {left}", why and f"reason: {why}"
            )
        return
    further = before is not None and (is_other or before.proof != now.proof)
    if state.phase is Phase.HELD:
        if further or (before is None and seen.result == "held" and seen.record):
            yield notice(Event.HELD, seen, f"{now.release} is held", seen.message, "what to do: look at its gates")
    elif state.phase in {Phase.STABILIZING, Phase.STABLE}:
        is_new = is_other or (before is not None and before.proof not in PROVED)
        if (is_new and now.proof in PROVED) or (before is None and seen.result == "deployed"):
            yield notice(Event.DEPLOYED, seen, f"{now.release} is live and verified", f"tag: {seen.tag}")
        elif further and now.proof == "stable":
            yield notice(Event.STABLE, seen, f"{now.release} is stable", "it is last good from now on")


def _quarantined(before: Standing | None, seen: Sighting, state: TargetState) -> Iterator[Notice]:
    for release, entry in sorted(state.quarantine.items()):
        known = f"{release}@{entry.run}" in before.quarantined if before is not None else entry.run != seen.run
        if not known:
            yield notice(
                Event.QUARANTINED,
                seen,
                f"{release} is quarantined",
                f"reason: {entry.reason}",
                "what to do: release another tag, or lift it with `reconcile retry`",
            )


def _episodes(before: Standing | None, seen: Sighting, episodes: Mapping[str, Episode]) -> tuple[str, ...]:
    """The episodes that need no telling any more. Repairs that failed so far are told when one succeeds."""
    silent = {
        _named(key, each)
        for key, each in episodes.items()
        if before is None or each.closed_at is not None or not each.repairs or _is_healed(key, each, seen)
    }
    known = set(before.episodes) if before is not None else set()
    return tuple(sorted(name for key, each in episodes.items() if (name := _named(key, each)) in silent | known))


def _is_healed(key: str, episode: Episode, seen: Sighting) -> bool:
    """Whether what was repaired is as it should be. A pass that repairs and is blocked otherwise says so by its record
    alone."""
    if seen.result == "failed" or seen.drift is None:
        return False
    return seen.result == "healed" or episode.run == seen.run or key not in seen.drift


def _drift(before: Standing | None, now: Standing, seen: Sighting, episodes: Mapping[str, Episode]) -> Iterator[Notice]:
    fresh = {
        key: each
        for key, each in episodes.items()
        if each.closed_at is None
        and _named(key, each) in now.episodes
        and (_named(key, each) not in before.episodes if before is not None else each.run == seen.run)
    }
    left = {key: each for key, each in fresh.items() if not each.repairs}
    if left:
        yield notice(Event.DRIFT, seen, "differs from what was released, and is left so by policy", *_lines(left))
    if repaired := {key: each for key, each in fresh.items() if each.repairs}:
        yield notice(Event.HEALED, seen, "was changed by hand, and is as it should be again", *_lines(repaired))


def _lines(episodes: Mapping[str, Episode]) -> list[str]:
    lines = [f"{key.partition(':')[0]}: {each.line}" for key, each in sorted(episodes.items())]
    more = [f"… and {len(lines) - MOST_LINES} more"] if len(lines) > MOST_LINES else []
    return lines[:MOST_LINES] + more


def _named(key: str, episode: Episode) -> str:
    return f"{key}@{episode.run}"


def proof_of(state: TargetState) -> str:
    """How far what serves has proved itself, as `Standing.proof`."""
    past = state.releases.get(state.serving or "")
    match state.phase:
        case Phase.HELD:
            return "held"
        case Phase.STABLE:
            return "stable"
        case Phase.STABILIZING | Phase.ROLLED_BACK if past is not None and past.verified_at is not None:
            return "verified"
        case _:
            return ""
