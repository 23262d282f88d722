"""What is counted of one pass over one target."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class Remembered:
    """What a target's state says, which outlasts the pass. `phase` is empty before the first; times are Unix seconds,
    `covered_s` and `period_s` seconds of stabilization (`covered_s` is None unless it goes on).
    `desired_quarantined` is None where the pass didn't come to know what deploy.yaml asks for: it stays as it was."""

    phase: str
    since_ts: float | None = None
    last_good_ts: float | None = None
    blind: bool = False
    quarantined: int = 0
    desired_quarantined: bool | None = False
    covered_s: float | None = None
    period_s: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PassSample:
    """What a pass over one target knows at its end. Times are Unix seconds, durations seconds; mappings hold what was
    counted in this pass alone. The words are those of `registry`: SYNC, HEALTH, RESULTS and so on.

    `remembered` is None where the pass didn't come to read the target's state: what was known of it stays.
    `lease_deadline_ts` is when a lease that the pass left behind runs out (the state may be unknown then).
    """

    app: str
    target: str
    sync: str
    health: str
    result: str
    last_reconcile_ts: float
    interval_s: float
    up: bool
    reconcile_s: float
    remembered: Remembered | None = None
    lease_deadline_ts: float | None = None
    deploy_s: float | None = None
    rollback_s: float | None = None
    deploys: Mapping[str, int] = field(default_factory=dict)
    rollbacks: Mapping[tuple[str, str], int] = field(default_factory=dict)
    heals: Mapping[str, int] = field(default_factory=dict)
    drift: Mapping[str, int] = field(default_factory=dict)
    gates: Mapping[tuple[str, str], int] = field(default_factory=dict)
