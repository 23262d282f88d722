"""All series as they stand: what counts into them, and what takes them away. Not thread-safe; its holders are."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from reconciler.telemetry.metrics.registry import LIMITS, Kind, one_of, word

Key = tuple[str, ...]
"""Label values, in the order of the kind's labels. A histogram's have one more at their end: a limit, or `sum`."""


class Book:
    """Metric → its series → their values."""

    def __init__(self, kinds: Mapping[str, Kind]) -> None:
        self.kinds = kinds
        self.series: dict[str, dict[Key, float]] = {name: {} for name in kinds}

    def copy(self) -> Book:
        """Another one with the same values."""
        twin = Book(self.kinds)
        twin.series = {name: dict(series) for name, series in self.series.items()}
        return twin

    def set(self, name: str, key: Sequence[str], value: float | None) -> None:
        """Sets a gauge; None takes its series away. Raises ValueError for a value that can't be a label."""
        words = tuple(map(word, key))
        if value is None:
            self.series[name].pop(words, None)
        else:
            self.series[name][words] = float(value)

    def one_hot(self, name: str, at: Key, words: tuple[str, ...], chosen: str) -> None:
        """1 for the word that is chosen, 0 for the others (for all where it is empty). Raises ValueError."""
        if chosen:
            one_of(chosen, words)
        for each in words:
            self.set(name, (*at, each), each == chosen)

    def add(self, name: str, at: Key, counts: Mapping[Key, int]) -> None:
        """Counts up; 0 only creates a series. Raises ValueError for what can't be a label."""
        for words, count in counts.items():
            key = tuple(map(word, (*at, *words)))
            self.series[name][key] = self.series[name].get(key, 0.0) + count

    def observe(self, name: str, at: Key, seconds: float | None) -> None:
        """Counts a duration in; None only creates the series."""
        series = self.series[name]
        for limit in LIMITS:
            inside = seconds is not None and seconds <= float(limit)
            series[*at, limit] = series.get((*at, limit), 0.0) + inside
        series[*at, "sum"] = series.get((*at, "sum"), 0.0) + (seconds or 0.0)

    def forget(self, gone: Iterable[Key]) -> None:
        """Takes away every series of these targets (app, target)."""
        lost = set(gone)
        for name, series in self.series.items():
            self.series[name] = {key: value for key, value in series.items() if key[:2] not in lost}
