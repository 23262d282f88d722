"""A mutating pass: look, stage, switch, bring up, verify; and the compensation beside the action."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import datetime

from reconciler.core import history
from reconciler.core.verdict import left_out
from reconciler.cycle import guard
from reconciler.cycle.apply import apply
from reconciler.cycle.context import Interrupted, TargetContext
from reconciler.cycle.desired import Desired, changes_from, remember
from reconciler.cycle.put_back import put_back
from reconciler.cycle.result import PassResult
from reconciler.cycle.revert import revert
from reconciler.cycle.run import Run, begin
from reconciler.cycle.state import save_state
from reconciler.cycle.upkeep import (
    ensure_externals,
    ensure_images,
    ensure_room,
    ensure_way_back,
    tidy,
    with_completed,
)
from reconciler.cycle.verify import prove
from reconciler.cycle.watch import StartFailed, settle
from reconciler.model.errors import EngineStuck, ExitCode, ReconcilerError, TargetUnreachable
from reconciler.model.measure import VerdictKind, Verification
from reconciler.model.observed import Observed
from reconciler.model.plan import Hold, Plan, PutBack, Up
from reconciler.model.record import RecordKind
from reconciler.model.stored import Manifest, TargetState


def deploy(
    ctx: TargetContext, state: TargetState, desired: Desired, manifest: Manifest, plan: Plan, observed: Observed
) -> PassResult:
    """Enters a release, or proves one that a dead pass had entered; goes back by itself when it breaches.

    Everything before the switch only adds; its failure leaves the running app as it was. Raises TargetUnreachable when
    the connection is lost: then the target's journal tells the next pass what was going on.
    """
    run = begin(ctx, RecordKind.DEPLOY, state, tag=manifest.tag, manifest=manifest)
    run.plan = plan
    with run.timed("stage"):
        sealed = _stage(ctx, state, desired, manifest, plan, observed)
    ctx.check_interrupt()
    update = {"open": run.opened(manifest.release), "seals": {**state.seals, **sealed}}
    state = remember(state, desired).model_copy(update=update)
    if any(isinstance(step, PutBack | Hold) for step in plan.steps):
        save_state(ctx, state)
        try:
            put_back(ctx, run, plan)
        except TargetUnreachable:
            raise
        except ReconcilerError as error:
            run.verdict = "failed"
            text = f"{error}; nothing was switched"
            return run.finish(state, exit_code=error.exit_code, result="failed", reason=text)
    since = _judged_since(ctx, state, manifest.release)
    if plan.switches or state.serving != manifest.release:
        since = ctx.clock.now()
        state = history.switched(state, entering=manifest.release, tag=manifest.tag, now=since)
    back = history.way_back(state, leaving=manifest.release, before=state.previous)
    guard.arm(ctx, run.id, state, manifest, back)
    try:
        state, verification = _switched_and_verified(run, state, manifest, plan, since)
    except Interrupted:
        return _given_up(run, state, manifest, verdict="interrupted", why=ctx.interrupted.why)
    except StartFailed as failure:
        run.verdict = VerdictKind.NO_GO.value
        blamed = failure.container.id if failure.container else None
        return _breached(run, state, manifest, str(failure), container=blamed)
    except TargetUnreachable:
        raise
    except EngineStuck as stuck:
        run.verdict = "failed"
        return revert(run, state, manifest, reason=str(stuck), blame=False)
    except ReconcilerError as error:
        return _given_up(run, state, manifest, verdict="failed", why=f"the pass failed: {error}")
    run.judged.append(verification)
    run.changes = changes_from(ctx, run.leaving, desired)
    return _concluded(run, state, manifest, verification)


def _stage(
    ctx: TargetContext, state: TargetState, desired: Desired, manifest: Manifest, plan: Plan, observed: Observed
) -> dict[str, str]:
    """Everything that only adds: the release's files, and keepers for what a revert would need. Gives the seal made."""
    ensure_externals(ctx, manifest)
    ensure_images(ctx, manifest, [step.service for step in plan.steps if isinstance(step, Up)])
    sealed: dict[str, str] = {}
    if not plan.switches:
        return sealed
    ensure_room(ctx, observed.host, desired.bundle)
    needed = ensure_way_back(ctx, observed.host, state, manifest.release)
    with ThreadPoolExecutor(max_workers=1) as pool:
        keeping = pool.submit(ctx.engine.add_keepers, ctx.project, ctx.deploy.app, needed)
        # What is there and was never entered is a dead pass's: nobody vouches for it.
        there = manifest.release in observed.host.releases and manifest.release in state.releases
        if desired.bundle is not None and not there:
            ctx.say(f"staging {manifest.release}")
            sealed[manifest.release] = ctx.host.install(desired.bundle)
        keeping.result()
    return sealed


