"""Episodes of drift on a target: opened with a record, counted, and closed in the same record."""

from __future__ import annotations

from reconciler.core import episodes
from reconciler.core.account import left_text
from reconciler.cycle.context import TargetContext
from reconciler.cycle.result import PassResult
from reconciler.cycle.run import Run, begin
from reconciler.cycle.state import save_state
from reconciler.model.drift import Drift
from reconciler.model.errors import ExitCode
from reconciler.model.plan import Plan
from reconciler.model.record import RecordKind
from reconciler.model.stored import Episode, Manifest, TargetState


def noted(run: Run, state: TargetState, drift: list[Drift], *, repaired: bool) -> TargetState:
    """The state that has counted this drift; new episodes are told by the record of `run`."""
    ctx = run.ctx
    masked = episodes.noted(state.episodes, drift, run=run.id, now=ctx.clock.now(), repaired=repaired)
    kept = {key: episode.model_copy(update={"line": ctx.mask.text(episode.line)}) for key, episode in masked.items()}
    return state.model_copy(update={"episodes": kept})


def report(ctx: TargetContext, state: TargetState, manifest: Manifest, plan: Plan) -> PassResult | None:
    """Writes the record of drift that is left alone and is seen for the first time; None where it is on record."""
    left = [drift for drift, _ in plan.left]
    if not episodes.are_new(state.episodes, left, repaired=False):
        return None
    run = begin(ctx, RecordKind.HEAL, state, tag=manifest.tag, manifest=manifest)
    run.plan, run.verdict = plan, "left"
    state = noted(run, state, left, repaired=False)
    return run.finish(state, exit_code=ExitCode.CHANGES_PENDING, result="drifted", reason=left_text(plan))


def close_episodes(ctx: TargetContext, state: TargetState, drift: tuple[Drift, ...]) -> TargetState:
    """Ends the episodes of what has stayed away, and says so in their records."""
    if not state.episodes:
        return state
    staying, ending = episodes.closed(state.episodes, seen={each.key for each in drift}, now=ctx.clock.now())
    if not ending and staying == state.episodes:
        return state
    going_on = {episode.run for episode in staying.values() if episode.closed_at is None}
    for run in sorted({episode.run for episode in ending.values()} - going_on):
        _close_record(ctx, run, [episode for episode in ending.values() if episode.run == run])
    state = state.model_copy(update={"episodes": staying})
    save_state(ctx, state)
    return state


def _close_record(ctx: TargetContext, run: str, ended: list[Episode]) -> None:
    text = ctx.host.read_record(run)
    if text is None:
        return
    repairs = sum(episode.repairs for episode in ended)
    told = ctx.records.close(text, at=ctx.clock.now(), repairs=repairs)
    ctx.host.save_record(run, told)
