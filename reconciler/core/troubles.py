"""What lasts (a target out of reach, passes that fail, a remote that is away): told once it has lasted, and told when
it is over. Pure.

A blip of a connection is no news, so a trouble is told when it is older than a grace; one that ends before it was told
was none.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime, timedelta

from reconciler.core.notices import Sighting
from reconciler.model.notice import Notice, Trouble
from reconciler.model.notify import Event
from reconciler.model.stored import Phase

Troubles = Mapping[str, Trouble]

_WHAT = {
    Event.UNREACHABLE: ("nothing is known of it", "is in reach again"),
    Event.FAILED: ("passes fail", "passes succeed again"),
    Event.BLIND: ("its gates can't measure", "its gates measure again"),
    Event.SOURCE: ("the desired state stays as it was", "the desired state is known again"),
    Event.RECORDS: ("run records can't be pushed", "run records are pushed again"),
}
_TO_DO = {
    Event.UNREACHABLE: "what to do: see whether the host, its sshd and its Docker engine are up",
    Event.FAILED: "what to do: correct what the reason names; it is tried again by itself",
    Event.BLIND: "what to do: bring the measuring system back; the release is held until then",
    Event.SOURCE: "what to do: look at the branch and at the remote; what was deployed goes on being kept up",
    Event.RECORDS: "what to do: see whether the daemon may push; the records wait on the controller",
}


def began(troubles: Troubles, event: Event, *, why: str, now: datetime, where: str = "", about: str = "") -> Troubles:
    """With this trouble at this target (`where`; none: of the app). One that is known already goes on."""
    key = _key(event, where)
    known = troubles.get(key)
    if known is not None and known.about == about:
        return {**troubles, key: known.model_copy(update={"why": why})}
    return {**troubles, key: Trouble(event=event, where=where, about=about, why=why, since=now)}


def ended(
    troubles: Troubles, event: Event, *, app: str, now: datetime, where: str = ""
) -> tuple[Troubles, tuple[Notice, ...]]:
    """Without it, and that it is over where it had been told."""
    key = _key(event, where)
    known = troubles.get(key)
    if known is None:
        return troubles, ()
    rest = {name: each for name, each in troubles.items() if name != key}
    if not known.told:
        return rest, ()
    lines = (f"since {known.since:%Y-%m-%d %H:%M:%S} UTC it was: {known.why}",)
    return rest, (_notice(Event.RECOVERED, app, known, _WHAT[event][1], now, lines),)


def ripe(troubles: Troubles, *, app: str, now: datetime, grace: float) -> tuple[Troubles, tuple[Notice, ...]]:
    """What has lasted `grace` seconds is told now."""
    after, notices = dict(troubles), []
    for key, each in troubles.items():
        if not each.told and now >= each.since + timedelta(seconds=grace):
            after[key] = each.model_copy(update={"told": True})
            lines = (f"since {each.since:%Y-%m-%d %H:%M:%S} UTC", f"reason: {each.why}", _TO_DO[each.event])
            notices.append(_notice(each.event, app, each, _WHAT[each.event][0], now, lines))
    return after, tuple(notices)


def due(troubles: Troubles, *, now: datetime, grace: float) -> float | None:
    """Seconds until the next one is to be told; None for none."""
    waits = [(each.since - now).total_seconds() + grace for each in troubles.values() if not each.told]
    return max(0.0, min(waits)) if waits else None


def after_pass(troubles: Troubles, seen: Sighting) -> tuple[Troubles, tuple[Notice, ...]]:
    """What a pass says of them. One that couldn't look says nothing of what is measured (P6)."""
    if seen.result == "unreachable":
        return began(troubles, Event.UNREACHABLE, why=seen.message, now=seen.at, where=seen.target), ()
    notices: tuple[Notice, ...] = ()
    over = [Event.UNREACHABLE]
    if seen.result == "failed" or (seen.result == "blocked" and seen.state is None):
        troubles = began(troubles, Event.FAILED, why=seen.message, now=seen.at, where=seen.target, about=seen.tag)
    elif seen.result != "locked":
        over.append(Event.FAILED)
    if seen.result == "held" and seen.state is not None and seen.state.phase is Phase.STABILIZING:
        troubles = began(troubles, Event.BLIND, why=seen.message, now=seen.at, where=seen.target)
    elif seen.state is not None:
        over.append(Event.BLIND)
    for event in over:
        troubles, more = ended(troubles, event, app=seen.app, now=seen.at, where=seen.target)
        notices += more
    return troubles, notices


def of_targets(troubles: Troubles, targets: Collection[str]) -> Troubles:
    """Without those of targets that are gone."""
    return {key: each for key, each in troubles.items() if not each.where or each.where in targets}


def _key(event: Event, where: str) -> str:
    return f"{event}@{where}" if where else event.value


def _notice(event: Event, app: str, trouble: Trouble, what: str, now: datetime, lines: tuple[str, ...]) -> Notice:
    place = f"{app} on {trouble.where}" if trouble.where else app
    return Notice(event=event, at=now, title=f"{place}: {what}", body="\n".join(lines))
