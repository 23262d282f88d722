"""From a plan to running containers: Compose for the services that changed, in dependency order."""

from __future__ import annotations

from reconciler.core.order import batches
from reconciler.cycle.context import TargetContext
from reconciler.cycle.watch import StartFailed, wait_for
from reconciler.model.plan import Plan, Remove, Start, Up
from reconciler.model.stored import Manifest, ServiceFacts
from reconciler.ports import Events

COMPOSE_TIMEOUT = 120.0
"""Seconds for one `compose up` beyond the stop grace periods of its services."""


def apply(ctx: TargetContext, manifest: Manifest, plan: Plan, events: Events) -> None:
    """Carries out the plan's steps on containers. `current` points at `manifest`'s release already.

    Raises StartFailed when something doesn't come up, TargetUnreachable when the connection is lost.
    """
    changed = [step.service for step in plan.steps if isinstance(step, Up)]
    for batch in batches(manifest.services, changed):
        for service, condition in batch.waits:
            ctx.say(f"waiting for {service} ({condition.removeprefix('service_')})")
            wait_for(ctx, events, manifest.services, service, condition)
        ctx.say(f"bringing up {', '.join(batch.services)}")
        _up(ctx, [(service, manifest.services[service]) for service in batch.services])
    for step in plan.steps:
        if isinstance(step, Start):
            ctx.engine.start(step.container_id)
    for step in plan.steps:
        if isinstance(step, Remove):
            ctx.engine.remove(step.container_id, stop_timeout=step.stop_seconds)


def _up(ctx: TargetContext, services: list[tuple[str, ServiceFacts]]) -> None:
    timeout = COMPOSE_TIMEOUT + sum(facts.stop * facts.replicas for _, facts in services)
    done = ctx.host.compose_up([name for name, _ in services], timeout=timeout)
    if done.status != 0:
        said = [line.strip() for line in done.stderr.decode("utf-8", "replace").splitlines() if line.strip()]
        told = ctx.mask.text(said[-1]) if said else "it said nothing"
        raise StartFailed(f"docker compose up ended with {done.status}: {told}", None)
