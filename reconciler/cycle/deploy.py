"""A mutating pass: look, stage, switch, bring up, verify; and the compensation beside the action."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import datetime

from reconciler.core import history
from reconciler.core.planner import finished
from reconciler.cycle.apply import apply
from reconciler.cycle.context import Interrupted, TargetContext
from reconciler.cycle.desired import Desired, changes_from, remember
from reconciler.cycle.result import PassResult
from reconciler.cycle.revert import revert
from reconciler.cycle.run import Run, begin
from reconciler.cycle.state import save_state
from reconciler.cycle.upkeep import ensure_externals, ensure_images, ensure_room, ensure_way_back, tidy
from reconciler.cycle.verify import Verification, verify
from reconciler.cycle.watch import StartFailed, settle
from reconciler.model.errors import ExitCode, ReconcilerError, TargetUnreachable
from reconciler.model.measure import Verdict, VerdictKind
from reconciler.model.observed import HostView, Observed
from reconciler.model.plan import Plan, Up
from reconciler.model.record import RecordKind
from reconciler.model.stored import Manifest, Phase, TargetState

MOST_COMPLETED = 50
"""Definitions of one one-shot that a target remembers as done."""


def deploy(
    ctx: TargetContext, state: TargetState, desired: Desired, manifest: Manifest, plan: Plan, observed: Observed
) -> PassResult:
    """Carries out a plan, proves the result, and goes back by itself when it breaches.

    Everything before the switch only adds; its failure leaves the running app as it was. Raises TargetUnreachable when
    the connection is lost: then the target's journal tells the next pass what was going on.
    """
    heals = not plan.switches and not history.is_unproven(state, manifest.release)
    run = begin(ctx, RecordKind.HEAL if heals else RecordKind.DEPLOY, state, tag=manifest.tag, manifest=manifest)
    run.plan = plan
    with run.timed("stage"):
        _stage(ctx, state, desired, manifest, plan, observed)
    ctx.check_interrupt()
    state = remember(state, desired).model_copy(update={"open": run.opened(manifest.release)})
    since = _judged_since(ctx, state, manifest.release, heals=heals)
    if plan.switches or state.serving != manifest.release:
        since = ctx.clock.now()
        state = history.switched(state, entering=manifest.release, tag=manifest.tag, now=since)
    try:
        state, verification = _switched_and_verified(run, state, manifest, plan, since)
    except Interrupted:
        return _given_up(run, state, manifest, verdict="interrupted", why="interrupted by a person", heals=heals)
    except StartFailed as failure:
        run.verdict = VerdictKind.NO_GO.value
        blamed = failure.container.id if failure.container else None
        return _breached(run, state, manifest, str(failure), heals=heals, container=blamed)
    except TargetUnreachable:
        raise
    except ReconcilerError as error:
        return _given_up(run, state, manifest, verdict="failed", why=f"the pass failed: {error}", heals=heals)
    run.measurements += verification.measurements
    run.changes = changes_from(ctx, run.leaving, desired)
    return _concluded(run, state, manifest, verification.verdict, heals=heals)


def _stage(
    ctx: TargetContext, state: TargetState, desired: Desired, manifest: Manifest, plan: Plan, observed: Observed
) -> None:
    """Everything that only adds: the release's files, and keepers for what a revert would need."""
    ensure_externals(ctx, manifest)
    ensure_images(ctx, manifest, [step.service for step in plan.steps if isinstance(step, Up)])
    if not plan.switches:
        return
    ensure_room(ctx, observed.host, desired.bundle)
    needed = ensure_way_back(ctx, state, manifest.release)
    with ThreadPoolExecutor(max_workers=1) as pool:
        keeping = pool.submit(ctx.engine.add_keepers, ctx.project, ctx.deploy.app, needed)
        if desired.bundle is not None and manifest.release not in observed.host.releases:
            ctx.say(f"staging {manifest.release}")
            ctx.host.install(desired.bundle)
        keeping.result()


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
        return state, verify(ctx, manifest, since=since)


