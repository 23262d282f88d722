"""What the measurements of one window amount to: go, hold or no-go (DESIGN, "Measuring and judging", P4).

Only a `PASS` proves anything. A breach is evidence against the release; no data and errors are evidence against the
measuring system, and hold.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import takewhile

from reconciler.model.measure import GateKind, Measurement, Outcome, Verdict, VerdictKind

BREACH_LIMIT = 2
"""Breaches that a resource or network gate is forgiven in a window. Source: DESIGN, "Measuring and judging"."""
ERROR_LIMIT = 4
"""Errors in a row that end trust in a measuring system. Source: DESIGN, "Measuring and judging"."""

GateId = tuple[str, GateKind]
"""Name and kind: an HTTP gate and a network gate may share a name."""


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
    measurements: Iterable[Measurement], *, gates: Sequence[GateId], breach_limit: int = BREACH_LIMIT
) -> Verdict:
    """The verdict at the end of a window in which every one of `gates` should have been measured.

    The gravest finding decides, in the order of `gates`: no-go over hold over go.

    - *Container state and HTTP*: the last measurement has to pass. A breach is no-go, and so is an inconclusive one:
      the caller awaited the engine's own health before the window, so that what still starts at its end isn't proven.
      The same when a few errors follow a breach: nothing has contradicted it.
    - A container or HTTP gate whose last measurement is no data or an error, with no breach standing, **holds**: sshd
      that forbids forwarding isn't a broken app. DESIGN lets a hold stand only where container state and HTTP gates
      passed; this reads it as "none of them spoke against the release", since a failing measurement can mean neither go
      nor no-go, and a container gate that breaches is no-go here whatever HTTP says.
    - *Logs*: one breach anywhere is no-go.
    - *Resources and network*: no-go when the last telling measurement breaches and more than `breach_limit` did, or
      every telling one where no more than `breach_limit` were taken.
    - Those three hold on no data after the last telling measurement, on `ERROR_LIMIT` errors in a row at the end
      (fewer, after a pass, are forgiven), when the last telling one is inconclusive, and when none was telling.
    """
    taken = list(measurements)
    if early := judge_so_far(taken):
        return early
    verdicts = [_judge_gate(gate, [m for m in taken if (m.gate, m.kind) == gate], breach_limit) for gate in gates]
    for kind in (VerdictKind.NO_GO, VerdictKind.HOLD):
        for verdict in verdicts:
            if verdict.kind is kind:
                return verdict
    return Verdict(VerdictKind.GO, f"all {len(gates)} gates passed" if gates else "no gates are defined")


def _judge_gate(gate: GateId, taken: Sequence[Measurement], breach_limit: int) -> Verdict:
    name, kind = gate
    if not taken:
        return Verdict(VerdictKind.HOLD, f"{name}: never measured, and no measurement is not a pass")
    telling = [m for m in taken if tells(m)]
    if kind.must_pass_at_end:
        return _judge_strictly(taken[-1], telling)
    return _judge_leniently(taken, telling, breach_limit)


def _judge_strictly(last: Measurement, telling: Sequence[Measurement]) -> Verdict:
    if telling and telling[-1].outcome is not Outcome.PASS:
        return _verdict(VerdictKind.NO_GO, telling[-1])
    if last.outcome is Outcome.PASS:
        return Verdict(VerdictKind.GO, f"{last.gate}: passed")
    return _verdict(VerdictKind.HOLD, last)


def _judge_leniently(taken: Sequence[Measurement], telling: Sequence[Measurement], breach_limit: int) -> Verdict:
    last = taken[-1]
    if not telling:
        return _verdict(VerdictKind.HOLD, last)
    breaches = sum(m.outcome is Outcome.BREACH for m in telling)
    if telling[-1].outcome is Outcome.BREACH and (breaches > breach_limit or breaches == len(telling)):
        return _verdict(VerdictKind.NO_GO, telling[-1])
    if telling[-1].outcome is Outcome.INCONCLUSIVE:
        return _verdict(VerdictKind.HOLD, telling[-1])
    silent = list(takewhile(lambda m: not tells(m), reversed(taken)))
    if len(silent) >= ERROR_LIMIT or any(m.outcome is Outcome.NO_DATA for m in silent):
        return _verdict(VerdictKind.HOLD, last)
    return Verdict(VerdictKind.GO, f"{last.gate}: passed")


def tells(measurement: Measurement) -> bool:
    """Whether it says anything of the app, and not of the measuring system alone."""
    return measurement.outcome not in {Outcome.NO_DATA, Outcome.ERROR}


def _verdict(kind: VerdictKind, decisive: Measurement) -> Verdict:
    return Verdict(kind, f"{decisive.gate}: {decisive.seen}", decisive)
