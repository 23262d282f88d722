"""Metrics of a pass as a Prometheus textfile, for a process that ends before anything could scrape it.

A one-shot process begins its counters at zero each time; so they go on from what the file holds, if it is ours. The
same holds for the series of targets that this pass did not visit. One file has one writer at a time.
"""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from reconciler import __version__
from reconciler.model.drift import Vector

if TYPE_CHECKING:
    from prometheus_client.metrics_core import Metric

HEADER: Final = "# written by reconcile --once --metrics-file; counters go on from this file\n"
PREFIX: Final = "reconciler_"
SYNC: Final = ("in_sync", "out_of_sync", "unknown")
HEALTH: Final = ("healthy", "progressing", "degraded", "missing", "unknown")
PHASES: Final = ("stable", "stabilizing", "held", "reverting", "rolled_back", "failed", "suspended")
RESULTS: Final = (
    "in_sync", "converged", "pending", "reverted", "revert_failed", "held", "blocked", "locked", "unreachable", "error",
)  # fmt: skip
DEPLOY_RESULTS: Final = ("verified", "held", "reverted", "revert_failed", "error")
ROLLBACKS: Final = tuple(
    (reason, result) for reason in ("breach", "by_hand", "interrupted", "watchdog") for result in ("verified", "failed")
)
VECTORS: Final = tuple(vector.value for vector in Vector)
OUTCOMES: Final = ("pass", "breach", "inconclusive", "no_data", "error")
BUCKETS: Final = (0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0)
"""Upper limits of the duration histograms, seconds."""

_WORD = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")


@dataclass(frozen=True, slots=True, kw_only=True)
class PassSample:
    """What a pass over one target knows at its end. Times are Unix seconds, durations seconds; mappings hold what was
    counted in this pass alone. The words are those of SYNC, HEALTH, PHASES (empty: none yet), RESULTS and so on."""

    app: str
    target: str
    sync: str
    health: str
    phase: str
    result: str
    last_reconcile_ts: float
    interval_s: float
    last_good_ts: float | None
    up: bool
    reconcile_s: float
    deploy_s: float | None = None
    rollback_s: float | None = None
    deploys: Mapping[str, int] = field(default_factory=dict)
    rollbacks: Mapping[tuple[str, str], int] = field(default_factory=dict)
    drift: Mapping[str, int] = field(default_factory=dict)
    gates: Mapping[tuple[str, str], int] = field(default_factory=dict)
    records_pending: int = 0


@dataclass(frozen=True, slots=True)
class _Kind:
    type: str  # gauge, counter or histogram
    help: str
    labels: tuple[str, ...] = ()  # after app and target


_KINDS: Final[Mapping[str, _Kind]] = {
    "app_info": _Kind("gauge", "The reconciler that wrote this, always 1.", ("version",)),
    "app_sync_status": _Kind("gauge", "1 for the sync status the app has, 0 for the others.", ("status",)),
    "app_health_status": _Kind("gauge", "1 for the health status the app has, 0 for the others.", ("status",)),
    "app_phase": _Kind("gauge", "1 for the phase the app is in, 0 for the others.", ("phase",)),
    "app_last_reconcile_timestamp_seconds": _Kind("gauge", "When the last pass ended."),
    "app_reconcile_interval_seconds": _Kind("gauge", "How often a pass is due."),
    "app_last_good_timestamp_seconds": _Kind("gauge", "When the last good release became it; absent without one."),
    "target_up": _Kind("gauge", "1 if the last pass reached the target."),
    "records_pending": _Kind("gauge", "Run records that no remote is known to have."),
    "reconciles": _Kind("counter", "Passes.", ("result",)),
    "deploys": _Kind("counter", "Switches to another release.", ("result",)),
    "rollbacks": _Kind("counter", "Reverts.", ("reason", "result")),
    "drift_detected": _Kind("counter", "Differences that no commit asked for.", ("vector",)),
    "gate_measurements": _Kind("counter", "Measurements of gates.", ("gate", "outcome")),
    "reconcile_duration_seconds": _Kind("histogram", "How long passes took."),
    "deploy_duration_seconds": _Kind("histogram", "How long deploys took, from plan to verdict."),
    "rollback_duration_seconds": _Kind("histogram", "How long reverts took until they were verified."),
}

_Series = dict[tuple[str, ...], float]
"""Label values to value. A histogram's have one more at their end: a bucket's limit, or `sum`."""


def write_textfile(path: Path, samples: Iterable[PassSample]) -> None:
    """Replaces the textfile at `path` atomically by one that counts `samples` in.

    Raises OSError when it can't be written (the old file stays), ValueError for a word that can't be a label: a
    message or an id there would make a series of its own each time.
    """
    from prometheus_client import CollectorRegistry, generate_latest

    state = _read(path)
    for sample in samples:
        _count(state, sample)
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Collector(state))
    _replace(path, HEADER.encode() + generate_latest(registry))


