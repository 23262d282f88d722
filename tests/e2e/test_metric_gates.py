"""Metric gates over a real Prometheus: a breach while stabilizing reverts, a Prometheus that is down holds (P4)."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.e2e.job import Job, await_true
from tests.world.images import GOOD
from tests.world.prometheus import exporter, prometheus
from tests.world.world import Completed

pytestmark = pytest.mark.engine

FRESH = "min(time() - timestamp(error_rate)) < 1"


def of(tag: str) -> str:
    """The app's metric, as each release exports it."""
    return f'error_rate{{tag="{tag}"}}'


def once_until(job: Job, code: int) -> Completed:
    """Passes until one ends with `code`; those before it are in sync."""
    for _ in range(40):
        done = job.once(expect=None)
        if done.returncode == code:
            return done
        assert done.returncode == 0, done.stdout
    raise AssertionError(f"no pass ended with {code}")


@pytest.mark.exhaustive
def test_a_prometheus_that_is_down_only_holds_and_a_breach_reverts(job: Job, tmp_path: Path) -> None:
    with exporter(**{of(tag): 0.01 for tag in GOOD}) as app, prometheus(tmp_path, targets=[app.address]) as server:
        metric = {"name": "error-rate", "prometheus": server.url, "query": of("$tag"), "max": 0.05}
        # Prometheus scrapes once in as long as the window is: it may be over before the gate is due.
        job.repo.edit(
            {
                "gates.metrics": [{**metric, "initial_delay": "2s"}],
                "stabilization": {"period": "1s", "interval": "1s", "breach_limit": 0},
            }
        )
        server.await_query(of(GOOD[0]))
        job.deploy(GOOD[0])
        first = job.link("current")
        server.stop()
        done = once_until(job, 8)
        assert "held while it can't be measured: error-rate" in done.stdout
        assert "connection refused" in done.stdout
        assert (job.link("current"), job.project.version()) == (first, GOOD[0])
        assert [each["kind"] for each in job.records()] == ["deploy"]
        server.start()
        server.await_query(FRESH)
        await_true("it goes on and is stable", lambda: "stable now" in job.once().stdout, seconds=40)

        job.deploy(job.images.good(GOOD[1]))
        second = job.link("current")
        app.set(**{of(GOOD[1]): 0.5})
        server.await_query(f"{of(GOOD[1])} > 0.1")
        once_until(job, 3)
        assert (job.link("current"), job.project.version()) == (first, GOOD[0])
        record = job.records()[-1]
        assert (record["kind"], record["quarantined"]) == ("rollback", second)
        assert "error-rate: 0.5, above 0.05" in record["reason"]
        asked = {measured["query"] for measured in record["measurements"] if measured["gate"] == "error-rate"}
        assert of(GOOD[1]) in asked
        replayed, way_back = job.json("replay", record["run"])["judgements"]
        assert (replayed["of"], replayed["recomputed"]["verdict"]) == ("round", "no_go")
        assert way_back["recomputed"]["verdict"] == "go"
