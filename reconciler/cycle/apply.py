"""From a plan to running containers: Compose for the services that changed, in dependency order."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from reconciler.core.order import batches, with_companions
from reconciler.cycle.context import TargetContext
from reconciler.cycle.refusals import check_port, passes
from reconciler.cycle.runtime import model_of
from reconciler.cycle.watch import StartFailed, wait_for
from reconciler.model.errors import CannotUpdate, ReconcilerError, TargetUnreachable
from reconciler.model.plan import Connect, Disconnect, Plan, Remove, Restart, Start, Step, Stop, Up, Update
from reconciler.model.stored import Manifest, ServiceFacts
from reconciler.ports import Events

COMPOSE_TIMEOUT = 120.0
"""Seconds for one `compose up` beyond the stop grace periods of its services."""
UP_ATTEMPTS = 3
UP_PAUSE = 2.0
"""Seconds between two attempts."""
_NO_ENGINE = (
    "cannot connect to the docker daemon",
    "error during connect",
    "unexpected eof",
    "connection reset by peer",
    "broken pipe",
    "server is shutting down",
)
"""What Compose says when the engine is gone: nothing is known then (P6), and no release is to blame."""


def apply(ctx: TargetContext, manifest: Manifest, plan: Plan, events: Events, *, deadline: float = math.inf) -> None:
    """Carries out the plan's steps on containers. `current` points at `manifest`'s release already.

    Nothing new is begun after `deadline` (of `ctx.clock.monotonic`), nor awaited.

    What the release doesn't have goes first: it may hold a port, or a name, that something new needs.
    Raises StartFailed when something doesn't come up, EngineStuck where the engine is to blame for that,
    TargetUnreachable when the connection is lost.
    """
    for step in plan.steps:
        if isinstance(step, Remove):
            ctx.engine.remove(step.container_id, stop_timeout=step.stop_seconds)
        if isinstance(step, Stop):
            ctx.engine.stop(step.container_id)
    changed = [step.service for step in plan.steps if isinstance(step, Up)]
    model = model_of(ctx, manifest) if changed else None
    for batch in batches(manifest.services, changed):
        for service, condition in batch.waits:
            ctx.say(f"waiting for {service} ({condition.removeprefix('service_')})")
            wait_for(ctx, events, manifest.services, service, condition, deadline=deadline)
        ctx.say(f"bringing up {', '.join(batch.services)}")
        _up(ctx, manifest.services, batch.services, model, deadline)
    anew: set[str] = set()
    for step in plan.steps:
        if isinstance(step, Update | Connect | Disconnect) and step.container_id in anew:
            continue
        try:
            _in_place(ctx, step)
        except CannotUpdate as error:
            if not isinstance(step, Update | Connect | Disconnect):
                raise
            ctx.say(f"making {step.container} anew: {error}")
            anew.add(step.container_id)
            ctx.engine.remove(step.container_id, stop_timeout=manifest.services[step.service].stop)
            _up(ctx, manifest.services, [step.service], model or model_of(ctx, manifest), deadline)


def _in_place(ctx: TargetContext, step: Step) -> None:
    """What is done to a container that stays the same one."""
    match step:
        case Start():
            _start(ctx, step.container_id)
        case Restart():
            ctx.engine.stop(step.container_id)
            _start(ctx, step.container_id)
        case Update():
            ctx.engine.update(step.container_id, step.limits)
        case Connect():
            ctx.engine.connect(step.container_id, step.network, step.attachment)
        case Disconnect():
            ctx.engine.disconnect(step.container_id, step.network)
        case _:
            return


def _start(ctx: TargetContext, container_id: str) -> None:
    for attempt in range(UP_ATTEMPTS):
        try:
            ctx.engine.start(container_id)
        except TargetUnreachable:
            raise
        except ReconcilerError as error:
            if attempt + 1 == UP_ATTEMPTS or not passes(str(error)):
                check_port(ctx, str(error))
                raise
            ctx.say(f"{ctx.mask.text(str(error))}; once more")
            ctx.clock.sleep(UP_PAUSE)
        else:
            return


def _up(
    ctx: TargetContext,
    services: Mapping[str, ServiceFacts],
    changed: Sequence[str],
    model: bytes | None,
    deadline: float,
) -> None:
    left = deadline - ctx.clock.monotonic()
    if left <= 0:
        raise StartFailed(f"{', '.join(changed)}: not brought up in time", None)
    timeout = min(left, COMPOSE_TIMEOUT + sum(services[name].stop * services[name].replicas for name in changed))
    for attempt in range(UP_ATTEMPTS):
        done = ctx.host.compose_up(with_companions(services, changed), timeout=timeout, model=model)
        if done.status == 0:
            return
        said = [line.strip() for line in done.stderr.decode("utf-8", "replace").splitlines() if line.strip()]
        told = ctx.mask.quoted(said[-1]) if said else "it said nothing"
        if any(text in told.lower() for text in _NO_ENGINE):
            raise TargetUnreachable(f"{ctx.name}: the engine went away while {', '.join(changed)} came up: {told}")
        if attempt + 1 == UP_ATTEMPTS or not passes(said[-1] if said else ""):
            check_port(ctx, said[-1] if said else "")
            raise StartFailed(f"docker compose up ended with {done.status}: {told}", None)
        ctx.say(f"docker compose up: {told}; once more")
        ctx.clock.sleep(UP_PAUSE)