class _Collector:
    def __init__(self, state: dict[str, _Series]) -> None:
        self._state = state

    def collect(self) -> Iterator[Metric]:
        from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily

        for name, kind in _KINDS.items():
            labels = ("app", "target", *kind.labels)
            series = sorted(self._state[name].items())
            if kind.type == "histogram":
                histogram = HistogramMetricFamily(PREFIX + name, kind.help, labels=labels)
                for each in sorted({key[:-1] for key, _ in series}):
                    limits = [*map(str, BUCKETS), "+Inf"]
                    buckets = [(limit, self._state[name].get((*each, limit), 0.0)) for limit in limits]
                    histogram.add_metric(each, buckets, self._state[name].get((*each, "sum"), 0.0))
                yield histogram
                continue
            family = CounterMetricFamily if kind.type == "counter" else GaugeMetricFamily
            metric = family(PREFIX + name, kind.help, labels=labels)
            for key, value in series:
                metric.add_metric(key, value)
            yield metric


def _count(state: dict[str, _Series], sample: PassSample) -> None:
    at = (_word(sample.app), _word(sample.target))
    for name, kind in _KINDS.items():
        if kind.type == "gauge":
            state[name] = {key: value for key, value in state[name].items() if key[:2] != at}
    state["app_info"][*at, __version__] = 1
    _one_hot(state["app_sync_status"], at, SYNC, sample.sync)
    _one_hot(state["app_health_status"], at, HEALTH, sample.health)
    _one_hot(state["app_phase"], at, PHASES, sample.phase)
    state["app_last_reconcile_timestamp_seconds"][at] = sample.last_reconcile_ts
    state["app_reconcile_interval_seconds"][at] = sample.interval_s
    if sample.last_good_ts is not None:
        state["app_last_good_timestamp_seconds"][at] = sample.last_good_ts
    state["target_up"][at] = float(sample.up)
    state["records_pending"][at] = sample.records_pending
    gates = {gate for gate, _ in sample.gates}
    _add(state["reconciles"], at, {(result,): 0 for result in RESULTS} | {(sample.result,): 1})
    _add(state["deploys"], at, {(result,): 0 for result in DEPLOY_RESULTS} | _keyed(sample.deploys))
    _add(state["rollbacks"], at, dict.fromkeys(ROLLBACKS, 0) | dict(sample.rollbacks))
    _add(state["drift_detected"], at, {(vector,): 0 for vector in VECTORS} | _keyed(sample.drift))
    _add(
        state["gate_measurements"],
        at,
        {(gate, outcome): 0 for gate in gates for outcome in OUTCOMES} | dict(sample.gates),
    )
    _observe(state["reconcile_duration_seconds"], at, sample.reconcile_s)
    _observe(state["deploy_duration_seconds"], at, sample.deploy_s)
    _observe(state["rollback_duration_seconds"], at, sample.rollback_s)


def _one_hot(series: _Series, at: tuple[str, str], words: tuple[str, ...], word: str) -> None:
    if word and word not in words:
        raise ValueError(f"no such state: {word!r}; one of {', '.join(words)}")
    for each in words:
        series[*at, each] = float(each == word)


def _keyed(counts: Mapping[str, int]) -> dict[tuple[str, ...], int]:
    return {(word,): count for word, count in counts.items()}


def _add(series: _Series, at: tuple[str, str], counts: Mapping[Any, int]) -> None:
    for words, count in counts.items():
        key = (*at, *map(_word, words))
        series[key] = series.get(key, 0.0) + count


def _observe(series: _Series, at: tuple[str, str], seconds: float | None) -> None:
    """Counts a duration in; None only creates the series."""
    for limit in (*map(str, BUCKETS), "+Inf"):
        inside = seconds is not None and seconds <= float(limit)
        series[*at, limit] = series.get((*at, limit), 0.0) + inside
    series[*at, "sum"] = series.get((*at, "sum"), 0.0) + (seconds or 0.0)


def _word(text: str) -> str:
    if _WORD.fullmatch(text) is None:
        raise ValueError(f"not a label value: {text[:20]!r}; letters, digits and `_ . -`, at most 64")
    return text


def _read(path: Path) -> dict[str, _Series]:
    """What the file holds; nothing if it is not there or not ours (then it is replaced)."""
    from prometheus_client.parser import text_string_to_metric_families

    state: dict[str, _Series] = {name: {} for name in _KINDS}
    try:
        text = path.read_text(encoding="utf-8")
        families = list(text_string_to_metric_families(text)) if text.startswith(HEADER) else []
    except (FileNotFoundError, ValueError, KeyError, IndexError):
        return state
    for family in families:
        name = family.name.removeprefix(PREFIX)
        kind = _KINDS.get(name)
        if kind is None or kind.type != family.type:
            continue
        for sample in family.samples:
            key = tuple(sample.labels.get(label, "") for label in ("app", "target", *kind.labels))
            if kind.type != "histogram":
                state[name][key] = sample.value
            elif sample.name.endswith("_bucket"):
                state[name][*key, sample.labels.get("le", "")] = sample.value
            elif sample.name.endswith("_sum"):  # the count is the bucket without a limit
                state[name][*key, "sum"] = sample.value
    return state


def _replace(path: Path, content: bytes) -> None:
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    temporary = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.chmod(0o644)  # a collector of another user reads it; mkstemp makes it 0600
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
