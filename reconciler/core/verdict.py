"""What the measurements of one window amount to: go, hold or no-go (DESIGN, "Measuring and judging", P4).

Only a `PASS` proves anything. A breach is evidence against the release; no data and errors are evidence against the
measuring system, and hold.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime
from itertools import takewhile

from reconciler.model.measure import GateKind, GateLimits, Measurement, OnSilence, Outcome, Verdict, VerdictKind

BREACH_LIMIT = 2
"""Breaches that a gate that isn't strict is forgiven in a window. Source: DESIGN, "Measuring and judging"."""
ERROR_LIMIT = 4
"""Errors in a row that end trust in a measuring system. Source: DESIGN, "Measuring and judging"."""


def judge_so_far(measurements: Iterable[Measurement]) -> Verdict | None:
    """The verdict that needs no full window, or None: look again.

    No-go at once for a fatal measurement (crash loop, exit, unhealthy) and for more fatal log lines than allowed, which
    no later measurement can take back.
    """
    for measurement in measurements:
        if measurement.fatal or (measurement.kind is GateKind.LOGS and measurement.outcome is Outcome.BREACH):
            return _verdict(VerdictKind.NO_GO, measurement)
    return None


def judge_window(
    measurements: Iterable[Measurement],
    *,
    gates: Sequence[GateLimits],
    now: datetime | None = None,
    breach_limit: int = BREACH_LIMIT,
    error_limit: int = ERROR_LIMIT,
) -> Verdict:
    """The verdict at the end of a window, `now`, in which every one of `gates` that is due should have been measured.

    The gravest finding decides, in the order of `gates`: no-go over hold over go.

    - *Container state and HTTP*: the last measurement has to pass. A breach is no-go, and so is an inconclusive one:
      the caller awaited the engine's own health before the window, so that what still starts at its end isn't proven.
      The same when a few errors follow a breach: nothing has contradicted it.
    - A container or HTTP gate whose last measurement is no data or an error, with no breach standing, **holds**: sshd
      that forbids forwarding isn't a broken app. DESIGN lets a hold stand only where container state and HTTP gates
      passed; this reads it as "none of them spoke against the release", since a failing measurement can mean neither go
      nor no-go, and a container gate that breaches is no-go here whatever HTTP says.
    - *Logs*: one breach anywhere is no-go.
    - *All others*: no-go when the last telling measurement breaches and more than `breach_limit` did, or every telling
      one where no more than `breach_limit` were taken.
    - Those hold on no data after the last telling measurement, on `error_limit` errors in a row at the end
      (fewer, after a pass, are forgiven), when the last telling one is inconclusive, and when fewer than the gate's
      `min_samples` were telling: too few prove neither the one nor the other.
    - A gate that isn't due yet, or doesn't apply, is no part of it: the reason says which.

    No data and errors of a gate that says `rollback` count as breaches.
    """
    taken = [as_evidence(m, gates) for m in measurements]
    if early := judge_so_far(taken):
        return early
    due = [gate for gate in gates if not gate.skipped and (now is None or gate.is_due(now))]
    verdicts = [_judge_gate(gate, taken, breach_limit, error_limit) for gate in due]
    for kind in (VerdictKind.NO_GO, VerdictKind.HOLD):
        for verdict in verdicts:
            if verdict.kind is kind:
                return verdict
    reason = f"all {len(due)} gates passed" if due else "no gates are defined"
    return Verdict(VerdictKind.GO, "; ".join([reason, *(left_out(gates, now) if now else ())]))


def as_evidence(measurement: Measurement, gates: Iterable[GateLimits]) -> Measurement:
    """A breach instead of no data or an error, where the measurement's gate says `rollback`; otherwise as it is."""
    limits = limits_of(measurement, gates)
    if limits is None:
        return measurement
    said = {Outcome.NO_DATA: limits.on_no_data, Outcome.ERROR: limits.on_error}.get(measurement.outcome)
    return replace(measurement, outcome=Outcome.BREACH) if said is OnSilence.ROLLBACK else measurement


def limits_of(measurement: Measurement, gates: Iterable[GateLimits]) -> GateLimits | None:
    """The limits of its gate: by name and kind, as an HTTP gate and a network gate may share a name."""
    return next((g for g in gates if (g.gate, g.kind) == (measurement.gate, measurement.kind)), None)


def left_out(gates: Iterable[GateLimits], now: datetime) -> list[str]:
    """A sentence for each of `gates` that isn't measured `now`."""
    said = []
    for gate in gates:
        if gate.skipped:
            said.append(f"{gate.gate}: {gate.skipped}")
        elif gate.waits(now):
            said.append(f"{gate.gate} isn't measured before {gate.due:%H:%M:%S} UTC")
    return said


def _judge_gate(limits: GateLimits, measurements: Sequence[Measurement], most: int, error_limit: int) -> Verdict:
    taken = [m for m in measurements if (m.gate, m.kind) == (limits.gate, limits.kind)]
    if not taken:
        return Verdict(VerdictKind.HOLD, f"{limits.gate}: never measured, and no measurement is not a pass")
    telling = [m for m in taken if tells(m)]
    if limits.kind.must_pass_at_end:
        return _judge_strictly(taken[-1], telling)
    if telling and len(telling) < limits.min_samples:
        few = f"{limits.gate}: {len(telling)} of the {limits.min_samples} measurements that it needs"
        return Verdict(VerdictKind.HOLD, f"{few}; the last: {taken[-1].seen}", taken[-1])
    breach_limit = most if limits.breach_limit is None else limits.breach_limit
    return _judge_leniently(taken, telling, breach_limit, error_limit)


def _judge_strictly(last: Measurement, telling: Sequence[Measurement]) -> Verdict:
    if telling and telling[-1].outcome is not Outcome.PASS:
        return _verdict(VerdictKind.NO_GO, telling[-1])
    if last.outcome is Outcome.PASS:
        return Verdict(VerdictKind.GO, f"{last.gate}: passed")
    return _verdict(VerdictKind.HOLD, last)


def _judge_leniently(
    taken: Sequence[Measurement], telling: Sequence[Measurement], breach_limit: int, error_limit: int
) -> Verdict:
    last = taken[-1]
    if not telling:
        return _verdict(VerdictKind.HOLD, last)
    breaches = sum(m.outcome is Outcome.BREACH for m in telling)
    if telling[-1].outcome is Outcome.BREACH and (breaches > breach_limit or breaches == len(telling)):
        return _verdict(VerdictKind.NO_GO, telling[-1])
    if telling[-1].outcome is Outcome.INCONCLUSIVE:
        return _verdict(VerdictKind.HOLD, telling[-1])
    silent = list(takewhile(lambda m: not tells(m), reversed(taken)))
    if len(silent) >= error_limit or any(m.outcome is Outcome.NO_DATA for m in silent):
        return _verdict(VerdictKind.HOLD, last)
    return Verdict(VerdictKind.GO, f"{last.gate}: passed")


def tells(measurement: Measurement) -> bool:
    """Whether it says anything of the app, and not of the measuring system alone."""
    return measurement.outcome not in {Outcome.NO_DATA, Outcome.ERROR}


def _verdict(kind: VerdictKind, decisive: Measurement) -> Verdict:
    return Verdict(kind, f"{decisive.gate}: {decisive.seen}", decisive)