def _concluded(run: Run, state: TargetState, manifest: Manifest, verdict: Verdict, *, heals: bool) -> PassResult:
    ctx, release = run.ctx, manifest.release
    run.verdict = verdict.kind.value
    match verdict.kind:
        case VerdictKind.NO_GO:
            blamed = verdict.decisive.container if verdict.decisive else None
            return _breached(run, state, manifest, verdict.reason, heals=heals, container=blamed)
        case VerdictKind.HOLD if not heals:
            state = history.concluded(state, history.Outcome.HELD, release=release, now=ctx.clock.now())
            reason = f"{release} is held: {verdict.reason}; it serves, and last good stays where it was"
            return run.finish(tidy(ctx, state, manifest), exit_code=ExitCode.HELD, result="held", reason=reason)
        case _ if heals:
            reason = f"{release} runs as it should again"
            if state.phase is Phase.FAILED:
                proved = verdict.kind is VerdictKind.GO
                outcome = history.Outcome.VERIFIED if proved else history.Outcome.HELD
                state = history.concluded(state, outcome, release=release, now=ctx.clock.now())
            if state.phase is Phase.REVERTING:
                state = state.model_copy(
                    update={"phase": Phase.ROLLED_BACK, "since": ctx.clock.now(), "previous": None}
                )
            return run.finish(tidy(ctx, state, manifest), exit_code=ExitCode.OK, result="healed", reason=reason)
        case _:
            state = history.concluded(state, history.Outcome.VERIFIED, release=release, now=ctx.clock.now())
            reason = f"{release} is live and verified"
            return run.finish(tidy(ctx, state, manifest), exit_code=ExitCode.OK, result="deployed", reason=reason)


def _given_up(run: Run, state: TargetState, manifest: Manifest, *, verdict: str, why: str, heals: bool) -> PassResult:
    """The pass ends early, and not for the release's fault. A switch is undone; a repair has nothing to undo."""
    run.verdict = verdict
    if heals:
        text = f"{why} while {manifest.release} was put back; the next pass goes on"
        return run.finish(state, exit_code=ExitCode.ERROR, result="failed", reason=text)
    run.ctx.say(f"{why}: going back")
    return revert(run, state, manifest, reason=f"{why} after the switch", blame=False)


def _breached(
    run: Run, state: TargetState, manifest: Manifest, reason: str, *, heals: bool, container: str | None = None
) -> PassResult:
    ctx = run.ctx
    watched = state.phase is not None and state.phase.is_measured
    if heals and not watched:
        run.verdict = VerdictKind.NO_GO.value
        text = (
            f"{manifest.release} was put back and isn't healthy: {reason}; it is the release to go back to, so it stays"
        )
        return run.finish(state, exit_code=ExitCode.ERROR, result="failed", reason=text)
    if not ctx.deploy.rollback.on_breach:
        state = history.concluded(state, history.Outcome.HELD, release=manifest.release, now=ctx.clock.now())
        text = f"{manifest.release} breached: {reason}; rollback.on_breach is false, so it stays as it is"
        return run.finish(state, exit_code=ExitCode.HELD, result="held", reason=text)
    return revert(run, state, manifest, reason=reason, container=container)


def with_completed(ctx: TargetContext, state: TargetState, manifest: Manifest) -> TargetState:
    """The state that knows which one-shots have succeeded, and has forgotten adopted containers that are gone."""
    containers = ctx.engine.containers(ctx.project, details=True)
    present = {container.id for container in containers}
    observed = Observed(host=HostView(ours=True, state=state), containers=containers)
    done = {
        name: (*(known for known in state.completed.get(name, ()) if known != facts.digest), facts.digest)[
            -MOST_COMPLETED:
        ]
        for name, facts in manifest.services.items()
        if facts.one_shot and finished(name, facts, observed)
    }
    accepted = {name: digest for name, digest in state.accepted.items() if name in present}
    return state.model_copy(update={"completed": {**state.completed, **done}, "accepted": accepted})


def _judged_since(ctx: TargetContext, state: TargetState, release: str, *, heals: bool) -> datetime:
    """What a dead pass began is judged from its switch on; a repair, and what was stopped and tried again, from now."""
    past = state.releases.get(release)
    return ctx.clock.now() if heals or past is None or state.phase is not None else past.switched_at
