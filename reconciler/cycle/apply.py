"""From a plan to running containers: Compose for the services that changed, in dependency order."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from reconciler.core.order import batches, with_companions
from reconciler.cycle.context import TargetContext
from reconciler.cycle.watch import StartFailed, wait_for
from reconciler.model.plan import Plan, Remove, Start, Up
from reconciler.model.stored import Manifest, ServiceFacts
from reconciler.ports import Events

COMPOSE_TIMEOUT = 120.0
"""Seconds for one `compose up` beyond the stop grace periods of its services."""


def apply(ctx: TargetContext, manifest: Manifest, plan: Plan, events: Events) -> None:
    """Carries out the plan's steps on containers. `current` points at `manifest`'s release already.

    What the release doesn't have goes first: it may hold a port, or a name, that something new needs.
    Raises StartFailed when something doesn't come up, TargetUnreachable when the connection is lost.
    """
    for step in plan.steps:
        if isinstance(step, Remove):
            ctx.engine.remove(step.container_id, stop_timeout=step.stop_seconds)
    changed = [step.service for step in plan.steps if isinstance(step, Up)]
    for batch in batches(manifest.services, changed):
        for service, condition in batch.waits:
            ctx.say(f"waiting for {service} ({condition.removeprefix('service_')})")
            wait_for(ctx, events, manifest.services, service, condition)
        ctx.say(f"bringing up {', '.join(batch.services)}")
        _up(ctx, manifest.services, batch.services)
    for step in plan.steps:
        if isinstance(step, Start):
            ctx.engine.start(step.container_id)


def _up(ctx: TargetContext, services: Mapping[str, ServiceFacts], changed: Sequence[str]) -> None:
    timeout = COMPOSE_TIMEOUT + sum(services[name].stop * services[name].replicas for name in changed)
    done = ctx.host.compose_up(with_companions(services, changed), timeout=timeout)
    if done.status != 0:
        said = [line.strip() for line in done.stderr.decode("utf-8", "replace").splitlines() if line.strip()]
        told = ctx.mask.quoted(said[-1]) if said else "it said nothing"
        raise StartFailed(f"docker compose up ended with {done.status}: {told}", None)
