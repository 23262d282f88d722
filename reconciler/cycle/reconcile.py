"""One pass over one target: lock, observe, plan, and what follows from the plan. Level-triggered and idempotent."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC

from reconciler.core import history
from reconciler.core.account import left_text, masked
from reconciler.core.file_audit import left_over
from reconciler.core.health import health_of
from reconciler.core.retention import prunable
from reconciler.cycle import guard
from reconciler.cycle.context import TargetContext
from reconciler.cycle.desired import Desired, changes_from, remember, resolve
from reconciler.cycle.env_only import of_what_serves
from reconciler.cycle.housekeeping import foreseen, housekeeping, narrowed
from reconciler.cycle.lock import held
from reconciler.cycle.observe import observe, plan_by_policy
from reconciler.cycle.result import PassResult
from reconciler.cycle.runtime import NOTE as RUNTIME_NOTE
from reconciler.cycle.state import known, not_ours, recover, refuse_foreign, save_state
from reconciler.dataclass import dataclass
from reconciler.model.errors import ExitCode, NotOurs, PreflightFailed
from reconciler.model.observed import HostView, Observed
from reconciler.model.plan import Plan
from reconciler.model.stored import Manifest, Phase, TargetState


@dataclass(frozen=True, slots=True)
class Assessment:
    """What a pass knows before it acts: nothing was changed for it but images that came to the target.

    `manifest` is the release to converge to: the desired one, or the serving one while the desired is quarantined or
    has to wait for its window (None: nothing serves, and nothing may). `waits` says for which one, empty for none.
    """

    state: TargetState
    desired: Desired
    manifest: Manifest | None
    observed: Observed
    plan: Plan
    quarantined: bool
    waits: str = ""

    @property
    def withheld(self) -> str:
        """Why what is asked for isn't switched to; empty where it may be."""
        return _quarantine_reason(self.state, self.desired.release) if self.quarantined else self.waits


def reconcile(ctx: TargetContext, *, env_only: bool = False) -> PassResult:
    """One mutating pass. Raises an error of `reconciler.model.errors` where it can't act: then nothing was touched."""
    with held(ctx, "new env values" if env_only else f"tag {ctx.deploy.tag}") as view:
        return _reconcile(ctx, view, env_only=env_only)


def preview(ctx: TargetContext, *, env_only: bool = False) -> PassResult:
    """What `reconcile` would do, and why. Changes nothing, takes no lock, pulls no image."""
    view = ctx.host.observe()
    ctx.mask.learn(*view.env_files)
    state = known(ctx, view)
    view = _recovered(view, state)
    images = None
    if env_only:
        ctx, images = of_what_serves(ctx, _serving(ctx, view, state))
    told = narrowed(ctx, state.serving)
    try:
        seen = assess(ctx, view, state, pull=False, images=images)
    except PreflightFailed as error:
        raise PreflightFailed("; ".join((str(error), *told))) from None
    if not seen.quarantined and not state.suspended:
        told += foreseen(ctx, state)
        if seen.plan.switches:
            told += guard.notes(ctx, state, seen.desired.release)
    seen = replace(seen, plan=replace(seen.plan, notes=(*seen.plan.notes, *told)))
    if seen.quarantined:
        return _blocked(ctx, seen, _quarantine_reason(seen.state, seen.desired.release))
    if state.suspended:
        return _blocked(ctx, seen, _suspension_reason(state))
    if seen.waits:
        return _blocked(ctx, seen, seen.waits)
    pending = not seen.plan.is_empty or _needs_proof(state, seen.manifest) or bool(seen.plan.left)
    return _result(
        ctx,
        seen,
        exit_code=ExitCode.CHANGES_PENDING if pending else ExitCode.OK,
        result="pending" if pending else "in_sync",
        message="changes pending" if pending else _in_sync_text(state),
        changes=_changes(ctx, seen),
    )


