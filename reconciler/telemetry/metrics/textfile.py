"""Metrics of a pass as a Prometheus textfile, for a process that ends before anything could scrape it.

A one-shot process begins its counters at zero each time; so they go on from what the file holds, if it is ours. The
same holds for the series of targets that this pass did not visit. One file has one writer at a time.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Final

from reconciler.durable import replace_file
from reconciler.telemetry.metrics.collector import exposition
from reconciler.telemetry.metrics.counting import count
from reconciler.telemetry.metrics.registry import ONLY_LIVE, PREFIX, TARGET_KINDS
from reconciler.telemetry.metrics.sample import PassSample
from reconciler.telemetry.metrics.series import Book

HEADER: Final = "# written by reconcile --once --metrics-file; counters go on from this file\n"
KINDS: Final = {name: kind for name, kind in TARGET_KINDS.items() if name not in ONLY_LIVE}


def write_textfile(path: Path, samples: Iterable[PassSample]) -> None:
    """Replaces the textfile at `path` atomically by one that counts `samples` in.

    Raises OSError when it can't be written (the old file stays), ValueError for a word that can't be a label.
    """
    book = _read(path)
    for sample in samples:
        count(book, sample)
    body, _ = exposition(book)
    # A collector of another user reads it.
    replace_file(path, HEADER.encode() + body, mode=0o644)


def _read(path: Path) -> Book:
    """What the file holds; nothing if it is not there or not ours (then it is replaced)."""
    from prometheus_client.parser import text_string_to_metric_families

    book = Book(KINDS)
    try:
        text = path.read_text(encoding="utf-8")
        families = list(text_string_to_metric_families(text)) if text.startswith(HEADER) else []
    except (FileNotFoundError, ValueError, KeyError, IndexError):
        return book
    for family in families:
        name = family.name.removeprefix(PREFIX)
        kind = KINDS.get(name)
        if kind is None or kind.type != family.type:
            continue
        series = book.series[name]
        for sample in family.samples:
            key = tuple(sample.labels.get(label, "") for label in kind.labels)
            if kind.type != "histogram":
                series[key] = sample.value
            elif sample.name.endswith("_bucket"):
                series[*key, sample.labels.get("le", "")] = sample.value
            elif sample.name.endswith("_sum"):  # the count is the bucket without a limit
                series[*key, "sum"] = sample.value
    return book
