"""Episodes of drift: repairs of one thing that follow each other are one story with one record, and are paced (P5).

A first repair is made at once. Each further one of the same thing waits for 2 s, then three times as long as the time
before, up to 5 minutes, counted from the last repair: two managers that fight over a container don't burn a server.
An episode closes after a quiet hour. The next one of the same thing begins where the last one stopped, less one step
of waiting for every full quiet hour, so that who comes back each hour isn't met as a stranger.

Drift that is only reported is an episode, too: it opens when it is seen first, and closes when it isn't seen any more.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from datetime import datetime, timedelta

from reconciler.model.drift import Drift
from reconciler.model.stored import Episode

FIRST_WAIT, FACTOR, LONGEST_WAIT = 2.0, 3.0, 300.0
"""Seconds before the second repair, what each further one multiplies it by, and where that ends."""
QUIET = timedelta(hours=1)
"""So long without a repair, and an episode is over."""
_HIGHEST = 6
"""The step at which the wait has reached its longest."""


def waits_until(episode: Episode | None, now: datetime) -> datetime | None:
    """When the next repair may be made; None where it may be made now."""
    step = _step(episode, now)
    if episode is None or step == 0:
        return None
    until = episode.last_at + timedelta(seconds=min(LONGEST_WAIT, FIRST_WAIT * FACTOR ** (step - 1)))
    return until if until > now else None


def noted(
    episodes: Mapping[str, Episode], drift: Iterable[Drift], *, run: str, now: datetime, repaired: bool
) -> dict[str, Episode]:
    """The episodes after a pass that repaired, or only reported, this drift. `run` is the record of those that open."""
    result = dict(episodes)
    for each in drift:
        known = result.get(each.key)
        if known is not None and _goes_on(known, repaired=repaired):
            opened = known
        else:
            opened = Episode(run=run, opened_at=now, last_at=now, line=each.line)
        if repaired:
            step = min(_HIGHEST, _step(known, now) + 1)
            opened = opened.model_copy(update={"last_at": now, "repairs": opened.repairs + 1, "step": step})
        result[each.key] = opened
    return result


def are_new(episodes: Mapping[str, Episode], drift: Iterable[Drift], *, repaired: bool) -> bool:
    """Whether any of this drift opens an episode, and so needs a record of its own.

    The first repair of what was only reported so far does: the server is changed, and no record says so yet (P11).
    """
    return any(each.key not in episodes or not _goes_on(episodes[each.key], repaired=repaired) for each in drift)


def closed(
    episodes: Mapping[str, Episode], *, seen: Collection[str], now: datetime
) -> tuple[dict[str, Episode], dict[str, Episode]]:
    """The episodes that stay, and those that end now; `seen` are the keys of the drift that is there.

    What ended is remembered for as long as it makes the next repair wait.
    """
    staying: dict[str, Episode] = {}
    ending: dict[str, Episode] = {}
    for key, episode in episodes.items():
        over = now - episode.last_at >= QUIET if episode.repairs else True
        if episode.closed_at is None and key not in seen and over:
            ending[key] = episode.model_copy(update={"closed_at": now})
            if _step(episode, now):
                staying[key] = ending[key]
        elif episode.closed_at is None or _step(episode, now):
            staying[key] = episode
    return staying, ending


def _goes_on(episode: Episode, *, repaired: bool) -> bool:
    return episode.closed_at is None and (episode.repairs > 0 or not repaired)


def _step(episode: Episode | None, now: datetime) -> int:
    """How far the waiting has come, less what the quiet since then took away."""
    return max(0, episode.step - int((now - episode.last_at) / QUIET)) if episode else 0
