"""The daemon judged by, and judging through, a real Prometheus and a real Alertmanager: from a push to an alert."""

from __future__ import annotations

import re
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.e2e.daemon import await_value, daemon
from tests.e2e.job import Job
from tests.world.alertmanager import alertmanager
from tests.world.images import GOOD
from tests.world.network import free_port
from tests.world.prometheus import OURS, exporter, prometheus

pytestmark = pytest.mark.engine


def test_from_a_push_to_an_alert(job: Job, tmp_path: Path) -> None:
    """A release whose error rate rises while it stabilizes is reverted and quarantined; the alert is at Alertmanager,
    the record at the remote. While Prometheus is down the next one is held, nobody reverts it, and "gates blind" fires;
    when it is back, it goes on, and the release becomes stable."""
    first, second, third = (job.images.good(tag) for tag in GOOD)
    port = free_port()
    with ExitStack() as world:
        app = world.enter_context(exporter(**{_rate(tag): 0.01 for tag in GOOD}))
        manager = world.enter_context(alertmanager(tmp_path))
        # What judges the app goes down in this story; what watches the daemon doesn't.
        (tmp_path / "watching").mkdir()
        judging = world.enter_context(prometheus(tmp_path, targets=[app.address]))
        watching = world.enter_context(
            prometheus(
                tmp_path / "watching",
                targets=[f"127.0.0.1:{port}"],
                job="reconciler",
                rule_files=_hasty(tmp_path),
                alertmanager=manager.address,
            )
        )
        gate = {"name": "error-rate", "prometheus": judging.url, "query": _rate("$tag"), "max": 0.05}
        edits = {
            "gates.metrics": [{**gate, "initial_delay": "2s"}],
            "stabilization": {"period": "6s", "interval": "1s", "breach_limit": 0},
            "daemon.listen": f"127.0.0.1:{port}",
        }
        judging.await_query(_rate(first))
        running = world.enter_context(daemon(job, tmp_path, edits=edits, port=port))
        running.wait_for("stable now", seconds=90)

        mark = len(running.said)
        running.release(second)
        running.wait_for("verified", seconds=60, after=mark)
        app.set(**{_rate(second): 0.5})
        running.wait_for("quarantined", seconds=60, after=mark)
        await_value("what serves", job.project.version, first)
        await_value("the alert", lambda: "ReconcilerRolledBack" in manager.names(), True, seconds=60)
        await_value("the record", lambda: _kinds(running.remote_records()), ["deploy", "deploy", "rollback"])
        assert running.metric("reconciler_app_desired_quarantined") == 1.0

        mark = len(running.said)
        running.release(third)
        running.wait_for("verified", seconds=60, after=mark)
        judging.stop()
        running.wait_for("held while it can't be measured", seconds=60, after=mark)
        await_value("gates blind", lambda: "ReconcilerGatesBlind" in manager.names(), True, seconds=60)
        assert job.project.version() == third
        judging.start()
        running.wait_for("stable now", seconds=90, after=mark)
        await_value("gates blind", lambda: running.metric("reconciler_app_gates_blind"), 0.0)
        assert watching.vector("reconciler_rollbacks_total{reason='breach', result='verified'}")[0][1] == 1.0
        assert job.last_good_tag() == third
        running.end()
    assert _kinds(running.remote_records()) == ["deploy", "deploy", "deploy", "rollback"]


def _rate(tag: str) -> str:
    """The app's metric, as each release exports it."""
    return f'error_rate{{tag="{tag}"}}'


def _kinds(records: list[str]) -> list[str]:
    return sorted(name.partition("_")[0] for name in records)


def _hasty(tmp: Path) -> list[Path]:
    """Our own rules, but for how long something has to last: here a second is long."""
    made = []
    for rules in OURS:
        made.append(tmp / rules.name)
        made[-1].write_text(re.sub(r"(?m)^(\s+for:) \w+$", r"\1 1s", rules.read_text()))
    return made
