"""The daemon's metrics: born before their first use, gone with their target, whole at every scrape."""

from __future__ import annotations

import dataclasses
import re
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics_families
from prometheus_client.parser import text_string_to_metric_families

from reconciler.telemetry.live import LiveMetrics
from reconciler.telemetry.metrics.registry import DEPLOY_RESULTS, HEALS, RESULTS, ROLLBACKS, SYNC, VECTORS
from reconciler.telemetry.metrics.sample import PassSample, Remembered

SAMPLE = PassSample(
    app="observer",
    target="prod",
    sync="in_sync",
    health="healthy",
    result="converged",
    last_reconcile_ts=1000.0,
    interval_s=300.0,
    up=True,
    reconcile_s=3.0,
    remembered=Remembered(phase="stabilizing", since_ts=900.0),
    deploys={"verified": 1},
    gates={("api", "pass"): 3},
)


def made() -> LiveMetrics:
    live = LiveMetrics("1.2.3", started_at=500.0)
    live.expect("observer", {"prod": ["containers", "api"], "spare": ["containers"]})
    return live


def value(live: LiveMetrics, name: str, **labels: str) -> float | None:
    found = [
        sample.value
        for family in text_string_to_metric_families(live.exposition()[0].decode())
        for sample in family.samples
        if sample.name == f"reconciler_{name}" and sample.labels == labels
    ]
    assert len(found) <= 1
    return found[0] if found else None


@pytest.fixture
def often_switched() -> Iterator[None]:
    """Threads take turns so often that what has no lock shows it."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    yield
    sys.setswitchinterval(before)


def at(target: str = "prod", **labels: str) -> dict[str, str]:
    return {"app": "observer", "target": target, **labels}


def test_series_are_born_at_zero_and_unknown() -> None:
    """Before the first pass nothing is known, and every counter is there."""
    live = made()
    for result in RESULTS:
        assert value(live, "reconciles_total", **at(result=result)) == 0
    for reason, result in ROLLBACKS:
        assert value(live, "rollbacks_total", **at(reason=reason, result=result)) == 0
    for name, label, words in (
        ("deploys", "result", DEPLOY_RESULTS),
        ("heals", "result", HEALS),
        ("drift_detected", "vector", VECTORS),
    ):
        assert [value(live, f"{name}_total", **at(**{label: word})) for word in words] == [0] * len(words)
    assert value(live, "gate_measurements_total", **at(gate="api", outcome="no_data")) == 0
    assert value(live, "deploy_duration_seconds_count", **at()) == 0
    assert value(live, "app_sync_status", **at(status="unknown")) == 1
    assert value(live, "app_sync_status", **at(status="in_sync")) == 0
    assert value(live, "app_health_status", **at(status="unknown")) == 1
    assert value(live, "app_phase", **at(phase="stable")) == 0
    assert value(live, "target_up", **at()) == 0
    assert value(live, "event_stream_up", **at()) == 0
    assert value(live, "app_last_reconcile_timestamp_seconds", **at()) is None
    assert value(live, "records_pending", **at()) is None
    assert value(live, "git_up") is None
    assert value(live, "daemon_info", version="1.2.3") == 1
    assert value(live, "daemon_start_timestamp_seconds") == 500


def test_a_pass_counts_and_a_lost_connection_makes_unknown_what_was_seen() -> None:
    """P6: what can't be observed isn't healthy. What the target remembers stays."""
    live = made()
    live.count(SAMPLE)
    live.count(SAMPLE)
    live.stream_up("observer", "prod", True)
    assert value(live, "deploys_total", **at(result="verified")) == 2
    assert value(live, "app_sync_status", **at(status="in_sync")) == 1
    assert value(live, "target_up", **at()) == 1
    live.target_up("observer", "prod", False)
    assert value(live, "app_sync_status", **at(status="in_sync")) == 0
    assert value(live, "app_sync_status", **at(status="unknown")) == 1
    assert value(live, "app_health_status", **at(status="healthy")) == 0
    assert value(live, "app_health_status", **at(status="unknown")) == 1
    assert value(live, "target_up", **at()) == 0
    assert value(live, "event_stream_up", **at()) == 0
    assert value(live, "app_phase", **at(phase="stabilizing")) == 1
    live.seen("observer", "prod", sync="out_of_sync", health="degraded")
    assert value(live, "app_health_status", **at(status="degraded")) == 1
    live.seen("observer", "prod", sync="unknown")
    assert value(live, "app_sync_status", **at(status="unknown")) == 1
    assert value(live, "app_health_status", **at(status="degraded")) == 1


def test_a_removed_target_takes_its_series_along() -> None:
    """Also when a pass over it ends afterwards; the others, and another app, stay as they are."""
    live = made()
    live.expect("other", {"prod": []})
    live.count(SAMPLE)
    live.count(dataclasses.replace(SAMPLE, target="spare"))
    live.records_pending("observer", "spare", 2)
    live.expect("observer", {"prod": ["containers", "api"]})
    live.count(dataclasses.replace(SAMPLE, target="spare"))
    live.target_up("observer", "spare", False)
    live.stream_up("observer", "spare", True)
    live.drift_seen("observer", "spare", "env")
    live.records_pending("observer", "spare", 1)
    live.seen("observer", "spare", sync="unknown", health="unknown")
    assert 'target="spare"' not in live.exposition()[0].decode()
    assert value(live, "deploys_total", **at(result="verified")) == 1
    assert value(live, "app_sync_status", **at(status="in_sync")) == 1, "still expected: not born anew"
    live.expect("observer", {})
    body = live.exposition()[0].decode()
    assert 'app="observer"' not in body
    assert 'app="other"' in body


def test_what_the_daemon_says_of_itself() -> None:
    """Loops, git, notifications, webhooks."""
    live = made()
    live.expect_loop("git", every=60.0, at=500.0)
    live.expect_notifications(["webhook"])
    live.expect_webhooks(["github"], ["accepted", "refused"])
    assert value(live, "loop_last_run_timestamp_seconds", loop="git") == 500
    assert value(live, "loop_interval_seconds", loop="git") == 60
    assert value(live, "notifications_total", kind="webhook", result="failed") == 0
    assert value(live, "webhooks_total", forge="github", result="refused") == 0
    live.beat("git", 560.0)
    live.git(True, 560.0)
    live.git(False, 620.0)
    live.notified("webhook", False)
    live.webhook("github", "accepted")
    live.drift_seen("observer", "prod", "env")
    live.records_pending("observer", "prod", 3)
    assert value(live, "loop_last_run_timestamp_seconds", loop="git") == 560
    assert value(live, "git_up") == 0
    assert value(live, "git_last_success_timestamp_seconds") == 560
    assert value(live, "notifications_total", kind="webhook", result="failed") == 1
    assert value(live, "webhooks_total", forge="github", result="accepted") == 1
    assert value(live, "drift_detected_total", **at(vector="env")) == 1
    assert value(live, "records_pending", **at()) == 3


def test_no_message_becomes_a_label() -> None:
    """What comes from outside can't make a series each time."""
    live = made()
    attempts: list[Callable[[], None]] = [
        lambda: live.webhook("a b", "accepted"),
        lambda: live.notified("x" * 65, True),
        lambda: live.drift_seen("observer", "prod", "cosmic rays"),
        lambda: live.expect("observer", {"pr\nod": []}),
        lambda: live.seen("observer", "prod", sync="fine", health="healthy"),
    ]
    for attempt in attempts:
        with pytest.raises(ValueError, match=r"no such state|not a label value"):
            attempt()


