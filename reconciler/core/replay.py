"""A verdict recomputed from a run record alone: whoever doubts one needs no server, no network and no git for it."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import assert_never

from reconciler.core.stabilize import Blind, Breached, GoingOn, Stable, absorb
from reconciler.core.verdict import judge_window
from reconciler.dataclass import dataclass
from reconciler.model.measure import GateLimits, Measurement, Verdict, VerdictKind
from reconciler.model.record import Judgement, RecordedLimits, RecordedMeasurement, RunRecord

JUDGED = frozenset(kind.value for kind in VerdictKind)


@dataclass(frozen=True, slots=True)
class Replayed:
    """One judgement of a record and what its measurements amount to now."""

    recorded: Judgement
    measurements: tuple[Measurement, ...]
    verdict: Verdict

    @property
    def agrees(self) -> bool:
        """Whether it is the same verdict."""
        return self.recorded.verdict is self.verdict.kind


@dataclass(frozen=True, slots=True)
class Replay:
    """A record's judgements, recomputed. `trouble` says why the record's verdict doesn't follow; "" where it does."""

    judgements: tuple[Replayed, ...]
    trouble: str

    @property
    def agrees(self) -> bool:
        """Whether everything recomputed is as recorded."""
        return not self.trouble and all(each.agrees for each in self.judgements)


def replay(record: RunRecord) -> Replay:
    """Every verdict of `record`, from its measurements by the limits that it holds."""
    rest = iter(record.measurements)
    done: list[Replayed] = []
    for judgement in record.judgements:
        own = tuple(islice(rest, judgement.measurements))
        if len(own) < judgement.measurements:
            return Replay(tuple(done), f"measurements are missing: {len(own)} of {judgement.measurements} are there")
        taken = tuple(_expanded(own))
        done.append(Replayed(judgement, taken, _verdict(judgement, taken)))
    if next(rest, None) is not None:
        if not done:
            return Replay((), "it holds no limits: it was written before records had them")
        return Replay(tuple(done), "it holds measurements that belong to no judgement")
    return Replay(tuple(done), _trouble(record, done))


def _trouble(record: RunRecord, done: list[Replayed]) -> str:
    """Why the verdict of the whole pass doesn't follow: from the judgement of the release that it was about, or, where
    that one was left without being measured, from the one over the release that was entered."""
    if not done:
        return f"nothing was measured: `{record.verdict}` doesn't come from measurements"
    if record.verdict not in JUDGED:
        return ""  # interrupted or failed: no judgement says that
    own = [each for each in done if each.recorded.release == record.release] or done
    expected = own[-1].recorded.verdict
    if record.verdict == expected:
        return ""
    if own is done:
        return f"`{record.verdict}` doesn't come from measurements: those are of {own[-1].recorded.release} alone"
    return f"the record says {record.verdict}, and its own judgement of {record.release} is {expected}"


def _expanded(measurements: tuple[RecordedMeasurement, ...]) -> Iterator[Measurement]:
    for m in measurements:
        taken = Measurement(m.gate, m.kind, m.outcome, m.at, m.query, m.seen, m.value, m.fatal)
        yield from [taken] * (1 + m.omitted)


def _verdict(judgement: Judgement, taken: tuple[Measurement, ...]) -> Verdict:
    gates = [_limits(gate) for gate in judgement.gates]
    if judgement.before is None or judgement.period is None or judgement.interval is None:
        return judge_window(
            taken,
            gates=gates,
            now=judgement.at,
            breach_limit=judgement.breach_limit,
            error_limit=judgement.error_limit,
        )
    _, found = absorb(
        judgement.before,
        taken,
        gates=gates,
        now=judgement.at,
        period=judgement.period,
        interval=judgement.interval,
        breach_limit=judgement.breach_limit,
    )
    match found:
        case Breached(reason=reason, decisive=decisive):
            return Verdict(VerdictKind.NO_GO, reason, decisive)
        case Blind(reason=reason, decisive=blind):
            return Verdict(VerdictKind.HOLD, reason, blind)
        case Stable():
            return Verdict(VerdictKind.GO, "stable")
        case GoingOn():
            return Verdict(VerdictKind.GO, "stabilizing goes on")
        case _:
            assert_never(found)


def _limits(gate: RecordedLimits) -> GateLimits:
    return GateLimits(
        gate=gate.gate,
        kind=gate.kind,
        breach_limit=gate.breach_limit,
        min_samples=gate.min_samples,
        due=gate.due,
        skipped=gate.skipped,
        on_no_data=gate.on_no_data,
        on_error=gate.on_error,
    )
