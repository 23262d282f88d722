"""The state on the target, as every pass begins and ends with it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reconciler.core import history
from reconciler.cycle.context import TargetContext
from reconciler.model.errors import ExitCode, NotOurs
from reconciler.model.observed import HostView
from reconciler.model.stored import OpenPass, TargetState

if TYPE_CHECKING:
    from reconciler.model.record import RunRecord


def save_state(ctx: TargetContext, state: TargetState) -> None:
    """Writes the state, and the `last_good` link and file that follow from it."""
    good = history.last_good(state)
    ctx.host.write_state(state, last_good=good, last_good_tag=state.releases[good].tag if good else None)


def not_ours(ctx: TargetContext, what: str) -> str:
    """The message for something of somebody else that is in the way."""
    return (
        f"{ctx.name}: {what}, and no pass made that: run `reconcile adopt` to take it over, or choose another"
        " deploy_dir or project"
    )


def refuse_foreign(ctx: TargetContext, view: HostView) -> None:
    """Raises NotOurs for a directory of somebody else, or of another app."""
    if view.foreign:
        raise NotOurs(not_ours(ctx, f"{ctx.target.deploy_dir} has {', '.join(view.foreign[:10])}"))


def recover(ctx: TargetContext, view: HostView) -> TargetState:
    """Writes the record that a dead pass could not, and closes its journal entry. The lock is ours, so it is dead.

    What it left half-done needs no undoing here: the pass that goes on from this state is level-triggered.
    Raises NotOurs.
    """
    refuse_foreign(ctx, view)
    state = view.state or ctx.fresh_state()
    if state.open is None:
        return state
    dead = state.open
    ctx.say(f"an earlier pass ({dead.run}, {dead.by}) was interrupted; going on from what it left")
    kept = ctx.host.read_record(dead.run)
    if kept is None:
        record = _account(ctx, state, dead)
        _, text = ctx.records.save(record)
        ctx.host.save_record(dead.run, text)
    else:
        ctx.records.collect(kept)
    closed = state.model_copy(update={"open": None})
    save_state(ctx, closed)
    return closed


def _account(ctx: TargetContext, state: TargetState, dead: OpenPass) -> RunRecord:
    from reconciler.model.record import RecordKind, RunRecord  # a pass with nothing to do writes no record

    return RunRecord(
        run=dead.run,
        kind=RecordKind(dead.kind),
        app=ctx.deploy.app,
        target=ctx.name,
        project=ctx.project,
        controller=dead.by,
        started_at=dead.at,
        finished_at=ctx.clock.now(),
        commit=dead.commit,
        tag=dead.tag,
        release=dead.entering,
        from_release=dead.leaving,
        to_release=state.serving,
        plan=dead.plan,
        verdict="interrupted",
        reason="The pass ended without a word; the next one found its journal and went on from there.",
        quarantined=next((name for name, entry in state.quarantine.items() if entry.run == dead.run), None),
        exit_code=int(ExitCode.ERROR),
    )