def test_openmetrics_where_it_is_accepted() -> None:
    """Prometheus asks for OpenMetrics first; curl gets the text format."""
    live = made()
    live.count(SAMPLE)
    body, kind = live.exposition("application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5")
    assert kind.startswith("application/openmetrics-text; version=1.0.0")
    families = {family.name: family for family in openmetrics_families(body.decode())}  # type: ignore[no-untyped-call]
    assert families["reconciler_deploys"].type == "counter"
    assert live.exposition()[1].startswith("text/plain; version=0.0.4")


def test_counting_while_it_is_scraped_loses_nothing(often_switched: None) -> None:
    """Workers of several targets count, targets come and go, and every scrape is whole."""
    live = made()
    rounds, workers, stop = 1000, 4, threading.Event()
    hot = re.compile(rb'^reconciler_app_sync_status\{app="observer",.*target="prod"\} (\S+)$', re.MULTILINE)

    def scrape() -> int:
        scrapes = 0
        while not stop.is_set():
            assert sum(float(each) for each in hot.findall(live.exposition()[0])) == 1, "exactly one status holds"
            scrapes += 1
        return scrapes

    def count() -> None:
        for number in range(rounds):
            live.drift_seen("observer", "prod", "env")
            live.seen("observer", "prod", sync=SYNC[number % 3])
            if number % 100 == 0:
                live.count(SAMPLE)
                live.expect("other", {f"t{number}": []})

    with ThreadPoolExecutor() as pool:
        scraping = pool.submit(scrape)
        counting = [pool.submit(count) for _ in range(workers)]
        for each in counting:
            each.result()
        stop.set()
        assert scraping.result() > 0
    assert value(live, "drift_detected_total", **at(vector="env")) == workers * rounds
    assert value(live, "reconciles_total", **at(result="converged")) == workers * rounds / 100
