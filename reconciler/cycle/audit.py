"""`reconcile audit`: what drifted from what serves, whatever deploy.yaml asks for by now. Changes nothing."""

from __future__ import annotations

from dataclasses import replace

from reconciler.core.account import drift_lines, masked
from reconciler.core.health import health_of
from reconciler.cycle.context import TargetContext
from reconciler.cycle.explain import explain
from reconciler.cycle.observe import observe, plan_by_policy
from reconciler.cycle.result import PassResult
from reconciler.cycle.state import known, refuse_foreign
from reconciler.model.errors import Blocked, ExitCode


def audit(ctx: TargetContext) -> PassResult:
    """Holds the managed files and the containers against the release that serves.

    Raises NotOurs, and Blocked where nothing serves; TargetUnreachable where it can't be known (P6).
    """
    view = ctx.host.observe()
    ctx.mask.learn(*view.env_files)
    refuse_foreign(ctx, view)
    state = known(ctx, view)
    bundle = ctx.host.read_release(state.serving) if state.serving else None
    if bundle is None:
        raise Blocked(f"{ctx.name}: no whole release of {ctx.deploy.app} serves here, so there is nothing to audit")
    observed = observe(ctx, view, state)
    plan = plan_by_policy(ctx, bundle.manifest, observed, state)
    plan = masked(explain(ctx, plan, observed), ctx.mask.text)
    found = len(drift_lines(plan))
    message = f"{found} found that no release made" if found else f"as {bundle.manifest.release} left it"
    return PassResult(
        target=ctx.name,
        exit_code=ExitCode.CHANGES_PENDING if found else ExitCode.OK,
        result="drifted" if found else "in_sync",
        message=message,
        tag=bundle.manifest.tag,
        release=bundle.manifest.release,
        serving=state.serving,
        plan=replace(plan, steps=()) if not found else plan,
        notes=plan.notes,
        state=state,
        health=health_of(bundle.manifest, observed)[0],
    )
