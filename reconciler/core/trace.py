"""Who made a drift, as far as the target remembers: the engine's events, and who was logged in then."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from types import MappingProxyType

from reconciler.model.drift import Drift, Vector
from reconciler.model.observed import ContainerFacts
from reconciler.model.trace import Change, Login

_ENDS = frozenset({"destroy", "die", "kill", "oom", "pause", "restart", "stop"})
ACTIONS: Mapping[Vector, frozenset[str]] = MappingProxyType(
    {
        Vector.CONTAINER: _ENDS,
        Vector.KEEPER: _ENDS,
        Vector.LIMITS: frozenset({"update"}),
        Vector.NETWORK: frozenset({"connect", "disconnect"}),
        Vector.ATTACHMENT: frozenset({"connect"}),
        Vector.LAYER: frozenset({"extract-to-dir"}),
    }
)
"""Which of the engine's actions lead to which drift. A file that a process in the container wrote has no event."""
_TELL_MORE = ("restart", "stop", "oom", "kill")
"""Of the events of one end, the first of these says best why; a `die` alone is an exit of the program itself."""
_LONGEST_END = 60.0
"""Seconds from the first to the last event of one end: the signal, a grace period, the kill."""
_SHOWN_LOGINS = 3


def last_change(changes: Iterable[Change], container_id: str, vector: Vector, *, network: str = "") -> Change | None:
    """The change (of Engine.changes, oldest first) that led to drift of this vector; None where none is remembered.

    `network` is the one that the container was attached to, or detached from.
    """
    actions = ACTIONS.get(vector, frozenset())
    mine = [
        change
        for change in changes
        if change.container == container_id
        and change.action in actions
        and (not change.network or not network or change.network == network)
    ]
    if not mine:
        return None
    last = mine[-1]
    if last.action not in {"die", "stop"}:
        return last
    ending = [change for change in mine if (last.at - change.at).total_seconds() <= _LONGEST_END]
    found = {change.action: change for change in ending}
    return next((found[action] for action in _TELL_MORE if action in found), last)


def explained(drift: Drift, container: ContainerFacts | None, change: Change | None, logins: Sequence[Login]) -> Drift:
    """The drift with its time and a hint. Where no event is remembered, an ended container still says when it ended.

    `logins` are those of `when`: whoever was logged in then may have done it, or not.
    """
    at = when(drift, container, change)
    if at is None:
        return drift
    told = [f"the engine says {_WORDS.get(change.action, change.action)}"] if change else []
    if logins:
        names = [f"{login.user} ({login.where})" if login.where else login.user for login in logins]
        others = f" and {len(names) - _SHOWN_LOGINS} more" if len(names) > _SHOWN_LOGINS else ""
        told.append(f"logged in then: {', '.join(names[:_SHOWN_LOGINS])}{others}")
    return replace(drift, at=at, hint="; ".join(told))


def when(drift: Drift, container: ContainerFacts | None, change: Change | None) -> datetime | None:
    """When the drift came to be, by the target's clock; None where the target doesn't tell."""
    if change is not None:
        return change.at
    ended = drift.vector is Vector.CONTAINER and container is not None and container.state == "exited"
    return container.finished_at if ended and container is not None else None


_WORDS: Mapping[str, str] = MappingProxyType(
    {"die": "it ended by itself", "oom": "it was out of memory", "extract-to-dir": "files were copied into it"}
)
