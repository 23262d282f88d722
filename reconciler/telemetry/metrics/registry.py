"""Every metric that there is, and the words that its labels can have. docs/metrics.md explains them to people."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

from reconciler.core.health import Health
from reconciler.model.drift import Vector
from reconciler.model.measure import Outcome
from reconciler.model.stored import Phase

PREFIX: Final = "reconciler_"
SYNC: Final = ("in_sync", "out_of_sync", "unknown")
HEALTH: Final = tuple(health.value for health in Health)
PHASES: Final = tuple(phase.value for phase in Phase)
RESULTS: Final = (
    "in_sync", "converged", "pending", "reverted", "revert_failed", "held", "blocked", "locked", "unreachable", "error",
)  # fmt: skip
DEPLOY_RESULTS: Final = ("verified", "held", "reverted", "revert_failed")
ROLLBACKS: Final = tuple(
    (reason, result) for reason in ("breach", "by_hand", "interrupted", "watchdog") for result in ("verified", "failed")
)
HEALS: Final = ("healed", "failed")
VECTORS: Final = tuple(vector.value for vector in Vector)
OUTCOMES: Final = tuple(outcome.value for outcome in Outcome)
NOTIFIED: Final = ("ok", "failed")
BUCKETS: Final = (0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0)
"""Upper limits of the duration histograms, seconds."""
LIMITS: Final = (*map(str, BUCKETS), "+Inf")
"""The same as values of the label `le`."""

_WORD = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
_AT: Final = ("app", "target")


@dataclass(frozen=True, slots=True)
class Kind:
    """One metric: its type, its help text, and the names of its labels (a histogram's without `le`)."""

    type: Literal["gauge", "counter", "histogram"]
    help: str
    labels: tuple[str, ...] = ()


def _target(type_: Literal["gauge", "counter", "histogram"], help_: str, *labels: str) -> Kind:
    return Kind(type_, help_, (*_AT, *labels))


TARGET_KINDS: Final[Mapping[str, Kind]] = {
    "app_info": _target("gauge", "The reconciler that wrote this, always 1.", "version"),
    "app_sync_status": _target("gauge", "1 for the sync status the app has, 0 for the others.", "status"),
    "app_health_status": _target("gauge", "1 for the health status the app has, 0 for the others.", "status"),
    "app_phase": _target("gauge", "1 for the phase the app is in, 0 for the others; all 0 before the first.", "phase"),
    "app_phase_since_timestamp_seconds": _target("gauge", "Since when the app is in its phase; absent without one."),
    "app_last_reconcile_timestamp_seconds": _target("gauge", "When the last pass ended; absent before the first."),
    "app_reconcile_interval_seconds": _target("gauge", "How often a pass is due; absent before the first."),
    "app_last_good_timestamp_seconds": _target("gauge", "When the last good release became it; absent without one."),
    "app_gates_blind": _target("gauge", "1 while a release is held because it can't be measured."),
    "app_quarantined": _target("gauge", "Releases in quarantine."),
    "app_desired_quarantined": _target("gauge", "1 while the release that is asked for is in quarantine."),
    "app_stabilization_covered_seconds": _target("gauge", "Passing time counted so far; absent unless stabilizing."),
    "app_stabilization_period_seconds": _target("gauge", "Passing time that makes a release stable."),
    "app_watchdog_lease_deadline_timestamp_seconds": _target(
        "gauge", "When the target goes back by itself at the latest, after a pass was lost in the middle; else absent."
    ),
    "target_up": _target("gauge", "1 if the target was reached when it was last tried."),
    "event_stream_up": _target("gauge", "1 while the daemon hears the target's engine events."),
    "records_pending": _target("gauge", "Run records that no remote is known to have; absent where nobody looked."),
    "reconciles": _target("counter", "Passes.", "result"),
    "deploys": _target("counter", "Switches to another release, by how the pass that made them ended.", "result"),
    "rollbacks": _target("counter", "Reverts.", "reason", "result"),
    "heals": _target("counter", "Repairs of drift.", "result"),
    "drift_detected": _target("counter", "Differences that no commit asked for, each time one is seen.", "vector"),
    "gate_measurements": _target("counter", "Measurements of gates.", "gate", "outcome"),
    "reconcile_duration_seconds": _target("histogram", "How long passes took."),
    "deploy_duration_seconds": _target("histogram", "How long passes that switched took, to their verdict."),
    "rollback_duration_seconds": _target("histogram", "How long reverts took until they were verified, or failed."),
}
"""Metrics of one app on one target, without PREFIX, a counter's without `_total`."""

ONLY_LIVE: Final = frozenset({"event_stream_up"})
"""Those of TARGET_KINDS that a single pass knows nothing of."""

DAEMON_KINDS: Final[Mapping[str, Kind]] = {
    "daemon_info": Kind("gauge", "The daemon, always 1.", ("version",)),
    "daemon_start_timestamp_seconds": Kind("gauge", "When the daemon started."),
    "loop_last_run_timestamp_seconds": Kind("gauge", "When the loop last ended a round, or was started.", ("loop",)),
    "loop_interval_seconds": Kind("gauge", "How often a round of the loop is due.", ("loop",)),
    "git_up": Kind("gauge", "1 if the desired state could be fetched and read when last asked for; else 0."),
    "git_last_success_timestamp_seconds": Kind("gauge", "When that last succeeded; absent before the first time."),
    "notifications": Kind("counter", "Notifications.", ("kind", "result")),
    "webhooks": Kind("counter", "Webhooks received.", ("forge", "result")),
}
"""Metrics of the daemon itself, likewise."""


def word(text: str) -> str:
    """`text`, if it can be a label. Raises ValueError: a message or an id there would make a series each time."""
    if _WORD.fullmatch(text) is None:
        raise ValueError(f"not a label value: {text[:20]!r}; letters, digits and `_ . -`, at most 64")
    return text


def one_of(text: str, words: tuple[str, ...]) -> str:
    """`text`, if it is one of `words`. Raises ValueError."""
    if text not in words:
        raise ValueError(f"no such state: {text[:20]!r}; one of {', '.join(words)}")
    return text


def exposed() -> frozenset[str]:
    """Every name as Prometheus sees it: with the prefix, and the endings of counters and histograms."""
    names: set[str] = set()
    for name, kind in {**TARGET_KINDS, **DAEMON_KINDS}.items():
        endings = {"gauge": ("",), "counter": ("_total",), "histogram": ("_bucket", "_sum", "_count")}[kind.type]
        names |= {f"{PREFIX}{name}{ending}" for ending in endings}
    return frozenset(names)