def _switched_and_verified(
    run: Run, state: TargetState, manifest: Manifest, plan: Plan, since: datetime
) -> tuple[TargetState, Verification]:
    ctx = run.ctx
    events = ctx.engine.events(ctx.project)
    try:
        with run.timed("switch"):
            if plan.switches:
                ctx.say(f"switching to {manifest.release}")
                ctx.host.switch(state, manifest.release)
            else:
                save_state(ctx, state)
            apply(ctx, manifest, plan, events)
        with run.timed("settle"):
            ctx.say("waiting for the engine's own health checks")
            settle(ctx, events, manifest.services, deadline=ctx.deploy.rollback.deadline)
    finally:
        events.close()
    state = with_completed(ctx, state, manifest)
    ctx.say(f"verifying for {ctx.deploy.gates.window:g} s")
    with run.timed("verify"):
        return state, prove(ctx, manifest, history.subject(state, manifest.release, manifest.tag, since=since))


def _concluded(run: Run, state: TargetState, manifest: Manifest, verification: Verification) -> PassResult:
    ctx, release, verdict = run.ctx, manifest.release, verification.verdict
    run.verdict = verdict.kind.value
    if verdict.kind is VerdictKind.NO_GO:
        return _breached(
            run, state, manifest, verdict.reason, container=verdict.decisive.container if verdict.decisive else None
        )
    if verdict.kind is VerdictKind.HOLD:
        held = history.concluded(state, history.Outcome.HELD, release=release, now=ctx.clock.now())
        if cut_off := guard.confirm(ctx, held):
            return _breached(run, state, manifest, cut_off)
        reason = f"{release} is held: {verdict.reason}; it serves, and last good stays where it was"
        return run.finish(tidy(ctx, held, manifest), exit_code=ExitCode.HELD, result="held", reason=reason)
    verified = history.concluded(state, history.Outcome.VERIFIED, release=release, now=ctx.clock.now())
    if cut_off := guard.confirm(ctx, verified):
        return _breached(run, state, manifest, cut_off)
    reason = "; ".join([f"{release} is live and verified", *left_out(verification.gates, verification.at)])
    return run.finish(tidy(ctx, verified, manifest), exit_code=ExitCode.OK, result="deployed", reason=reason)


def _given_up(run: Run, state: TargetState, manifest: Manifest, *, verdict: str, why: str) -> PassResult:
    """The pass ends early, and not for the release's fault: the switch is undone."""
    run.verdict = verdict
    run.ctx.say(f"{why}: going back")
    return revert(run, state, manifest, reason=f"{why} after the switch", blame=False)


def _breached(
    run: Run, state: TargetState, manifest: Manifest, reason: str, *, container: str | None = None
) -> PassResult:
    if not run.ctx.deploy.rollback.on_breach:
        state = history.concluded(state, history.Outcome.HELD, release=manifest.release, now=run.ctx.clock.now())
        text = f"{manifest.release} breached: {reason}; rollback.on_breach is false, so it stays as it is"
        return run.finish(state, exit_code=ExitCode.HELD, result="held", reason=text)
    return revert(run, state, manifest, reason=reason, container=container)


def _judged_since(ctx: TargetContext, state: TargetState, release: str) -> datetime:
    """What a dead pass began is judged from its switch on; what was stopped and is tried again, from now."""
    past = state.releases.get(release)
    return ctx.clock.now() if past is None or state.phase is not None else past.switched_at
