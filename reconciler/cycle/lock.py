"""The target's lock around everything that changes it, and what is learned with it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from reconciler.cycle.context import TargetContext
from reconciler.model.observed import HostView


@contextmanager
def held(ctx: TargetContext, purpose: str, *, takeover: bool = False) -> Iterator[HostView]:
    """Holds the target for the block, and gives what its files say. `purpose` is for whoever waits meanwhile.

    Raises Locked when another still has it after `ctx.patience` seconds, and NotOurs for a directory of somebody else
    without `takeover`.
    """
    lock, view = ctx.host.lock(
        ctx.who,
        purpose,
        takeover=takeover,
        patience=ctx.patience,
        waiting=lambda holder: ctx.say(f"waiting for another pass: {holder}"),
    )
    try:
        ctx.mask.learn(*view.env_files)
        yield view
    finally:
        lock.release()
