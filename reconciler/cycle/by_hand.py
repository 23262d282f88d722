"""What a person decides: rollback, retry, suspend, resume."""

from __future__ import annotations

from reconciler.core import history
from reconciler.cycle.context import TargetContext
from reconciler.cycle.lock import held
from reconciler.cycle.result import PassResult
from reconciler.cycle.revert import enter, proof
from reconciler.cycle.run import Run, begin
from reconciler.cycle.state import recover, save_state
from reconciler.cycle.upkeep import ensure_way_back, tidy
from reconciler.model.errors import Blocked, EngineStuck, ExitCode, ReconcilerError, TargetUnreachable, UsageError
from reconciler.model.measure import VerdictKind
from reconciler.model.observed import HostView
from reconciler.model.record import RecordKind
from reconciler.model.stored import Manifest, Quarantine, Suspension, TargetState


def rollback(ctx: TargetContext, *, to: str | None) -> PassResult:
    """Leaves the serving release for its way back, or for the retained release that `to` (a tag or an id) names.

    The release that is left is quarantined, so that the next pass doesn't bring it back. Raises UsageError for a `to`
    that isn't on the target, Blocked where nothing serves or nothing is there to go back to.
    """
    with held(ctx, "rollback by hand") as view:
        state, leaving = _serving(ctx, view)
        back = _choose(ctx, view, state, leaving, to)
        needed = ensure_way_back(ctx, view, state, leaving.release, to=back)
        ctx.engine.add_keepers(ctx.project, ctx.deploy.app, needed)
        run = begin(ctx, RecordKind.ROLLBACK, state, tag=leaving.tag, manifest=leaving)
        reason = f"left by hand, by {ctx.who}"
        state = state.model_copy(
            update={"quarantine": {name: q for name, q in state.quarantine.items() if name != back}}
        )
        try:
            with run.timed("revert"):
                state, kept, verification = enter(run, state, leaving, back, reason=reason, blame=True)
        except TargetUnreachable:
            raise
        except EngineStuck as stuck:
            return _failed(run, run.switched or state, back, str(stuck))
        except ReconcilerError as error:
            return _failed(run, _breached(run, run.switched or state, leaving), back, str(error))
        run.judged.append(verification)
        if verification.verdict.kind is VerdictKind.NO_GO:
            return _failed(run, _breached(run, state, leaving), back, verification.verdict.reason)
        run.quarantined = leaving.release
        run.verdict = verification.verdict.kind.value
        state = history.concluded(
            state,
            history.Outcome.ROLLED_BACK,
            release=leaving.release,
            now=ctx.clock.now(),
            reason=reason,
            run=run.id,
        )
        text = f"{leaving.release} was left by hand and is quarantined; {back} serves {proof(verification)}"
        return run.finish(tidy(ctx, state, kept), exit_code=ExitCode.OK, result="rolled_back", reason=text)


def forget(ctx: TargetContext, release: str) -> PassResult:
    """Gives a broken way back up: quarantines it, so that nothing depends on it any more."""
    with held(ctx, f"giving up {release}") as view:
        state = recover(ctx, view)
        if release not in state.releases or release == state.serving:
            raise UsageError(f"{ctx.name}: {release} isn't a release that could be forgotten here")
        entry = Quarantine(
            tag=state.releases[release].tag, at=ctx.clock.now(), reason=f"given up by {ctx.who}", run=ctx.run_id()
        )
        state = state.model_copy(update={"quarantine": {**state.quarantine, release: entry}})
        return _saved(ctx, state, f"{release} is no way back any more")


def retry(ctx: TargetContext) -> PassResult:
    """Lifts every quarantine of this app on the target; the next pass tries what the desired state asks for."""
    with held(ctx, "retry") as view:
        state = recover(ctx, view)
        lifted = ", ".join(sorted(state.quarantine)) or "nothing was quarantined"
        if state.quarantine:
            state = history.retried(state, release=None)
        return _saved(ctx, state, f"lifted: {lifted}")


def suspend(ctx: TargetContext, message: str) -> PassResult:
    """Freezes the target until `resume`, whoever runs a pass."""
    with held(ctx, "suspend") as view:
        state = recover(ctx, view)
        ctx.host.disarm()  # a person has the target in hand now
        frozen = Suspension(at=ctx.clock.now(), by=ctx.who, message=ctx.mask.text(message))
        return _saved(ctx, state.model_copy(update={"suspended": frozen}), f"suspended: {message}")


def resume(ctx: TargetContext) -> PassResult:
    """Ends a suspension."""
    with held(ctx, "resume") as view:
        state = recover(ctx, view)
        text = "resumed" if state.suspended else "it wasn't suspended"
        return _saved(ctx, state.model_copy(update={"suspended": None}), text)


def _serving(ctx: TargetContext, view: HostView) -> tuple[TargetState, Manifest]:
    state = recover(ctx, view)
    if state.serving is None or view.manifest is None:
        raise Blocked(f"{ctx.name}: no release of {ctx.deploy.app} serves here, so there is nothing to leave")
    return state, view.manifest


def _choose(ctx: TargetContext, view: HostView, state: TargetState, leaving: Manifest, to: str | None) -> str:
    if to is None:
        back = history.way_back(state, leaving=leaving.release, before=state.previous)
        if back is None:
            raise Blocked(f"{ctx.name}: there is no verified release besides {leaving.release} to go back to")
        return back
    named = [name for name in view.releases if to in {name, name.rpartition("-")[0]} and name != leaving.release]
    newest = sorted(
        named, key=lambda name: state.releases[name].switched_at if name in state.releases else ctx.clock.now()
    )
    if not newest:
        kept = ", ".join(name for name in view.releases if name != leaving.release) or "none"
        raise UsageError(f"{ctx.name}: no other release {to} is on the target; retained: {kept}")
    return newest[-1]


def _breached(run: Run, state: TargetState, leaving: Manifest) -> TargetState:
    return history.concluded(
        state,
        history.Outcome.REVERT_BREACHED,
        release=leaving.release,
        now=run.ctx.clock.now(),
        reason="left by hand",
        run=run.id,
    )


def _failed(run: Run, state: TargetState, back: str, why: str) -> PassResult:
    run.verdict = VerdictKind.NO_GO.value
    text = (
        f"going back to {back} failed ({why}): a person is needed; in {run.ctx.target.deploy_dir}: `docker compose ps`"
    )
    return run.finish(state, exit_code=ExitCode.REVERT_FAILED, result="revert_failed", reason=text)


def _saved(ctx: TargetContext, state: TargetState, text: str) -> PassResult:
    save_state(ctx, state)
    return PassResult(
        target=ctx.name,
        exit_code=ExitCode.OK,
        result="in_sync",
        message=ctx.mask.text(text),
        tag=ctx.deploy.tag,
        serving=state.serving,
        state=state,
    )
