"""Verification: a window of gates over what runs now."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime

from reconciler.core.verdict import judge_so_far, judge_window
from reconciler.cycle.context import TargetContext
from reconciler.dataclass import dataclass
from reconciler.model.measure import Measurement, Verdict
from reconciler.model.stored import Manifest
from reconciler.ports import Gate

MOST_AT_ONCE = 8
"""Gates measured at the same time; a connection carries as many sessions."""


@dataclass(frozen=True, slots=True)
class Verification:
    """A verdict with every measurement behind it, in the order in which they were taken."""

    verdict: Verdict
    measurements: tuple[Measurement, ...]


def measure(gates: Sequence[Gate]) -> tuple[Measurement, ...]:
    """One round: every gate once, concurrently. Raises TargetUnreachable when the connection is lost."""
    with ThreadPoolExecutor(max_workers=MOST_AT_ONCE) as pool:
        return tuple(pool.map(lambda gate: gate.measure(), gates))


def verify(ctx: TargetContext, manifest: Manifest, *, since: datetime) -> Verification:
    """Measures `manifest`'s services for `gates.window` seconds and judges; a fatal measurement ends it at once.

    `since` is the switch, by `ctx.clock`: log lines before it are another release's.
    Raises TargetUnreachable and Interrupted.
    """
    spec = ctx.deploy.gates
    gates = ctx.gates(manifest.services, since)
    taken: list[Measurement] = []
    started = ctx.clock.monotonic()
    end = started + spec.window
    while True:
        round_at = ctx.clock.monotonic()
        taken += measure(gates)
        early = judge_so_far(taken)
        if early is not None:
            return Verification(early, tuple(taken))
        now = ctx.clock.monotonic()
        if now >= end:
            named = [(gate.name, gate.kind) for gate in gates]
            return Verification(judge_window(taken, gates=named), tuple(taken))
        ctx.check_interrupt()
        # The last round is at the window's end: what counts is how it stands then.
        ctx.clock.sleep(max(0.0, min(round_at + spec.interval, end) - now))
        ctx.check_interrupt()
