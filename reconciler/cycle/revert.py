"""Going back: the same pipeline with the way back as the desired state. It needs no network but the transport."""

from __future__ import annotations

from reconciler.core import history
from reconciler.core.planner import make_plan
from reconciler.cycle import guard
from reconciler.cycle.apply import apply
from reconciler.cycle.put_back import make_whole
from reconciler.cycle.result import PassResult
from reconciler.cycle.run import Run
from reconciler.cycle.upkeep import tidy
from reconciler.cycle.verify import prove
from reconciler.cycle.watch import StartFailed, settle
from reconciler.model.errors import EngineStuck, ExitCode, Meddled, ReconcilerError, RevertFailed, TargetUnreachable
from reconciler.model.measure import VerdictKind, Verification
from reconciler.model.observed import ContainerFacts, Observed
from reconciler.model.record import RecordKind
from reconciler.model.stored import Manifest, Phase, TargetState
from reconciler.model.watchdog import Mode


def revert(
    run: Run,
    state: TargetState,
    manifest: Manifest,
    *,
    reason: str,
    container: str | None = None,
    blame: bool = True,
) -> PassResult:
    """Leaves `manifest`'s release, which breached for `reason`, for its way back, and proves that healthy.

    Without `blame` (a person interrupted) the release isn't quarantined. Without a way back it is stopped: its data
    stays. Raises TargetUnreachable when the connection is lost; a way back that breaches, too, ends with exit code 7.
    """
    ctx = run.ctx
    run.kind = RecordKind.ROLLBACK
    ctx.say(f"{manifest.release} breached: {ctx.mask.text(reason)}" if blame else "reverting")
    _save_evidence(run, manifest, container)
    back = history.way_back(state, leaving=manifest.release, before=state.previous)
    if blame:
        run.quarantined = manifest.release
    if back is None:
        return _stopped(run, state, manifest, reason, blame=blame)
    ctx.say(f"going back to {back}")
    try:
        with run.timed("revert"):
            state, kept, verification = enter(run, state, manifest, back, reason=reason, blame=blame)
    except TargetUnreachable:
        raise
    except StartFailed as error:
        if error.container is None and run.switched is not None:
            why = f"{error}; the next pass goes on with it, and if that doesn't help, a person is needed"
            return _postponed(run, run.switched, manifest, reason, back, why, blame=blame)
        return _failed(run, run.switched or state, manifest, reason, back, str(error))
    except Meddled as meddled:
        why = f"{meddled}; the next pass goes on with it"
        return _postponed(run, run.switched or state, manifest, reason, back, why, blame=blame)
    except EngineStuck as stuck:
        why = "for the same reason" if str(stuck) in reason else str(stuck)
        return _postponed(run, run.switched or state, manifest, reason, back, why, blame=blame)
    except ReconcilerError as error:
        return _failed(run, run.switched or state, manifest, reason, back, str(error))
    run.judged.append(verification)
    if verification.verdict.kind is VerdictKind.NO_GO:
        return _failed(run, state, manifest, reason, back, verification.verdict.reason)
    state = _concluded(state, manifest, reason, run, blame=blame)
    where = f"; evidence on the target: {run.evidence}" if run.evidence else ""
    serves = f"{back} serves again {proof(verification)}"
    text = (
        f"{manifest.release} breached ({reason}) and is quarantined; {serves}{where}"
        if blame
        else f"{reason}: {serves}"
    )
    return run.finish(tidy(ctx, state, kept), exit_code=ExitCode.REVERTED, result="reverted", reason=text)


def enter(
    run: Run, state: TargetState, leaving: Manifest, back: str, *, reason: str, blame: bool
) -> tuple[TargetState, Manifest, Verification]:
    """Switches to a retained release, brings it up and verifies it; the quarantine is on record before the switch.

    Nothing interrupts it but the process's end. Raises RevertFailed where the release is not whole, StartFailed where
    it doesn't come up, TargetUnreachable.
    """
    ctx = run.ctx
    longest = ctx.deploy.rollback.deadline
    deadline = ctx.clock.monotonic() + max(longest - ctx.deploy.gates.window, longest / 2)
    ctx.interrupted.answered()
    make_whole(ctx, run, ctx.host.observe(), back)
    bundle = ctx.host.read_release(back)
    if bundle is None:
        raise RevertFailed(f"releases/{back} is not whole on the target")
    now = ctx.clock.now()
    if blame:
        marked = history.concluded(
            state, history.Outcome.REVERTED, release=leaving.release, now=now, reason=ctx.mask.text(reason), run=run.id
        )
        state = state.model_copy(update={"quarantine": marked.quarantine})
    state = history.switched(state, entering=back, tag=bundle.manifest.tag, now=now)
    state = state.model_copy(
        update={"phase": Phase.REVERTING, "since": now, "open": run.opened(back), "stabilization": None}
    )
    if ctx.guard.mode is not Mode.SWITCH:
        guard.arm(ctx, run.id, state, leaving, back)
    events = ctx.engine.events(ctx.project)
    try:
        view = ctx.host.observe(files=False)
        run.switched = state
        ctx.host.switch(state, back)
        observed = Observed(host=view, containers=ctx.engine.containers(ctx.project, details=True))
        apply(ctx, bundle.manifest, make_plan(bundle.manifest, observed), events, deadline=deadline)
        settle(ctx, events, bundle.manifest.services, deadline=max(0.0, deadline - ctx.clock.monotonic()))
    finally:
        events.close()
    subject = history.subject(state, back, bundle.manifest.tag, since=now)
    return state, bundle.manifest, prove(ctx, bundle.manifest, subject)


