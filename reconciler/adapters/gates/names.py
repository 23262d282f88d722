"""What gates of measuring systems are told of, and the limits that they have in common."""

from __future__ import annotations

from datetime import timedelta

from reconciler.dataclass import dataclass
from reconciler.model.measure import GateKind, GateLimits, OnSilence, Subject
from reconciler.model.measured_gates import MeasuredGate


@dataclass(frozen=True, slots=True)
class Names:
    """What queries and commands are told of: the app, the target, and the release that is judged."""

    app: str
    target: str
    subject: Subject


def limits_of(spec: MeasuredGate, kind: GateKind, subject: Subject, *, delay: float, skipped: str = "") -> GateLimits:
    """The limits of a gate that is due `delay` seconds after the switch."""
    return GateLimits(
        gate=spec.name,
        kind=kind,
        breach_limit=spec.breach_limit,
        min_samples=spec.min_samples,
        due=subject.switched_at + timedelta(seconds=delay) if delay else None,
        skipped=skipped,
        on_no_data=OnSilence(spec.on_no_data),
        on_error=OnSilence(spec.on_error),
    )
