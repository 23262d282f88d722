"""The end of a pass that had nothing else to do: temp/ swept, logs/ watched; and what a narrower `writable:` means.

A sweep changes the server, so it is a mutating pass of its own with one record (P11): it happens only in a pass that
writes no other, at most once in `housekeeping.every`, and is journaled before the first file goes.
"""

from __future__ import annotations

from dataclasses import replace

from reconciler.core import housekeeping as core
from reconciler.cycle.context import TargetContext
from reconciler.cycle.result import PassResult
from reconciler.cycle.state import save_state
from reconciler.model.errors import ExitCode, ReconcilerError, TargetTimeout, TargetUnreachable
from reconciler.model.stored import Housekept, TargetState
from reconciler.model.sweep import SweepReport

_QUIET = frozenset({"in_sync", "drifted", "held"})
"""Results of passes that may have changed nothing so far."""


def housekeeping(ctx: TargetContext, result: PassResult) -> PassResult:
    """Sweeps and watches where that is due; the lock is ours. Gives the result with notes, record and state of it.

    `result.state` has to be what was saved last. A sweep that fails is told, and makes no other result of the pass.
    Raises TargetUnreachable when the connection is lost: then the journal tells the next pass.
    """
    rules, state = ctx.deploy.housekeeping, result.state
    if not rules.is_on or state is None or state.suspended or result.exit_code is ExitCode.BLOCKED:
        return result
    is_quiet = result.result in _QUIET and result.record is None
    if not is_quiet or not core.is_due(state.housekept, rules, now=ctx.clock.now()) or ctx.interrupted():
        known = state.housekept.warnings if state.housekept else ()
        return replace(result, notes=(*result.notes, *known))
    try:
        report = ctx.host.sweep(rules, holder=None)
    except ReconcilerError as error:
        told = _failed(error, "temp/ and logs/ could not be looked at")
    else:
        if report.due.files:
            return _swept(ctx, result, state, report)
        told = core.warnings(report, rules)
    state = _looked(ctx, state, told)
    save_state(ctx, state)
    return _with_notes(ctx, replace(result, state=state), told)


def foreseen(ctx: TargetContext, state: TargetState) -> tuple[str, ...]:
    """What the next pass would sweep, and the warnings that stand: notes for a plan. Changes nothing."""
    rules = ctx.deploy.housekeeping
    if not core.is_due(state.housekept, rules, now=ctx.clock.now()):
        return state.housekept.warnings if rules.is_on and state.housekept else ()
    try:
        report = ctx.host.sweep(rules, holder=None)
    except ReconcilerError as error:
        told = _failed(error, "temp/ and logs/ could not be looked at")
    else:
        told = (core.intended(report, rules),) if report.due.files else ()
        told += core.warnings(report, rules)
    return tuple(ctx.mask.text(line) for line in told)


def narrowed(ctx: TargetContext, serving: str | None) -> tuple[str, ...]:
    """Notes for a plan: what `writable:` of deploy.yaml takes from the release that serves. Changes nothing."""
    bundle = ctx.host.read_release(serving) if serving else None
    model = bundle.model if bundle else None
    if model is None:
        return ()  # what is edited is drift, and is told as such
    from reconciler.core.narrowing import WHOLE, consequences, cut_off  # only a plan asks for it

    hit = cut_off(model, ctx.target.deploy_dir, ctx.deploy.writable)
    if not hit:
        return ()
    written = ctx.host.written([place for place in hit if place != WHOLE])
    return tuple(ctx.mask.text(line) for line in consequences(hit, written))


def _swept(ctx: TargetContext, result: PassResult, state: TargetState, intended: SweepReport) -> PassResult:
    from reconciler.cycle.run import begin  # a pass with nothing to do writes no record
    from reconciler.model.record import RecordKind

    rules = ctx.deploy.housekeeping
    run = begin(ctx, RecordKind.SWEEP, state, tag=result.tag, manifest=None)
    opened = run.opened(None).model_copy(update={"plan": (core.intended(intended, rules),)})
    save_state(ctx, state.model_copy(update={"open": opened}))
    ctx.say("sweeping temp/")
    try:
        with run.timed("sweep"):
            report = ctx.host.sweep(rules, holder=ctx.who)
    except ReconcilerError as error:
        run.verdict = "failed"
        lines = told = _failed(error, "temp/ was not swept as a whole")
    else:
        told = core.warnings(report, rules)
        lines = (core.done(report, rules), *told)
    ended = run.finish(_looked(ctx, state, told), exit_code=result.exit_code, result="swept", reason="; ".join(lines))
    return _with_notes(ctx, replace(result, state=ended.state, record=ended.record), lines)


def _failed(error: ReconcilerError, what: str) -> tuple[str, ...]:
    """The line for it. Raises the error itself where the connection is lost."""
    if isinstance(error, TargetUnreachable) and not isinstance(error, TargetTimeout):
        raise error
    return (f"housekeeping: {what}: {error}",)


def _looked(ctx: TargetContext, state: TargetState, told: tuple[str, ...]) -> TargetState:
    masked = tuple(ctx.mask.text(line) for line in told)
    kept = Housekept(at=ctx.clock.now(), rules=core.rules_text(ctx.deploy.housekeeping), warnings=masked)
    return state.model_copy(update={"housekept": kept})


def _with_notes(ctx: TargetContext, result: PassResult, lines: tuple[str, ...]) -> PassResult:
    return replace(result, notes=(*result.notes, *(ctx.mask.text(line) for line in lines)))