def proof(verification: Verification) -> str:
    """How sure it is that a way back is healthy: no measurement is not a pass (P4)."""
    if verification.verdict.kind is VerdictKind.GO:
        return "and is verified"
    return f"and couldn't be measured ({verification.verdict.reason})"


def _concluded(state: TargetState, manifest: Manifest, reason: str, run: Run, *, blame: bool) -> TargetState:
    now = run.ctx.clock.now()
    if not blame:
        return state.model_copy(update={"phase": Phase.ROLLED_BACK, "since": now, "previous": None})
    text = run.ctx.mask.text(reason)
    return history.concluded(
        state, history.Outcome.REVERTED, release=manifest.release, now=now, reason=text, run=run.id
    )


def _stopped(run: Run, state: TargetState, manifest: Manifest, reason: str, *, blame: bool) -> PassResult:
    """A first release that breached: stopped, quarantined, reported. Nothing is deleted."""
    ctx = run.ctx
    for container in ctx.engine.containers(ctx.project, details=False):
        if container.service in manifest.services and not container.one_off and container.digest is not None:
            ctx.engine.stop(container.id)
    if not blame:
        state = state.model_copy(update={"phase": Phase.FAILED, "since": ctx.clock.now(), "stabilization": None})
        text = (
            f"{reason}: {manifest.release} was stopped, because there is nothing to go back to; the next pass tries it"
        )
        return run.finish(state, exit_code=ExitCode.REVERTED, result="reverted", reason=text)
    state = history.concluded(
        state,
        history.Outcome.NOTHING_TO_REVERT_TO,
        release=manifest.release,
        now=ctx.clock.now(),
        reason=ctx.mask.text(reason),
        run=run.id,
    )
    where = f"; evidence on the target: {run.evidence}" if run.evidence else ""
    text = f"{manifest.release} breached ({reason}), and there is nothing to go back to: it was stopped and quarantined"
    return run.finish(state, exit_code=ExitCode.REVERTED, result="reverted", reason=text + where)


def _failed(run: Run, state: TargetState, manifest: Manifest, reason: str, back: str, why: str) -> PassResult:
    """The way back breached, too: stop, and page. Nothing is tried again by itself (P5)."""
    ctx = run.ctx
    run.verdict = VerdictKind.NO_GO.value
    state = history.concluded(
        state,
        history.Outcome.REVERT_BREACHED,
        release=manifest.release,
        now=ctx.clock.now(),
        reason=ctx.mask.text(reason),
        run=run.id,
    )
    text = (
        f"{manifest.release} breached ({reason}), and so did the way back {back} ({why}): a person is needed now."
        f" On {ctx.name} in {ctx.target.deploy_dir}: `docker compose ps`, `docker compose logs`;"
        f" the releases are in releases/, evidence is in {run.evidence or '.reconciler/evidence'};"
        " then `reconcile rollback --to TAG`, or `reconcile retry`"
    )
    return run.finish(state, exit_code=ExitCode.REVERT_FAILED, result="revert_failed", reason=text)


def _postponed(
    run: Run, switched: TargetState, manifest: Manifest, reason: str, back: str, why: str, *, blame: bool
) -> PassResult:
    """The engine didn't bring the way back up, and nothing says that it is bad: the next pass goes on with it."""
    run.verdict = VerdictKind.NO_GO.value
    left = "breached" if blame else "was left"
    text = f"{manifest.release} {left} ({reason}), and the way back {back} didn't come up: {why}"
    return run.finish(switched, exit_code=ExitCode.REVERT_FAILED, result="revert_failed", reason=text)


def _save_evidence(run: Run, manifest: Manifest, blamed: str | None) -> None:
    """Logs and inspections before their containers are replaced; the blamed container alone where one is known."""
    ctx = run.ctx
    containers = [
        container
        for container in ctx.engine.containers(ctx.project, details=False)
        if container.service in manifest.services and not container.one_off
    ]
    chosen: list[ContainerFacts] = [c for c in containers if blamed in {c.id, c.name}] or containers
    if chosen:
        run.evidence = ctx.host.save_evidence(run.id, chosen)
