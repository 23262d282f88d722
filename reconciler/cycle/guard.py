"""The watchdog's lease around what could leave a target between two releases (P8): armed before, confirmed after."""

from __future__ import annotations

from reconciler.core import history
from reconciler.core.watchdog import steps_back
from reconciler.cycle.context import TargetContext
from reconciler.model.errors import ReconcilerError, TakenOver, TargetUnreachable
from reconciler.model.stored import Manifest, Phase, TargetState
from reconciler.model.watchdog import Lease, Mode, Silence

RUNTIME_NOTE = (
    "watchdog: the target can't go back alone, as its env values aren't there (env.delivery: runtime): until the window"
    " is over a way back needs this controller"
)
DETACHED_NOTE = (
    "watchdog: no keeper here can run the host's own docker, so a detached process watches the switch: the target goes"
    " back alone, but not after a reboot in the middle"
)
MOST_LOOKS = 5
"""Missed rounds of measurements until a target looks after a stabilizing release itself."""


def arm(ctx: TargetContext, run: str, state: TargetState, entering: Manifest, back: str | None) -> None:
    """Leaves the target what it needs to go back from `entering` alone, should this pass fall silent.

    Nothing is armed where nothing could be done: no way back (a first release), no values there, or reverting is off.
    Raises TargetUnfit where no watchdog can be had on the target: then nothing was changed.
    """
    if back is None or not ctx.keeps_values or not ctx.deploy.rollback.on_breach:
        return
    bundle = ctx.host.read_release(back)
    if bundle is None:
        return
    lease = Lease(
        id=f"{run}_alone",
        run=run,
        entering=entering.release,
        back=back,
        seconds=ctx.deploy.rollback.watchdog,
        silence=Silence(ctx.deploy.rollback.on_silence),
        steps=steps_back(entering, bundle.manifest, state.completed),
    )
    if not ctx.host.arm(lease, in_keeper=ctx.engine.guards(ctx.project)):
        ctx.say(DETACHED_NOTE)
    ctx.guard.lease, ctx.guard.mode = lease.id, lease.mode


def confirm(ctx: TargetContext, state: TargetState) -> str | None:
    """Tells the watchdog that all is well, over a new connection: the one that a person would need.

    The reason where none can be made, as a breach: the switch has cut the target off. None where all is well.
    Raises TakenOver where the target was faster, and went back.
    """
    if ctx.guard.lease is None or ctx.guard.mode is not Mode.SWITCH:
        return None
    soaks = state.phase is Phase.STABILIZING
    spec = ctx.deploy.stabilization
    looks = max(ctx.deploy.rollback.watchdog, MOST_LOOKS * spec.interval) if soaks else None
    try:
        ctx.host.confirm(ctx.guard.lease, looks=looks, lasts=spec.period, silence=Silence(spec.on_silence))
    except TakenOver:
        raise
    except ReconcilerError as error:
        return f"no new connection to the target can be made since the switch: {error}"
    ctx.guard.lease, ctx.guard.mode = (ctx.guard.lease, Mode.SOAK) if soaks else (None, None)
    return None


def stand_down(ctx: TargetContext, state: TargetState) -> None:
    """Ends the lease at the end of a pass, unless it is the one of the release that is stabilizing."""
    if ctx.guard.lease is None or (ctx.guard.mode is Mode.SOAK and state.phase is Phase.STABILIZING):
        return
    ctx.host.disarm()
    ctx.guard.lease = ctx.guard.mode = None


def notes(ctx: TargetContext, state: TargetState, entering: str) -> tuple[str, ...]:
    """What a plan that switches says of the watchdog: what it can't cover. Changes nothing."""
    back = history.way_back(state, leaving=entering, before=state.serving)
    if back is None or not ctx.deploy.rollback.on_breach:
        return ()
    if not ctx.keeps_values:
        return (RUNTIME_NOTE,)
    try:
        return () if ctx.engine.guards(ctx.project) else (DETACHED_NOTE,)
    except TargetUnreachable:
        return ()
