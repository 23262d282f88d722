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
from reconciler.model.watchdog import Alone, Ended

if TYPE_CHECKING:
    from collections.abc import Callable

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
    """Writes the records that a dead pass could not, and of what the target did alone; closes the journal's entry.

    The lock is ours, so that pass is dead.

    What it left half-done needs no undoing here: the pass that goes on from this state is level-triggered.
    Raises NotOurs.
    """
    refuse_foreign(ctx, view)
    if view.lease is not None:
        ctx.guard.lease, ctx.guard.mode = view.lease.id, view.lease.mode
    found = view.state or ctx.fresh_state()
    state = _with_seals(ctx, view, found)
    if state.open is None and view.alone is None:
        ctx.linked["last_good"] = history.last_good(found)
        if state is not found or view.copies.stale:
            save_state(ctx, state)
        return state
    if state.open is not None:
        dead = state.open
        ctx.say(f"an earlier pass ({dead.run}, {dead.by}) was interrupted; going on from what it left")
        mine = tuple(line for line in view.journal if line.partition(" ")[0] == dead.generation)
        _recorded(ctx, dead.run, lambda: _account(ctx, state, dead, mine))
    if view.alone is not None:
        from reconciler.core.watchdog import absorbed

        alone, before = view.alone, state
        ctx.guard.ended, ctx.guard.told = alone.result, ctx.mask.text(alone_text(alone))
        ctx.say(ctx.guard.told)
        state = absorbed(state, alone)
        _recorded(ctx, alone.lease, lambda: _account_alone(ctx, before, state, alone))
    state = state.model_copy(update={"open": None})
    save_state(ctx, state)
    if view.alone is not None:
        ctx.host.acknowledge()
    return state


def known(ctx: TargetContext, view: HostView) -> TargetState:
    """The state for whoever only looks: with what the target did alone since the last pass. Changes nothing."""
    state = view.state or ctx.fresh_state()
    if view.alone is None or view.state is None:
        return state
    from reconciler.core.watchdog import absorbed

    return absorbed(state, view.alone)


def alone_text(alone: Alone) -> str:
    """What the target did without us, in one sentence."""
    why = f"the pass {alone.run} gave no sign of life; {alone.sick or 'every container was well'}"
    if alone.stuck:
        why += f"; its engine holds port {alone.stuck} for a container that is gone, until it is restarted"
    return {
        Ended.REVERTED: f"the target went back from {alone.entering} to {alone.back} by itself: {why}",
        Ended.REVERT_FAILED: f"the target went back from {alone.entering} to {alone.back} by itself, and that isn't"
        f" well: {why}",
        Ended.KEPT: f"the target kept {alone.entering} by itself: {why}",
        Ended.ABANDONED: f"the target began to go back from {alone.entering} to {alone.back} by itself and was"
        f" interrupted: {why}",
    }[alone.result]


def _recorded(ctx: TargetContext, run: str, make: Callable[[], RunRecord]) -> None:
    """A record on both sides for what had nobody to write it; one that is on the target already is only collected."""
    kept = ctx.host.read_record(run)
    if kept is not None:
        ctx.records.collect(kept)
        return
    _, text = ctx.records.save(make())
    ctx.host.save_record(run, text)


def _with_seals(ctx: TargetContext, view: HostView, state: TargetState) -> TargetState:
    """The state with the seals of releases that an older version installed: from now on they are watched, too."""
    sealed: dict[str, str] = {}
    for release in unsealed(view):
        with suppress(PreflightFailed):  # it isn't whole, and as a way back it is refused by name
            sealed[release] = ctx.host.reseal(release, None)
    return state.model_copy(update={"seals": {**state.seals, **sealed}}) if sealed else state


def _account(ctx: TargetContext, state: TargetState, dead: OpenPass, journal: tuple[str, ...]) -> RunRecord:
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
        journal=tuple(ctx.mask.text(line) for line in journal),
    )


def _account_alone(ctx: TargetContext, before: TargetState, after: TargetState, alone: Alone) -> RunRecord:
    from reconciler.model.record import RecordKind, RunRecord

    is_blamed = alone.entering in after.quarantine and alone.entering not in before.quarantine
    code = {Ended.KEPT: ExitCode.OK, Ended.REVERTED: ExitCode.REVERTED}.get(alone.result, ExitCode.REVERT_FAILED)
    past = before.releases.get(alone.entering)
    return RunRecord(
        run=alone.lease,
        kind=RecordKind.WATCHDOG,
        app=ctx.deploy.app,
        target=ctx.name,
        project=ctx.project,
        controller=f"{ctx.name} itself",
        started_at=alone.at,
        finished_at=alone.at,
        tag=past.tag if past else "",
        release=alone.entering,
        from_release=alone.entering,
        to_release=after.serving,
        parent=alone.run or None,
        verdict="no_go" if alone.sick else "interrupted",
        reason=ctx.mask.text(alone_text(alone)),
        quarantined=alone.entering if is_blamed else None,
        exit_code=int(code),
        journal=tuple(ctx.mask.text(line) for line in alone.told),
    )
