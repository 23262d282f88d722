"""From series to the exposition formats: the one place where prometheus-client is given metrics."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from reconciler.telemetry.metrics.registry import LIMITS, PREFIX, Kind
from reconciler.telemetry.metrics.series import Book, Key

if TYPE_CHECKING:
    from prometheus_client.metrics_core import HistogramMetricFamily, Metric


class Collector:
    """Shows a book that nobody writes to any more."""

    def __init__(self, book: Book) -> None:
        self._book = book

    def collect(self) -> Iterator[Metric]:
        """Every metric of the book, also one that has no series yet."""
        from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily

        for name, kind in self._book.kinds.items():
            series = self._book.series[name]
            if kind.type == "histogram":
                yield _histogram(name, kind, series)
                continue
            family = CounterMetricFamily if kind.type == "counter" else GaugeMetricFamily
            metric = family(PREFIX + name, kind.help, labels=kind.labels)
            for key, value in sorted(series.items()):
                metric.add_metric(key, value)
            yield metric


def exposition(book: Book, accept: str = "") -> tuple[bytes, str]:
    """The body and its content type: OpenMetrics where the header `Accept` asks for it, else the text format."""
    from prometheus_client import CollectorRegistry
    from prometheus_client.exposition import choose_encoder

    registry = CollectorRegistry(auto_describe=False)
    registry.register(Collector(book))
    encode, content_type = choose_encoder(accept)
    return encode(registry), content_type


def _histogram(name: str, kind: Kind, series: dict[Key, float]) -> HistogramMetricFamily:
    from prometheus_client.metrics_core import HistogramMetricFamily

    histogram = HistogramMetricFamily(PREFIX + name, kind.help, labels=kind.labels)
    for each in sorted({key[:-1] for key in series}):
        buckets = [(limit, series.get((*each, limit), 0.0)) for limit in LIMITS]
        histogram.add_metric(each, buckets, series.get((*each, "sum"), 0.0))
    return histogram
