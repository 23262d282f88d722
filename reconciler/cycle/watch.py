"""Waiting for containers by the engine's events: conditions between services, and the engine's own first judgement."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

from reconciler.cycle.context import TargetContext
from reconciler.model.errors import ReconcilerError
from reconciler.model.observed import ContainerFacts
from reconciler.model.stored import Condition, ServiceFacts
from reconciler.ports import Events

SLICE = 0.5
"""Longest wait in seconds before an interrupt is noticed, and before a lost event is made up for by a look."""
ONE_SHOT_DEADLINE = 600.0
"""Seconds that a one-shot may take; Compose itself knows no limit."""
IMAGES_OWN_CHECK = 180.0
"""Seconds for a health check that only the image has, at the engine's default pace: 3 × (30 s + 30 s)."""
SLACK = 5.0
"""Seconds beyond what a health check grants before it is called late."""


class StartFailed(ReconcilerError):
    """What had to be up before something else could start isn't. A breach, not an error of ours."""

    def __init__(self, message: str, container: ContainerFacts | None) -> None:
        self.container = container
        super().__init__(message)


def wait_for(
    ctx: TargetContext,
    events: Events,
    services: Mapping[str, ServiceFacts],
    name: str,
    condition: Condition,
    *,
    deadline: float = math.inf,
) -> None:
    """Waits until `name` meets `condition`. Raises StartFailed as soon as it can't, or when it is late: by its own
    limits, or by `deadline` (of `ctx.clock.monotonic`)."""
    facts = services[name]
    granted = ONE_SHOT_DEADLINE if condition is Condition.COMPLETED else facts.startup + SLACK
    granted = min(granted, deadline - ctx.clock.monotonic())

    def met(containers: tuple[ContainerFacts, ...]) -> bool:
        mine = [c for c in containers if c.service == name and not c.one_off and c.digest == facts.digest]
        for container in mine:
            if container.state == "exited" and container.exit_code != 0:
                raise StartFailed(f"{name}: exited with code {container.exit_code}", container)
            if condition is Condition.HEALTHY and container.health == "unhealthy":
                raise StartFailed(f"{name}: its health check failed", container)
        if condition is Condition.COMPLETED:
            return bool(mine) and all(c.state == "exited" for c in mine)
        return bool(mine) and all(c.health == "healthy" for c in mine)

    if not _until(ctx, events, met, granted):
        raise StartFailed(f"{name}: not {condition.removeprefix('service_')} after {granted:.3g} s", None)


def settle(
    ctx: TargetContext,
    events: Events,
    services: Mapping[str, ServiceFacts],
    *,
    deadline: float,
    recovering: bool = False,
) -> None:
    """Waits until the engine has judged every container once: healthy, unhealthy, ended, or without a check.

    With `recovering` a container may be unhealthy from before it was put right (a paused one is, by the probes that it
    missed): that judgement doesn't count, and the next one is awaited.

    Bounded by what the health checks themselves grant, and by `deadline` seconds. Judging is the gates' business: this
    only spares them a window that is over before the engine's first probe.
    """
    granted = max((facts.startup for facts in services.values() if facts.has_health), default=0.0)
    seen = ctx.engine.containers(ctx.project, details=False)
    if any(c.health == "starting" and c.service in services and not services[c.service].has_health for c in seen):
        granted = max(granted, IMAGES_OWN_CHECK)
    if any(facts.one_shot for facts in services.values()):
        granted = max(granted, ctx.deploy.gates.window)

    def judged(containers: tuple[ContainerFacts, ...]) -> bool:
        # The failed run of another release's one-shot may still lie there, and says nothing of this one.
        mine = [
            c
            for c in containers
            if c.service in services and not c.one_off and c.digest in {None, services[c.service].digest}
        ]
        failed = [c for c in mine if _has_failed(c) and not (recovering and c.runs)]
        return bool(failed) or all(_is_judged(c, services[c.service]) for c in mine)

    _until(ctx, events, judged, min(granted + SLACK, deadline))


def _has_failed(container: ContainerFacts) -> bool:
    ended_badly = container.state in {"exited", "dead", "restarting"} and container.exit_code != 0
    return ended_badly or (container.restarts or 0) > 0 or container.health == "unhealthy"


def _is_judged(container: ContainerFacts, facts: ServiceFacts) -> bool:
    if facts.one_shot:
        return container.state == "exited"
    return container.state != "running" or container.health in {None, "healthy"}


def _until(
    ctx: TargetContext, events: Events, met: Callable[[tuple[ContainerFacts, ...]], bool], deadline: float
) -> bool:
    end = ctx.clock.monotonic() + deadline
    while not met(ctx.engine.containers(ctx.project, details=True)):
        ctx.check_interrupt()
        left = end - ctx.clock.monotonic()
        if left <= 0:
            return False
        events.next(min(left, SLICE))
    return True
