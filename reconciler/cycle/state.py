"""The state on the target, as every pass begins and ends with it."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from reconciler.core import history
from reconciler.core.file_audit import unsealed
from reconciler.cycle.context import TargetContext
from reconciler.model.errors import ExitCode, NotOurs, PreflightFailed
from reconciler.model.observed import HostView
from reconciler.model.stored import OpenPass, TargetState

if TYPE_CHECKING:
    from reconciler.model.record import RunRecord


def save_state(ctx: TargetContext, state: TargetState) -> None:
    """Writes the state, and the `last_good` link and file where another release is last good now.

    One that somebody pointed elsewhere is drift, and put back as such.
    """
    good = history.last_good(state)
    moved = good is not None and ctx.linked.get("last_good") != good
    ctx.host.write_state(
        state,
        last_good=good if moved else None,
        last_good_tag=state.releases[good].tag if good and moved else None,
    )
    ctx.linked["last_good"] = good


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
    found = view.state or ctx.fresh_state()
    state = _with_seals(ctx, view, found)
    if state.open is None:
        ctx.linked["last_good"] = history.last_good(found)
        if state is not found or view.copies.stale:
            save_state(ctx, state)
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


def _with_seals(ctx: TargetContext, view: HostView, state: TargetState) -> TargetState:
    """The state with the seals of releases that an older version installed: from now on they are watched, too."""
    sealed: dict[str, str] = {}
    for release in unsealed(view):
        with suppress(PreflightFailed):  # it isn't whole, and as a way back it is refused by name
            sealed[release] = ctx.host.reseal(release, None)
    return state.model_copy(update={"seals": {**state.seals, **sealed}}) if sealed else state


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
