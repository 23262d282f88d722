"""What `--metrics-file` says of the passes of one run: nothing can scrape a process that has ended."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

from reconciler.cycle.result import PassResult
from reconciler.model.deploy import Deploy
from reconciler.telemetry.metrics.textfile import write_textfile
from reconciler.telemetry.passes import sample_of


def write_metrics(file: Path, deploy: Deploy, results: Sequence[PassResult], *, by_hand: bool) -> None:
    """Adds this run to the textfile, atomically; `by_hand` as in `sample_of`. Raises OSError."""
    now = time.time()
    write_textfile(file, [sample_of(deploy, result, at=now, by_hand=by_hand) for result in results])