def assess(
    ctx: TargetContext, view: HostView, state: TargetState, *, pull: bool, images: Mapping[str, str] | None = None
) -> Assessment:
    """Observes, resolves the desired release (see there for `images`) and plans.

    Raises NotOurs for a project or directory of somebody else.
    """
    refuse_foreign(ctx, view)
    if view.state is None:
        _refuse_strangers(ctx)
    # Before the first pass there is no key; a plan makes do with one of its own, and says no release id.
    key = view.key or os.urandom(32)
    desired = resolve(ctx, view, state, key=key, pull=pull, images=images)
    quarantined = desired.release in state.quarantine
    waits = "" if quarantined else _window(ctx, state, desired)
    manifest = _serving(ctx, view, state) if quarantined or waits else desired.manifest
    # Listed last: while the target renders, this side has the time to import the docker library.
    observed = observe(ctx, view, state)
    if manifest is None or ((quarantined or waits) and state.phase is Phase.FAILED):
        return Assessment(state, desired, None, observed, Plan(None, ctx.deploy.tag, ()), quarantined, waits)
    known = desired.is_final and view.key is not None
    plan = plan_by_policy(ctx, manifest, observed, state, release_known=known)
    if plan.drift:
        from reconciler.cycle.explain import explain  # a pass with nothing to do counts its milliseconds

        plan = explain(ctx, plan, observed)
    runtime = () if ctx.keeps_values else (RUNTIME_NOTE,)
    policed = desired.checked.warnings if desired.checked else ()
    plan = replace(
        plan, steps=(*desired.pulls, *plan.steps), notes=(*ctx.env.warnings, *policed, *runtime, *plan.notes)
    )
    return Assessment(state, desired, manifest, observed, plan, quarantined, waits)


def _window(ctx: TargetContext, state: TargetState, desired: Desired) -> str:
    """Why the desired release has to wait; empty where it needn't, or serves already."""
    if not ctx.windows or desired.release == state.serving:
        return ""
    from reconciler.core.windows import closed

    shut = closed(ctx.windows, ctx.clock.now())
    if shut is None:
        return ""
    opens = f"; it opens {shut.opens.astimezone(UTC):%Y-%m-%d %H:%M} UTC" if shut.opens else ""
    serves = f"{state.serving} serves" if state.serving else "nothing serves"
    return f"{ctx.deploy.tag} waits: {shut.reason}{opens}; {serves}"


def _refuse_strangers(ctx: TargetContext) -> None:
    strangers = [c.name for c in ctx.engine.containers(ctx.project, details=False) if c.digest is None]
    if strangers:
        raise NotOurs(not_ours(ctx, f"the Compose project {ctx.project} has containers: {', '.join(strangers[:10])}"))


def _reconcile(ctx: TargetContext, view: HostView, *, env_only: bool) -> PassResult:
    state = recover(ctx, view)
    view = _recovered(view, state)
    if state.suspended:
        return _frozen(ctx, state)
    images = None
    if env_only:
        ctx, images = of_what_serves(ctx, _serving(ctx, view, state))
    seen = assess(ctx, view, state, pull=True, images=images)
    manifest = seen.manifest
    if manifest is None:
        return _blocked(ctx, seen, seen.withheld)
    if state.episodes:
        from reconciler.cycle.episodes import close_episodes  # a pass with nothing to do counts its milliseconds

        state = close_episodes(ctx, state, seen.plan.drift)
        seen = replace(seen, state=state)
    result = replace(_acted(ctx, state, seen, manifest), desired=seen.desired.release)
    if seen.withheld and result.exit_code is ExitCode.OK:
        told = "" if result.result == "in_sync" else f"{result.message}; "
        blocked = _blocked(ctx, seen, f"{told}{seen.withheld}")
        # What serves was put back: the state knows it, and a record tells it.
        return replace(blocked, state=result.state, record=result.record)
    return result if env_only else housekeeping(ctx, result)


def _recovered(view: HostView, state: TargetState) -> HostView:
    """What was seen, with the state as it is by now: links are held against what serves after the target went back."""
    return view if view.state is None else replace(view, state=state)


def _acted(ctx: TargetContext, state: TargetState, seen: Assessment, manifest: Manifest) -> PassResult:
    if seen.plan.switches or (history.is_unproven(state, manifest.release) and state.phase is not Phase.HELD):
        from reconciler.cycle.deploy import deploy

        return deploy(ctx, state, seen.desired, manifest, seen.plan, seen.observed)
    if not seen.plan.is_empty or _needs_proof(state, manifest):
        from reconciler.cycle.heal import heal

        healed = heal(ctx, state, seen.desired, manifest, seen.plan, seen.observed)
        # Where only files were put back nothing is measured: the containers are as they were found.
        found = health_of(manifest, seen.observed)[0] if seen.plan.repairs_files_only else None
        return healed if healed.measurements else replace(healed, health=found)
    state = _tidied(ctx, seen.observed.host, state, manifest)
    learned = remember(state, seen.desired)
    if learned is not state:
        save_state(ctx, learned)
    seen = replace(seen, state=learned)
    if seen.plan.left:
        from reconciler.cycle.episodes import report

        reported = report(ctx, learned, manifest, seen.plan)
        if reported is not None:
            return reported
    if state.phase is not None and state.phase.is_measured and not seen.plan.leaves_containers:
        from reconciler.cycle.soak import soak

        result = soak(ctx, learned, manifest, seen.observed)
    else:
        result = _result(ctx, seen, exit_code=ExitCode.OK, result="in_sync", message=_in_sync_text(state))
    if seen.plan.left and result.exit_code is ExitCode.OK:
        return replace(
            result,
            exit_code=ExitCode.CHANGES_PENDING,
            result="drifted",
            message=ctx.mask.text(f"{result.message}; {left_text(seen.plan)}"),
        )
    return result


