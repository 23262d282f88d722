"""What is seen on a target besides its files: containers with their layers, keepers; and what differs because of it."""

from __future__ import annotations

from reconciler.core.live import baseline_of
from reconciler.core.planner import make_plan
from reconciler.core.treatment import treatment
from reconciler.cycle.context import TargetContext
from reconciler.model.drift import DriftPolicy, Vector
from reconciler.model.observed import HostView, Observed
from reconciler.model.plan import Plan
from reconciler.model.stored import Live, Manifest, TargetState


def observe(ctx: TargetContext, view: HostView, state: TargetState) -> Observed:
    """The whole observation. Raises TargetUnreachable where the engine's part is unknown (P6)."""
    seen = ctx.engine.survey(
        ctx.project, layers=bool(state.baseline) and _wants_layers(ctx), kept=frozenset(state.kept)
    )
    lost = frozenset(image for image in seen.unheld if ctx.engine.image_id(image) is None)
    return Observed(host=view, containers=seen.containers, unheld=seen.unheld, lost=lost)


def plan_by_policy(
    ctx: TargetContext, manifest: Manifest, observed: Observed, state: TargetState, *, release_known: bool = True
) -> Plan:
    """The plan to `manifest`, with drift treated as deploy.yaml's `drift:` and the episodes of `state` have it."""
    spec = ctx.deploy.drift
    return make_plan(
        manifest,
        observed,
        release_known=release_known,
        treatment=treatment(spec, state.episodes, ctx.clock.now()),
        ignore=spec.ignore,
        directory=str(ctx.target.deploy_dir),
    )


def with_baseline(ctx: TargetContext, state: TargetState, manifest: Manifest) -> TargetState:
    """The state that knows how the release's containers are at the end of a pass that proved them.

    What is known of a container stays as it was seen first: a later pass may find it changed.
    """
    seen = ctx.engine.survey(ctx.project, layers=_wants_layers(ctx), kept=frozenset())
    kept: dict[str, Live] = {}
    for container in seen.containers:
        if container.service in manifest.services and not container.one_off:
            found = state.baseline.get(container.id) or baseline_of(container, ignore=ctx.deploy.drift.ignore)
            if found is not None:
                kept[container.id] = found
    return state.model_copy(update={"baseline": kept})


def _wants_layers(ctx: TargetContext) -> bool:
    return ctx.deploy.drift.policy_of(Vector.LAYER) is not DriftPolicy.IGNORE
