"""What is seen on a target besides its files: the containers with their layers, and what holds the way back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from reconciler.core.live import baseline_of
from reconciler.cycle.context import TargetContext
from reconciler.model.drift import DriftPolicy, Vector
from reconciler.model.observed import ContainerFacts, HostView, Observed
from reconciler.model.stored import Live, Manifest, TargetState


def observe(ctx: TargetContext, view: HostView, state: TargetState) -> Observed:
    """The whole observation. Raises TargetUnreachable where the engine's part is unknown (P6)."""
    containers = ctx.engine.containers(ctx.project, details=True)
    if any(container.id in state.baseline for container in containers):
        containers = with_layers(ctx, containers)
    return Observed(host=view, containers=containers, unheld=ctx.engine.unheld(ctx.project, frozenset(state.kept)))


def with_layers(ctx: TargetContext, containers: Sequence[ContainerFacts]) -> tuple[ContainerFacts, ...]:
    """The containers with the paths that they wrote outside of their mounts, unless the policy doesn't look there."""
    if ctx.deploy.drift.policy_of(Vector.LAYER) is DriftPolicy.IGNORE:
        return tuple(containers)
    layers = ctx.engine.layers([container.id for container in containers])
    return tuple(
        replace(container, live=container.live.model_copy(update={"layer": layers.get(container.id)}))
        if container.live
        else container
        for container in containers
    )


def with_baseline(ctx: TargetContext, state: TargetState, manifest: Manifest) -> TargetState:
    """The state that knows how the release's containers are at the end of a pass that proved them.

    What is known of a container stays as it was seen first: a later pass may find it changed.
    """
    containers = with_layers(ctx, ctx.engine.containers(ctx.project, details=True))
    kept: dict[str, Live] = {}
    for container in containers:
        if container.service in manifest.services and not container.one_off:
            found = state.baseline.get(container.id) or baseline_of(container, ignore=ctx.deploy.drift.ignore)
            if found is not None:
                kept[container.id] = found
    return state.model_copy(update={"baseline": kept})
