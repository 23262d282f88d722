"""Later passes over a release that isn't stable yet: they go on measuring, and a breach still reverts."""

from __future__ import annotations

from typing import assert_never

from reconciler.core import history
from reconciler.core.stabilize import Blind, Breached, GoingOn, Stable, absorb
from reconciler.core.verdict import left_out
from reconciler.cycle import guard
from reconciler.cycle.context import TargetContext
from reconciler.cycle.meddling import refuse_meddling
from reconciler.cycle.result import PassResult
from reconciler.cycle.revert import revert
from reconciler.cycle.run import begin
from reconciler.cycle.state import save_state
from reconciler.cycle.upkeep import tidy
from reconciler.cycle.verify import due, measure, prove
from reconciler.model.errors import ExitCode
from reconciler.model.measure import Measurement, RoundRules, Verdict, VerdictKind, Verification
from reconciler.model.observed import Observed
from reconciler.model.record import RecordKind
from reconciler.model.stored import Manifest, Phase, Stabilization, TargetState


def soak(ctx: TargetContext, state: TargetState, manifest: Manifest, observed: Observed) -> PassResult:
    """One look at a stabilizing or held release. Raises TargetUnreachable, Interrupted and Meddled."""
    if state.phase is Phase.HELD:
        return _held(ctx, state, manifest)
    past = state.releases[manifest.release]
    counted = state.stabilization or Stabilization()
    began = ctx.clock.now()
    subject = history.subject(state, manifest.release, manifest.tag, since=past.switched_at)
    gates = ctx.gates(manifest.services, counted.looked_at or past.verified_at or past.switched_at, subject)
    limits = tuple(gate.limits for gate in gates)
    taken = measure(due(gates, began))
    spec = ctx.deploy.stabilization
    after, verdict = absorb(
        counted,
        taken,
        gates=limits,
        now=began,
        period=spec.period,
        interval=spec.interval,
        breach_limit=spec.breach_limit,
    )
    state = state.model_copy(update={"stabilization": after.model_copy(update={"looked_at": began})})
    match verdict:
        case GoingOn():
            save_state(ctx, state)
            text = f"in sync: {manifest.release} is stabilizing, {after.covered:.0f} s of {spec.period:.0f} s covered"
            text = "; ".join([text, *left_out(limits, began)])
            return _result(ctx, state, manifest, ExitCode.OK, "in_sync", text, taken)
        case Stable():
            state = history.concluded(state, history.Outcome.STABILIZED, release=manifest.release, now=ctx.clock.now())
            state = tidy(ctx, state, manifest)
            guard.stand_down(ctx, state)
            save_state(ctx, state)
            text = f"{manifest.release} is stable now, and last good"
            return _result(ctx, state, manifest, ExitCode.OK, "in_sync", text, taken)
        case Blind(reason=reason):
            save_state(ctx, state)
            text = f"{manifest.release} is held while it can't be measured: {reason}"
            return _result(ctx, state, manifest, ExitCode.HELD, "held", text, taken)
        case Breached(reason=reason, decisive=decisive):
            refuse_meddling(ctx, manifest, decisive)
            rules = RoundRules(counted, spec.period, spec.interval, spec.breach_limit)
            found = Verdict(VerdictKind.NO_GO, reason, decisive)
            judged = Verification(manifest.release, began, found, taken, limits, rules)
            return _breached(ctx, state, manifest, judged)
        case _:
            assert_never(verdict)


def _held(ctx: TargetContext, state: TargetState, manifest: Manifest) -> PassResult:
    """A held release gets a whole window again: that is what it lacks."""
    past = state.releases[manifest.release]
    verification = prove(ctx, manifest, history.subject(state, manifest.release, manifest.tag, since=past.switched_at))
    match verification.verdict.kind:
        case VerdictKind.GO:
            state = history.concluded(state, history.Outcome.VERIFIED, release=manifest.release, now=ctx.clock.now())
            state = tidy(ctx, state, manifest)
            save_state(ctx, state)
            text = f"{manifest.release} is verified now"
            return _result(ctx, state, manifest, ExitCode.OK, "in_sync", text, verification.measurements)
        case VerdictKind.HOLD:
            text = f"{manifest.release} is still held: {verification.verdict.reason}"
            return _result(ctx, state, manifest, ExitCode.HELD, "held", text, verification.measurements)
        case VerdictKind.NO_GO:
            return _breached(ctx, state, manifest, verification)
        case _:
            assert_never(verification.verdict.kind)


def _breached(ctx: TargetContext, state: TargetState, manifest: Manifest, judged: Verification) -> PassResult:
    reason, decisive = judged.verdict.reason, judged.verdict.decisive
    if not ctx.deploy.rollback.on_breach:
        held = history.concluded(state, history.Outcome.HELD, release=manifest.release, now=ctx.clock.now())
        save_state(ctx, held)
        text = f"{manifest.release} breached: {reason}; rollback.on_breach is false, so it stays as it is"
        return _result(ctx, held, manifest, ExitCode.HELD, "held", text, judged.measurements)
    run = begin(ctx, RecordKind.ROLLBACK, state, tag=manifest.tag, manifest=manifest)
    run.judged.append(judged)
    run.verdict = VerdictKind.NO_GO.value
    state = state.model_copy(update={"open": run.opened(manifest.release)})
    save_state(ctx, state)
    return revert(run, state, manifest, reason=reason, container=decisive.container if decisive else None)


def _result(
    ctx: TargetContext,
    state: TargetState,
    manifest: Manifest,
    exit_code: ExitCode,
    result: str,
    text: str,
    taken: tuple[Measurement, ...],
) -> PassResult:
    return PassResult(
        target=ctx.name,
        exit_code=exit_code,
        result=result,
        message=ctx.mask.text(text),
        tag=ctx.deploy.tag,
        release=manifest.release,
        serving=state.serving,
        state=state,
        measurements=taken,
    )
