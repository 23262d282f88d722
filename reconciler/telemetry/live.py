"""The metrics of the daemon: they live in memory as long as it does, and are read at each scrape."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping

from reconciler.telemetry.metrics.collector import exposition
from reconciler.telemetry.metrics.counting import count, give_birth
from reconciler.telemetry.metrics.registry import (
    DAEMON_KINDS,
    HEALTH,
    NOTIFIED,
    PHASES,
    SYNC,
    TARGET_KINDS,
    VECTORS,
    one_of,
    word,
)
from reconciler.telemetry.metrics.sample import PassSample
from reconciler.telemetry.metrics.series import Book

UNKNOWN = "unknown"


class LiveMetrics:
    """Thread-safe. Times are Unix seconds. Every method raises ValueError for a value that can't be a label.

    Of a target that isn't expected (any more) nothing is kept: a pass that outlives its target brings no series back.
    """

    def __init__(self, version: str, *, started_at: float) -> None:
        self._lock = threading.Lock()
        self._targets = Book(TARGET_KINDS)
        self._daemon = Book(DAEMON_KINDS)
        self._expected: set[tuple[str, str]] = set()
        self._daemon.set("daemon_info", (version,), 1)
        self._daemon.set("daemon_start_timestamp_seconds", (), started_at)

    def expect(self, app: str, targets: Mapping[str, Iterable[str]]) -> None:
        """From now on `app` is on these targets (name → names of its gates), and on no other.

        New targets are born at 0 and `unknown`; the series of those no longer named are gone.
        """
        named = {(word(app), word(target)) for target in targets}
        with self._lock:
            known = {at for at in self._expected if at[0] == app}
            self._targets.forget(known - named)
            self._expected = (self._expected - known) | named
            for target, gates in targets.items():
                give_birth(self._targets, app, target, gates)
                if (app, target) not in known:
                    self._begin(app, target)

    def expect_loop(self, loop: str, *, every: float, at: float) -> None:
        """A loop of the scheduler is started, with a round due every so many seconds: one that hangs in its first
        round is stalled, too."""
        with self._lock:
            self._daemon.set("loop_interval_seconds", (loop,), every)
            self._daemon.set("loop_last_run_timestamp_seconds", (loop,), at)

    def expect_notifications(self, kinds: Iterable[str]) -> None:
        """The kinds of notifications that there will be."""
        with self._lock:
            self._daemon.add("notifications", (), {(kind, result): 0 for kind in kinds for result in NOTIFIED})

    def expect_webhooks(self, forges: Iterable[str], results: Iterable[str]) -> None:
        """The forges whose webhooks are accepted, and how receiving one can end: words of ours, never of a request."""
        outcomes = tuple(results)
        with self._lock:
            self._daemon.add("webhooks", (), {(forge, result): 0 for forge in forges for result in outcomes})

    def count(self, sample: PassSample) -> None:
        """One pass over one target ended."""
        with self._lock:
            if (sample.app, sample.target) in self._expected:
                count(self._targets, sample)

    def seen(self, app: str, target: str, *, sync: str | None = None, health: str | None = None) -> None:
        """Somebody looked, outside of a pass; what is None stays as it was."""
        with self._lock:
            if (app, target) in self._expected:
                self._stand(app, target, sync=sync, health=health)

    def target_up(self, app: str, target: str, up: bool) -> None:
        """The connection came or went. Without it nothing is known of the target (P6); what it remembers stays."""
        with self._lock:
            if (app, target) not in self._expected:
                return
            self._targets.set("target_up", (app, target), up)
            if not up:
                self._targets.set("event_stream_up", (app, target), 0)
                self._stand(app, target, sync=UNKNOWN, health=UNKNOWN)

    def stream_up(self, app: str, target: str, up: bool) -> None:
        """The engine's event stream came or went."""
        with self._lock:
            if (app, target) in self._expected:
                self._targets.set("event_stream_up", (app, target), up)

    def drift_seen(self, app: str, target: str, vector: str) -> None:
        """One difference was seen outside of a pass; what a pass finds is in its sample."""
        one_of(vector, VECTORS)
        with self._lock:
            if (app, target) in self._expected:
                self._targets.add("drift_detected", (app, target), {(vector,): 1})

    def records_pending(self, app: str, target: str, count: int) -> None:
        """So many run records aren't known to be on a remote."""
        with self._lock:
            if (app, target) in self._expected:
                self._targets.set("records_pending", (app, target), count)

    def beat(self, loop: str, at: float) -> None:
        """A loop of the scheduler ended a round."""
        with self._lock:
            self._daemon.set("loop_last_run_timestamp_seconds", (loop,), at)

    def git(self, ok: bool, at: float) -> None:
        """The desired state was fetched, or couldn't be."""
        with self._lock:
            self._daemon.set("git_up", (), ok)
            if ok:
                self._daemon.set("git_last_success_timestamp_seconds", (), at)

    def notified(self, kind: str, ok: bool) -> None:
        """A notification went out, or couldn't."""
        with self._lock:
            self._daemon.add("notifications", (), {(kind, NOTIFIED[0] if ok else NOTIFIED[1]): 1})

    def webhook(self, forge: str, result: str) -> None:
        """A webhook was received."""
        with self._lock:
            self._daemon.add("webhooks", (), {(forge, result): 1})

    def exposition(self, accept: str = "") -> tuple[bytes, str]:
        """The body and the content type of an answer to a scrape, by its header `Accept`."""
        with self._lock:
            both = Book({**TARGET_KINDS, **DAEMON_KINDS})
            both.series = {**self._targets.copy().series, **self._daemon.copy().series}
        return exposition(both, accept)

    def _begin(self, app: str, target: str) -> None:
        at = (app, target)
        self._stand(app, target, sync=UNKNOWN, health=UNKNOWN)
        self._targets.one_hot("app_phase", at, PHASES, "")
        for name in ("target_up", "event_stream_up"):
            self._targets.set(name, at, 0)

    def _stand(self, app: str, target: str, *, sync: str | None, health: str | None) -> None:
        if sync is not None:
            self._targets.one_hot("app_sync_status", (app, target), SYNC, sync)
        if health is not None:
            self._targets.one_hot("app_health_status", (app, target), HEALTH, health)
