"""The words and the looks of states and times: pure functions. No state is told by its colour alone."""

from __future__ import annotations

from datetime import UTC, datetime
from enum import StrEnum

from reconciler.core.health import Health
from reconciler.cycle.status import Sync
from reconciler.dataclass import dataclass
from reconciler.model.measure import Outcome
from reconciler.model.stored import Phase

MINUTE, HOUR, DAY = 60, 3600, 86400


class Tone(StrEnum):
    """How a state looks: its colour and, for whoever sees none, its shape. Worst first."""

    BAD = "bad"
    WARN = "warn"
    UNKNOWN = "unknown"
    PAUSED = "paused"
    BUSY = "busy"
    GOOD = "good"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class Badge:
    """A state in one or two words."""

    word: str
    tone: Tone


@dataclass(frozen=True, slots=True)
class Moment:
    """A moment for people (`ago`) and in full (`text`, UTC); `iso` is for machines."""

    iso: str
    text: str
    ago: str


_SYNC = {Sync.IN_SYNC: Tone.GOOD, Sync.OUT_OF_SYNC: Tone.WARN, Sync.UNKNOWN: Tone.UNKNOWN}
_HEALTH = {
    Health.HEALTHY: Tone.GOOD,
    Health.PROGRESSING: Tone.BUSY,
    Health.DEGRADED: Tone.BAD,
    Health.MISSING: Tone.BAD,
    Health.UNKNOWN: Tone.UNKNOWN,
}
_PHASE = {
    Phase.STABLE: Tone.GOOD,
    Phase.STABILIZING: Tone.BUSY,
    Phase.HELD: Tone.WARN,
    Phase.REVERTING: Tone.WARN,
    Phase.ROLLED_BACK: Tone.WARN,
    Phase.FAILED: Tone.BAD,
    Phase.SUSPENDED: Tone.PAUSED,
}
_OUTCOME = {
    Outcome.PASS: Tone.GOOD,
    Outcome.BREACH: Tone.BAD,
    Outcome.INCONCLUSIVE: Tone.UNKNOWN,
    Outcome.NO_DATA: Tone.UNKNOWN,
    Outcome.ERROR: Tone.WARN,
}
_RESULT = {
    "in_sync": Tone.GOOD,
    "deployed": Tone.GOOD,
    "healed": Tone.GOOD,
    "adopted": Tone.GOOD,
    "revert_failed": Tone.BAD,
    "failed": Tone.BAD,
    "unreachable": Tone.UNKNOWN,
    "locked": Tone.PAUSED,
}
PHASE_UNKNOWN = Badge("unknown", Tone.UNKNOWN)


def sync_badge(sync: Sync) -> Badge:
    return Badge(spaced(sync), _SYNC[sync])


def health_badge(health: Health) -> Badge:
    return Badge(spaced(health), _HEALTH[health])


def phase_badge(phase: Phase | None) -> Badge:
    """The phase of a target that was looked at; one that no pass has concluded has none yet."""
    return Badge("no phase yet", Tone.NONE) if phase is None else Badge(spaced(phase), _PHASE[phase])


def outcome_badge(outcome: Outcome) -> Badge:
    return Badge(spaced(outcome), _OUTCOME[outcome])


def result_badge(result: str) -> Badge:
    """A pass's word (`PassResult.result`)."""
    return Badge(spaced(result), _RESULT.get(result, Tone.WARN))


def worst(*badges: Badge) -> Tone:
    """The tone that counts for all of them."""
    tones = {badge.tone for badge in badges}
    return next((tone for tone in Tone if tone in tones), Tone.NONE)


def spaced(word: str) -> str:
    """`out_of_sync` as people write it."""
    return word.replace("_", " ")


def moment(at: datetime, now: datetime) -> Moment:
    """`at` as seen at `now`; both have a time zone."""
    utc = at.astimezone(UTC)
    return Moment(f"{utc:%Y-%m-%dT%H:%M:%SZ}", f"{utc:%Y-%m-%d %H:%M:%S} UTC", _ago((now - at).total_seconds()))


def maybe(at: datetime | None, now: datetime) -> Moment | None:
    """The same, where there is a moment."""
    return None if at is None else moment(at, now)


def lasting(seconds: float) -> str:
    """A length of time, rounded down to its two largest units: `23 hours 10 minutes`."""
    whole = max(0, int(seconds))
    for size, name, part, smaller in ((DAY, "day", HOUR, "hour"), (HOUR, "hour", MINUTE, "minute")):
        if whole >= size:
            rest = whole % size // part
            return _many(whole // size, name) + (f" {_many(rest, smaller)}" if rest else "")
    if whole >= MINUTE:
        rest = whole % MINUTE
        return _many(whole // MINUTE, "minute") + (f" {_many(rest, 'second')}" if rest else "")
    return _many(whole, "second")


def _ago(seconds: float) -> str:
    if seconds < -MINUTE:
        return f"{_roughly(-seconds)} ahead of this clock"
    return "just now" if seconds < 2 else f"{_roughly(seconds)} ago"


def _roughly(seconds: float) -> str:
    for size, name in ((DAY, "day"), (HOUR, "hour"), (MINUTE, "minute")):
        if seconds >= 2 * size or (size == MINUTE and seconds >= size):
            return _many(int(seconds // size), name)
    return _many(int(seconds), "second")


def _many(count: int, name: str) -> str:
    return f"{count} {name}" if count == 1 else f"{count} {name}s"
