"""Who made a drift and when, as far as the target can tell. Asked only where there is drift."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

from reconciler.core.trace import explained, last_change, when
from reconciler.cycle.context import TargetContext
from reconciler.model.drift import Drift, Vector
from reconciler.model.observed import ContainerFacts, Observed
from reconciler.model.plan import Plan
from reconciler.model.trace import Change, Login

_REMEMBERED = timedelta(days=7)
"""How far back the engine is asked; it keeps 256 events."""
_MOST_MOMENTS = 3
"""Moments at which it is asked who was logged in: a heap of drift mostly has one."""
_OF_CONTAINERS = frozenset(
    {Vector.CONTAINER, Vector.LIMITS, Vector.NETWORK, Vector.ATTACHMENT, Vector.LAYER, Vector.KEEPER}
)


def explain(ctx: TargetContext, plan: Plan, observed: Observed) -> Plan:
    """The plan with the time and the likely author of each drift on a container that the target remembers."""
    if not any(drift.vector in _OF_CONTAINERS for drift in plan.drift):
        return plan
    changes = ctx.engine.changes(ctx.clock.now() - _REMEMBERED)
    logins: dict[datetime, tuple[Login, ...]] = {}

    def told(drift: Drift) -> Drift:
        container = _container(drift, observed)
        change: Change | None = None
        if container is not None:
            network = drift.object.partition(" on ")[2]
            change = last_change(changes, container.id, drift.vector, network=network)
        at = when(drift, container, change)
        if at is None:
            return drift
        if at not in logins and len(logins) < _MOST_MOMENTS:
            logins[at] = ctx.host.logins_at(at)
        return explained(drift, container, change, logins.get(at, ()))

    known = {drift.key: told(drift) for drift in plan.drift}
    return replace(
        plan,
        drift=tuple(known.values()),
        left=tuple((known[drift.key], why) for drift, why in plan.left),
    )


def _container(drift: Drift, observed: Observed) -> ContainerFacts | None:
    if drift.vector not in _OF_CONTAINERS:
        return None
    name = drift.object.partition(" on ")[0]
    return next((container for container in observed.containers if container.name == name), None)
