"""`reconcile replay`: a run's verdict once more, from its record alone."""

from __future__ import annotations

from collections import Counter
from datetime import datetime

from reconciler.cli.render import Screen, print_json
from reconciler.core.replay import Replay, Replayed, replay
from reconciler.model.errors import ExitCode
from reconciler.model.measure import Measurement, Outcome
from reconciler.model.record import RecordedLimits
from reconciler.wiring import Desk


def replay_record(desk: Desk, screen: Screen, run: str, *, as_json: bool) -> int:
    """0 where every verdict of the record follows from its measurements, 1 where one doesn't or can't be recomputed.

    Raises UsageError for a run that has no record, ReconcilerError for one that can't be read.
    """
    records = desk.records()
    record = records.parse(records.text_of(run), run)
    found = replay(record)
    if as_json:
        print_json(_json(record.run, found))
    else:
        for each in found.judgements:
            _show(screen, each)
        if found.trouble:
            screen.line(screen.paint(f"{record.run}: can't be recomputed: {found.trouble}", "red"))
        else:
            word = "agrees" if found.agrees else "differs"
            screen.line(screen.paint(f"{record.run}: {word}", "green" if found.agrees else "red"))
    return ExitCode.OK if found.agrees else ExitCode.ERROR


def _show(screen: Screen, each: Replayed) -> None:
    recorded = each.recorded
    what = "a round of stabilization" if recorded.before is not None else "a window"
    screen.line(screen.paint(f"{recorded.release}, {what} judged {recorded.at:%Y-%m-%d %H:%M:%S} UTC", "bold"))
    for gate in recorded.gates:
        screen.line(f"  {gate.kind.value:<10} {gate.gate}: {_finding(gate, each.measurements, recorded.at)}")
    screen.line(f"  recorded   {recorded.verdict}: {recorded.reason}")
    screen.line(f"  recomputed {each.verdict.kind}: {each.verdict.reason}")


def _finding(gate: RecordedLimits, measurements: tuple[Measurement, ...], at: datetime) -> str:
    if gate.skipped:
        return gate.skipped
    own = _of(gate, measurements)
    if not own:
        waits = gate.due is not None and at < gate.due
        return f"not measured before {gate.due:%H:%M:%S} UTC" if waits else "never measured"
    counts = ", ".join(f"{count} {outcome.value}" for outcome, count in _counts(own).items())
    return f"{counts}; last: {own[-1].seen}"


def _of(gate: RecordedLimits, measurements: tuple[Measurement, ...]) -> list[Measurement]:
    return [m for m in measurements if (m.gate, m.kind) == (gate.gate, gate.kind)]


def _counts(measurements: list[Measurement]) -> Counter[Outcome]:
    return Counter(m.outcome for m in measurements)


def _json(run: str, found: Replay) -> dict[str, object]:
    return {
        "run": run,
        "agrees": found.agrees,
        "trouble": found.trouble or None,
        "judgements": [
            {
                "release": each.recorded.release,
                "at": each.recorded.at.isoformat(),
                "of": "window" if each.recorded.before is None else "round",
                "gates": [
                    {
                        "gate": gate.gate,
                        "kind": gate.kind.value,
                        "outcomes": {
                            outcome.value: count for outcome, count in _counts(_of(gate, each.measurements)).items()
                        },
                        "finding": _finding(gate, each.measurements, each.recorded.at),
                    }
                    for gate in each.recorded.gates
                ],
                "recorded": {"verdict": each.recorded.verdict.value, "reason": each.recorded.reason},
                "recomputed": {"verdict": each.verdict.kind.value, "reason": each.verdict.reason},
                "agrees": each.agrees,
            }
            for each in found.judgements
        ],
    }
