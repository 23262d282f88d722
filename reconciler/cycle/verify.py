"""Verification: a window of gates over what runs now."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime

from reconciler.core.verdict import judge_so_far, judge_window
from reconciler.cycle.context import TargetContext
from reconciler.cycle.meddling import refuse_meddling
from reconciler.model.measure import Measurement, Subject, Verdict, VerdictKind, Verification
from reconciler.model.stored import Manifest
from reconciler.ports import Gate

MOST_AT_ONCE = 8
"""Gates measured at the same time; a connection carries as many sessions."""


def measure(gates: Sequence[Gate]) -> tuple[Measurement, ...]:
    """One round: each of `gates` once, concurrently. Raises TargetUnreachable when the connection is lost."""
    with ThreadPoolExecutor(max_workers=MOST_AT_ONCE) as pool:
        return tuple(pool.map(lambda gate: gate.measure(), gates))


def due(gates: Sequence[Gate], now: datetime) -> list[Gate]:
    """Those whose delay is over, and that apply."""
    return [gate for gate in gates if gate.limits.is_due(now)]


def verify(ctx: TargetContext, manifest: Manifest, subject: Subject) -> Verification:
    """Measures `manifest`'s services for `gates.window` seconds and judges; a fatal measurement ends it at once.

    `subject` says since when, by `ctx.clock`: log lines and samples before the switch are another release's.
    Raises TargetUnreachable and Interrupted.
    """
    spec = ctx.deploy.gates
    gates = ctx.gates(manifest.services, subject.switched_at, subject)
    limits = tuple(gate.limits for gate in gates)
    taken: list[Measurement] = []

    def judged(verdict: Verdict, at: datetime) -> Verification:
        return Verification(manifest.release, at, verdict, tuple(taken), limits)

    started = ctx.clock.monotonic()
    end = started + spec.window
    while True:
        round_at, at = ctx.clock.monotonic(), ctx.clock.now()
        taken += measure(due(gates, at))
        early = judge_so_far(taken)
        if early is not None:
            return judged(early, at)
        now = ctx.clock.monotonic()
        if now >= end:
            # As of the last round's beginning: a gate that came due since wasn't measured, and isn't missed.
            return judged(judge_window(taken, gates=limits, now=at), at)
        ctx.check_interrupt()
        # The last round is at the window's end: what counts is how it stands then.
        ctx.clock.sleep(max(0.0, min(round_at + spec.interval, end) - now))
        ctx.check_interrupt()


def prove(ctx: TargetContext, manifest: Manifest, subject: Subject) -> Verification:
    """`verify`, for containers that we have brought up. Raises Meddled too, instead of a no-go of somebody's doing."""
    verification = verify(ctx, manifest, subject)
    if verification.verdict.kind is VerdictKind.NO_GO:
        refuse_meddling(ctx, manifest, verification.verdict.decisive)
    return verification
