"""How series are born, and how a pass counts into them: the same for a textfile and for the daemon."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from reconciler import __version__
from reconciler.telemetry.metrics.registry import (
    DEPLOY_RESULTS,
    HEALS,
    HEALTH,
    OUTCOMES,
    PHASES,
    RESULTS,
    ROLLBACKS,
    SYNC,
    VECTORS,
    one_of,
    word,
)
from reconciler.telemetry.metrics.sample import PassSample, Remembered
from reconciler.telemetry.metrics.series import Book, Key

DURATIONS = ("reconcile_duration_seconds", "deploy_duration_seconds", "rollback_duration_seconds")


def give_birth(book: Book, app: str, target: str, gates: Iterable[str] = ()) -> None:
    """Makes the series of a target's counters, at 0 where they are new: `increase()` misses the first event of a series
    that begins with it. Raises ValueError for a name that can't be a label."""
    at = (word(app), word(target))
    book.add("reconciles", at, {(result,): 0 for result in RESULTS})
    book.add("deploys", at, {(result,): 0 for result in DEPLOY_RESULTS})
    book.add("rollbacks", at, dict.fromkeys(ROLLBACKS, 0))
    book.add("heals", at, {(result,): 0 for result in HEALS})
    book.add("drift_detected", at, {(vector,): 0 for vector in VECTORS})
    book.add("gate_measurements", at, {(gate, outcome): 0 for gate in gates for outcome in OUTCOMES})
    for name in DURATIONS:
        book.observe(name, at, None)


def count(book: Book, sample: PassSample) -> None:
    """Counts one pass in. Raises ValueError for a word that is none of the registry's."""
    at = (word(sample.app), word(sample.target))
    one_of(sample.result, RESULTS)
    give_birth(book, *at, {gate for gate, _ in sample.gates})
    book.series["app_info"] = {key: value for key, value in book.series["app_info"].items() if key[:2] != at}
    book.set("app_info", (*at, __version__), 1)
    book.one_hot("app_sync_status", at, SYNC, sample.sync)
    book.one_hot("app_health_status", at, HEALTH, sample.health)
    book.set("app_last_reconcile_timestamp_seconds", at, sample.last_reconcile_ts)
    book.set("app_reconcile_interval_seconds", at, sample.interval_s)
    book.set("target_up", at, sample.up)
    if sample.remembered is not None:
        _remember(book, at, sample.remembered)
    if sample.remembered is not None or sample.lease_deadline_ts is not None:
        book.set("app_watchdog_lease_deadline_timestamp_seconds", at, sample.lease_deadline_ts)
    book.add("reconciles", at, {(sample.result,): 1})
    book.add("deploys", at, _keyed(sample.deploys, DEPLOY_RESULTS))
    book.add("rollbacks", at, sample.rollbacks)  # type: ignore[arg-type] # pairs are keys, too
    book.add("heals", at, _keyed(sample.heals, HEALS))
    book.add("drift_detected", at, _keyed(sample.drift, VECTORS))
    book.add("gate_measurements", at, sample.gates)  # type: ignore[arg-type]
    for name, seconds in zip(DURATIONS, (sample.reconcile_s, sample.deploy_s, sample.rollback_s), strict=True):
        book.observe(name, at, seconds)


def _remember(book: Book, at: Key, known: Remembered) -> None:
    book.one_hot("app_phase", at, PHASES, known.phase)
    book.set("app_phase_since_timestamp_seconds", at, known.since_ts)
    book.set("app_last_good_timestamp_seconds", at, known.last_good_ts)
    book.set("app_gates_blind", at, known.blind)
    book.set("app_quarantined", at, known.quarantined)
    if known.desired_quarantined is not None:
        book.set("app_desired_quarantined", at, known.desired_quarantined)
    book.set("app_stabilization_covered_seconds", at, known.covered_s)
    book.set("app_stabilization_period_seconds", at, known.period_s)


def _keyed(counts: Mapping[str, int], words: tuple[str, ...]) -> dict[Key, int]:
    return {(one_of(each, words),): count for each, count in counts.items()}