def _tidied(ctx: TargetContext, view: HostView, state: TargetState, manifest: Manifest) -> TargetState:
    """Without what a dead pass had forgotten already and not yet removed: a release that the state knows no more."""
    if not prunable(state, view.releases, keep=ctx.deploy.retention.releases) and not left_over(view, state):
        return state
    from reconciler.cycle.upkeep import tidy

    ctx.say("removing what an interrupted pass has left of releases that nothing needs")
    return tidy(ctx, state, manifest)


def _serving(ctx: TargetContext, view: HostView, state: TargetState) -> Manifest | None:
    """What the state says that serves. The link may still say something else: a pass died between the two."""
    if view.manifest is None or state.serving in {None, view.manifest.release}:
        return view.manifest
    bundle = ctx.host.read_release(str(state.serving))
    return bundle.manifest if bundle else view.manifest


def _needs_proof(state: TargetState, manifest: Manifest | None) -> bool:
    """Whether a pass died before its window was over: nobody knows yet how what serves is."""
    if state.phase in {Phase.REVERTING, Phase.FAILED}:
        return manifest is not None  # failed, and no quarantine in the way any more: a person said `retry`
    return manifest is not None and state.phase is not Phase.HELD and history.is_unproven(state, manifest.release)


def _changes(ctx: TargetContext, seen: Assessment) -> tuple[str, ...]:
    if not seen.plan.switches:
        return ()
    return changes_from(ctx, seen.observed.host.current, seen.desired)


def _result(
    ctx: TargetContext,
    seen: Assessment,
    *,
    exit_code: ExitCode,
    result: str,
    message: str,
    changes: tuple[str, ...] = (),
) -> PassResult:
    plan = masked(seen.plan, ctx.mask.text)
    return PassResult(
        target=ctx.name,
        exit_code=exit_code,
        result=result,
        message=ctx.mask.text(message),
        tag=ctx.deploy.tag,
        release=plan.release or (seen.desired.release if seen.quarantined else None),
        serving=seen.state.serving,
        plan=plan,
        changes=changes,
        notes=plan.notes,
        state=seen.state,
        desired=seen.desired.release,
        health=None if seen.plan.switches else health_of(seen.manifest, seen.observed)[0],
    )


def _blocked(ctx: TargetContext, seen: Assessment, message: str) -> PassResult:
    return _result(ctx, seen, exit_code=ExitCode.BLOCKED, result="blocked", message=message)


def _frozen(ctx: TargetContext, state: TargetState) -> PassResult:
    return PassResult(
        target=ctx.name,
        exit_code=ExitCode.BLOCKED,
        result="blocked",
        message=ctx.mask.text(_suspension_reason(state)),
        tag=ctx.deploy.tag,
        serving=state.serving,
        state=state,
    )


def _quarantine_reason(state: TargetState, release: str) -> str:
    entry = state.quarantine[release]
    serves = f"{state.serving} serves" if state.serving and state.serving != release else "nothing serves"
    return (
        f"{release} is quarantined since {entry.at:%Y-%m-%d %H:%M:%S} UTC ({entry.reason}; record {entry.run}) and"
        f" isn't tried again; {serves}. Release another, or lift it: `reconcile retry`"
    )


def _suspension_reason(state: TargetState) -> str:
    held = state.suspended
    if held is None:
        return "not suspended"
    return f"suspended by {held.by} since {held.at:%Y-%m-%d %H:%M:%S} UTC: {held.message}; `reconcile resume` ends it"


def _in_sync_text(state: TargetState) -> str:
    return f"in sync: {state.serving} serves ({state.phase.value if state.phase else 'no phase'})"
