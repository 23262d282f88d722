"""What LiveMetrics exposes, scraped by a real Prometheus that has this project's rules."""

from __future__ import annotations

import dataclasses
import json
import time
from pathlib import Path

from reconciler.telemetry.live import LiveMetrics
from reconciler.telemetry.metrics.sample import PassSample, Remembered
from tests.world.prometheus import OURS, exposed, prometheus

DASHBOARD = Path(__file__).parents[2] / "ops" / "grafana" / "fleet.json"
VARIABLES = {"$app": ".*", "$target": ".*", "$__rate_interval": "1m", "$__range": "1h"}


def sample(**changes: object) -> PassSample:
    now = time.time()
    base = PassSample(
        app="shop", target="prod", sync="in_sync", health="healthy", result="converged", last_reconcile_ts=now,
        interval_s=300.0, up=True, reconcile_s=3.0, deploys={"verified": 1}, gates={("api", "pass"): 1}, deploy_s=2.0,
        remembered=Remembered(phase="stabilizing", since_ts=now, covered_s=0.0, period_s=60.0),
    )  # fmt: skip
    return dataclasses.replace(base, **changes)  # type: ignore[arg-type]


def test_a_prometheus_scrapes_and_judges(tmp_path: Path) -> None:
    """It takes our OpenMetrics, pages for what needs a person, forgets a target with us, and answers the dashboard."""
    live = LiveMetrics("1.2.3", started_at=time.time())
    live.expect_loop("source", every=60.0, at=time.time())
    live.expect("shop", {"prod": ["api"], "spare": []})
    accepted: set[str] = set()

    def answer(accept: str) -> tuple[bytes, str]:
        body, kind = live.exposition(accept)
        accepted.add(kind.partition(";")[0])
        return body, kind

    with (
        exposed(answer) as address,
        prometheus(tmp_path, targets=[address], job="reconciler", rule_files=OURS) as server,
    ):
        server.until('up{job="reconciler"}', lambda found: [value for _, value in found] == [1.0])
        assert accepted == {"application/openmetrics-text"}
        server.until("reconciler_deploys_total == 0", lambda found: len(found) == 8)
        assert server.vector('ALERTS{alertstate="firing"}') == []

        live.count(sample())
        live.count(
            sample(
                target="spare",
                result="revert_failed",
                health="degraded",
                deploys={"revert_failed": 1},
                rollbacks={("breach", "failed"): 1},
                remembered=Remembered(phase="failed", since_ts=time.time(), quarantined=1, desired_quarantined=True),
            )
        )
        server.until(
            'ALERTS{alertstate="firing"}',
            lambda found: (
                [(each["alertname"], each["target"]) for each, _ in found] == [("ReconcilerRevertFailed", "spare")]
            ),
        )
        alerts = [each for each in server.get("alerts")["alerts"] if each["state"] == "firing"]
        assert alerts[0]["annotations"]["summary"] == "shop on spare: going back failed, a person is needed"
        assert alerts[0]["annotations"]["runbook_url"] == "docs/runbooks/revert-failed.md"
        server.until("reconciler_deploys_total > 0", lambda found: len(found) == 2)

        live.expect("shop", {"prod": ["api"]})
        server.until('{target="spare", __name__!~"ALERTS.*"}', lambda found: found == [])
        assert len(server.vector('reconciler_app_sync_status{target="prod"} == 1')) == 1

        groups = server.get("rules")["groups"]
        assert [rule for group in groups for rule in group["rules"] if rule["health"] == "err"] == []
        dashboard = json.loads(DASHBOARD.read_text())
        for panel in dashboard["panels"]:
            for target in panel.get("targets", []):
                expression = target["expr"]
                for variable, value in VARIABLES.items():
                    expression = expression.replace(variable, value)
                server.vector(expression)  # refuses what isn't PromQL, or can't be matched one to one
