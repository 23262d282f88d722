"""Drift that no commit asked for: put back with the least action, proved, and told in one record for each episode."""

from __future__ import annotations

from reconciler.core import episodes, history
from reconciler.core.account import left_text
from reconciler.core.planner import with_restarts
from reconciler.cycle.apply import apply
from reconciler.cycle.context import Interrupted, TargetContext
from reconciler.cycle.desired import Desired, remember
from reconciler.cycle.episodes import noted
from reconciler.cycle.put_back import put_back
from reconciler.cycle.result import PassResult
from reconciler.cycle.revert import revert
from reconciler.cycle.run import Run, begin
from reconciler.cycle.state import save_state
from reconciler.cycle.upkeep import ensure_externals, ensure_images, tidy, with_completed
from reconciler.cycle.verify import prove
from reconciler.cycle.watch import StartFailed, settle
from reconciler.model.drift import Drift
from reconciler.model.errors import EngineStuck, ExitCode, ReconcilerError, TargetUnreachable
from reconciler.model.measure import VerdictKind, Verification
from reconciler.model.observed import Observed
from reconciler.model.plan import Plan, Up
from reconciler.model.record import RecordKind
from reconciler.model.stored import Manifest, Phase, TargetState


def heal(
    ctx: TargetContext, state: TargetState, desired: Desired, manifest: Manifest, plan: Plan, observed: Observed
) -> PassResult:
    """Carries out a plan that enters no release, and proves the result where a container was touched.

    What doesn't come up healthy stays: it is the release to go back to, unless it is still proving itself.
    Raises TargetUnreachable when the connection is lost: then the target's journal tells the next pass.
    """
    run = begin(ctx, RecordKind.HEAL, state, tag=manifest.tag, manifest=manifest)
    run.plan = plan
    with run.timed("stage"):
        ensure_externals(ctx, manifest)
        ensure_images(ctx, manifest, [step.service for step in plan.steps if isinstance(step, Up)])
    ctx.check_interrupt()
    state = remember(state, desired).model_copy(update={"open": run.opened(manifest.release)})
    try:
        with run.timed("heal"):
            save_state(ctx, state)
            moved = put_back(ctx, run, plan)
            if moved:
                run.plan = plan = with_restarts(plan, observed, [f"{ctx.target.deploy_dir}/{path}" for path in moved])
            state, proved = _containers(run, state, manifest, plan)
    except Interrupted:
        return _given_up(run, state, manifest)
    except StartFailed as failure:
        blamed = failure.container.id if failure.container else None
        return _breached(run, state, manifest, str(failure), container=blamed)
    except TargetUnreachable:
        raise
    except EngineStuck as stuck:
        run.verdict = "failed"
        return _failed(run, state, f"{manifest.release} can't be put back: {stuck}", exit_code=stuck.exit_code)
    except ReconcilerError as error:
        run.verdict = "failed"
        return _failed(run, state, f"the pass failed: {error} while {manifest.release} was put back; the next goes on")
    if proved is not None:
        run.judged.append(proved)
        run.verdict = proved.verdict.kind.value
        if proved.verdict.kind is VerdictKind.NO_GO:
            decisive = proved.verdict.decisive
            return _breached(
                run, state, manifest, proved.verdict.reason, container=decisive.container if decisive else None
            )
        state = _proved(ctx, state, manifest, proved)
    return _healed(run, tidy(ctx, state, manifest), manifest, plan)


def _containers(
    run: Run, state: TargetState, manifest: Manifest, plan: Plan
) -> tuple[TargetState, Verification | None]:
    ctx = run.ctx
    if plan.repairs_files_only:
        return state, None
    since = ctx.clock.now()
    events = ctx.engine.events(ctx.project)
    try:
        apply(ctx, manifest, plan, events)
        settle(ctx, events, manifest.services, deadline=ctx.deploy.rollback.deadline, recovering=True)
    finally:
        events.close()
    ctx.say(f"verifying for {ctx.deploy.gates.window:g} s")
    with run.timed("verify"):
        return with_completed(ctx, state, manifest), prove(
            ctx, manifest, history.subject(state, manifest.release, manifest.tag, since=since)
        )


def _proved(ctx: TargetContext, state: TargetState, manifest: Manifest, proved: Verification) -> TargetState:
    now = ctx.clock.now()
    if state.phase is Phase.FAILED:
        is_go = proved.verdict.kind is VerdictKind.GO
        outcome = history.Outcome.VERIFIED if is_go else history.Outcome.HELD
        return history.concluded(state, outcome, release=manifest.release, now=now)
    if state.phase is Phase.REVERTING:
        return state.model_copy(update={"phase": Phase.ROLLED_BACK, "since": now, "previous": None})
    return state


def _healed(run: Run, state: TargetState, manifest: Manifest, plan: Plan) -> PassResult:
    """The end of a repair. One that belongs to episodes which are on record already adds to their count alone."""
    left, repaired = [drift for drift, _ in plan.left], _repaired(plan)
    is_new = episodes.are_new(state.episodes, repaired, repaired=True) or not repaired
    is_new = is_new or episodes.are_new(state.episodes, left, repaired=False)
    state = noted(run, state, repaired, repaired=True)
    state = noted(run, state, left, repaired=False)
    code = ExitCode.CHANGES_PENDING if left else ExitCode.OK
    text = f"{manifest.release} runs as it should again" + (f"; {left_text(plan)}" if left else "")
    if is_new:
        return run.finish(state, exit_code=code, result="healed", reason=text)
    return run.absorbed(state, exit_code=code, result="healed", reason=f"{text} (the episode goes on)")


def _given_up(run: Run, state: TargetState, manifest: Manifest) -> PassResult:
    """A person ends the pass: a repair has nothing to undo."""
    run.verdict = "interrupted"
    text = f"{run.ctx.interrupted.why} while {manifest.release} was put back; the next pass goes on"
    return run.finish(state, exit_code=ExitCode.ERROR, result="failed", reason=text)


def _breached(run: Run, state: TargetState, manifest: Manifest, reason: str, *, container: str | None) -> PassResult:
    run.verdict = VerdictKind.NO_GO.value
    if state.phase is not None and state.phase.is_measured and run.ctx.deploy.rollback.on_breach:
        counted = noted(run, state, _repaired(run.plan), repaired=True)
        return revert(run, counted, manifest, reason=reason, container=container)
    text = f"{manifest.release} was put back and isn't healthy: {reason}; it is the release to go back to, so it stays"
    return _failed(run, state, text)


def _failed(run: Run, state: TargetState, text: str, *, exit_code: ExitCode = ExitCode.ERROR) -> PassResult:
    """A repair that failed counts as one: what fails again and again is tried ever more slowly, and told once."""
    drift = _repaired(run.plan)
    goes_on = bool(drift) and not episodes.are_new(state.episodes, drift, repaired=True)
    end = run.absorbed if goes_on else run.finish
    counted = noted(run, state, drift, repaired=True)
    return end(counted, exit_code=exit_code, result="failed", reason=text)


def _repaired(plan: Plan | None) -> list[Drift]:
    if plan is None:
        return []
    left = [drift for drift, _ in plan.left]
    return [drift for drift in plan.drift if drift not in left]
