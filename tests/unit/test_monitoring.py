"""Rules, dashboard, documentation and runbooks say the same as the registry; promtool has the last word."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from reconciler.telemetry.live import LiveMetrics
from reconciler.telemetry.metrics.registry import DAEMON_KINDS, PREFIX, TARGET_KINDS, exposed
from reconciler.telemetry.metrics.sample import PassSample, Remembered
from reconciler.telemetry.metrics.textfile import KINDS, write_textfile

TOP = Path(__file__).parents[2]
PROMETHEUS = TOP / "ops" / "prometheus"
ALERT_FILES = ("reconciler.alerts.yml", "timer.alerts.yml")
RULE_FILES = ("reconciler.records.yml", *ALERT_FILES)
RULE_TESTS = sorted(path.name for path in (PROMETHEUS / "tests").glob("*.yml"))
DASHBOARD = TOP / "ops" / "grafana" / "fleet.json"
RUNBOOKS = TOP / "docs" / "runbooks"
NEEDED = {
    "DaemonDown", "LoopStalled", "GitUnknown", "OutOfSyncTooLong", "SyncUnknown", "Unhealthy", "RolledBack",
    "RevertFailed", "DriftFlapping", "GatesBlind", "TargetUnreachable", "RecordsNotDurable", "WatchdogLeaseOverdue",
}  # fmt: skip
"""What on-call needs at least."""

_RECORDED = re.compile(r"\bapp:reconciler_\w+:\w+")
_METRIC = re.compile(r"(?<![\w:])reconciler_[a-z0-9_]+")


def rules(*files: str) -> list[dict[str, Any]]:
    return [
        rule
        for file in files
        for group in yaml.safe_load((PROMETHEUS / file).read_text())["groups"]
        for rule in group["rules"]
    ]


ALERTS = rules(*ALERT_FILES)


def metrics_in(text: str) -> set[str]:
    return set(_METRIC.findall(_RECORDED.sub("", text)))


def recorded() -> set[str]:
    return {rule["record"] for rule in rules("reconciler.records.yml")}


def promtool(*arguments: str, stdin: bytes = b"") -> str:
    done = subprocess.run(["promtool", *arguments], input=stdin, capture_output=True, cwd=PROMETHEUS, check=False)
    said = (done.stdout + done.stderr).decode()
    assert done.returncode == 0, said
    return said


@pytest.mark.parametrize("file", RULE_FILES)
def test_rules_are_valid(file: str) -> None:
    """Prometheus would take them; none stands twice."""
    assert "SUCCESS" in promtool("check", "rules", "--lint=all", "--lint-fatal", file)


def test_the_scrape_configuration_is_valid() -> None:
    """And names files that are there."""
    assert "SUCCESS" in promtool("check", "config", "prometheus.yml")


@pytest.mark.parametrize("file", RULE_TESTS)
def test_rules_do_what_they_say(file: str) -> None:
    """promtool's own unit tests of the rules."""
    assert "SUCCESS" in promtool("test", "rules", f"tests/{file}")


def test_every_alert_is_seen_firing_and_not_firing() -> None:
    """In one and the same story; an alert that nothing tests would be true or false for ever."""
    fires, is_silent = set(), set()
    for file in RULE_TESTS:
        for story in yaml.safe_load((PROMETHEUS / "tests" / file).read_text())["tests"]:
            checks = [
                {name for sample in check["exp_samples"] for name in re.findall(r'alertname="(\w+)"', sample["labels"])}
                for check in story.get("promql_expr_test", [])
            ]
            seen = set().union(*checks)
            fires |= seen
            is_silent |= {name for name in seen if any(name not in check for check in checks)}
    names = {alert["alert"] for alert in ALERTS}
    assert fires == names
    assert is_silent == names


def test_alerts_are_complete() -> None:
    """Each names the app, the target or the daemon, says what is wrong, and where to read on."""
    names = [alert["alert"] for alert in ALERTS]
    assert len(set(names)) == len(names)
    assert {f"Reconciler{name}" for name in NEEDED} <= set(names)
    for alert in ALERTS:
        name, texts = alert["alert"], alert["annotations"]
        assert alert["labels"]["severity"] in {"page", "ticket"}, name
        about = (
            ("app", "target") if re.search(r"reconciler_(?!daemon|loop|git|notif)", alert["expr"]) else ("instance",)
        )
        for label in about:
            assert f"$labels.{label}" in texts["summary"], (name, label)
        assert len(texts["description"]) > 60, name


def test_each_alert_has_a_runbook_and_each_runbook_an_alert() -> None:
    """With the same name and severity, in the list, and with every part that on-call looks for."""
    pages = {path.name for path in RUNBOOKS.glob("*.md")} - {"README.md"}
    index = (RUNBOOKS / "README.md").read_text()
    linked = set()
    for alert in ALERTS:
        name, severity = alert["alert"], alert["labels"]["severity"]
        slug = re.sub(r"(?<=[a-z])(?=[A-Z])", "-", name.removeprefix("Reconciler")).lower()
        assert alert["annotations"]["runbook_url"] == f"{{{{ $externalLabels.runbooks }}}}docs/runbooks/{slug}.md"
        text = (RUNBOOKS / f"{slug}.md").read_text()
        assert text.startswith(f"# {name}\n\nSeverity: {severity}. ")
        for part in ("What it means", "What users see", "First commands", "How to end it"):
            assert f"\n## {part}\n" in text, (slug, part)
        assert f"| [{name}]({slug}.md) | {severity} |" in index
        linked.add(f"{slug}.md")
    assert pages == linked


def dashboard_expressions() -> Iterator[str]:
    dashboard = json.loads(DASHBOARD.read_text())
    for panel in dashboard["panels"]:
        yield from (target["expr"] for target in panel.get("targets", []))
    yield from (annotation["expr"] for annotation in dashboard["annotations"]["list"])
    yield from (variable["definition"] for variable in dashboard["templating"]["list"] if variable["type"] == "query")


def texts() -> Iterator[tuple[str, str]]:
    for file in RULE_FILES:
        yield file, (PROMETHEUS / file).read_text()
    for file in RULE_TESTS:
        yield file, (PROMETHEUS / "tests" / file).read_text()
    for path in (DASHBOARD, TOP / "docs" / "metrics.md", *RUNBOOKS.glob("*.md")):
        yield path.name, path.read_text()


@pytest.mark.parametrize(("name", "text"), [pytest.param(*each, id=each[0]) for each in texts()])
def test_only_metrics_that_there_are(name: str, text: str) -> None:
    """A rule over a metric that was renamed is silent for ever."""
    assert metrics_in(text) <= exposed(), name
    assert set(_RECORDED.findall(text)) <= recorded(), name


def test_labels_in_expressions_have_values_that_there_are() -> None:
    """`phase="rolled-back"` would match nothing, and nobody would know."""
    live = LiveMetrics("1", started_at=0.0)
    live.expect("shop", {"prod": ["api"]})
    born = live.exposition()[0].decode()
    for expression in [rule["expr"] for rule in rules(*RULE_FILES)] + list(dashboard_expressions()):
        for label, operator, value in re.findall(
            r'\b(status|phase|result|reason|outcome)(=~|!=|!~|=)"([^"]+)"', expression
        ):
            words = value.split("|") if "~" in operator else [value]
            for word in words:
                known = {*re.findall(rf'{label}="([^"]+)"', born), "ok", "failed"}
                assert word in known, expression


def test_every_metric_is_documented() -> None:
    """With its labels."""
    lines = [
        line for line in (TOP / "docs" / "metrics.md").read_text().splitlines() if line.startswith("| `reconciler_")
    ]
    for name, kind in {**TARGET_KINDS, **DAEMON_KINDS}.items():
        ending = {"counter": "_total", "histogram": "_bucket", "gauge": ""}[kind.type]
        line = next((line for line in lines if line.startswith(f"| `{PREFIX}{name}{ending}`")), None)
        assert line is not None, name
        for label in kind.labels:
            assert label in {"app", "target"} or f"`{label}`" in line, (name, label)
    for name in recorded():
        beginning, _, ending = name.rpartition(":")
        text = (TOP / "docs" / "metrics.md").read_text()
        assert name in text or (beginning in text and f"`:{ending}`" in text), name


def test_the_dashboard_is_tidy() -> None:
    """Unique panels that don't overlap, each with a title and a description, all on the chosen data source."""
    dashboard = json.loads(DASHBOARD.read_text())
    panels = dashboard["panels"]
    identifiers = [panel["id"] for panel in panels]
    assert len(set(identifiers)) == len(identifiers)
    taken: set[tuple[int, int]] = set()
    for panel in panels:
        at = panel["gridPos"]
        cells = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
        assert not cells & taken, panel["title"]
        assert at["x"] + at["w"] <= 24, panel["title"]
        taken |= cells
        if panel["type"] != "row":
            assert panel["title"]
            assert panel["description"], panel["title"]
            assert panel["datasource"]["uid"] == "${datasource}", panel["title"]
            references = [target["refId"] for target in panel["targets"]]
            assert len(set(references)) == len(references), panel["title"]
            assert {target["datasource"]["uid"] for target in panel["targets"]} == {"${datasource}"}
    assert [variable["name"] for variable in dashboard["templating"]["list"]] == ["datasource", "app", "target"]


FULL = PassSample(
    app="shop", target="prod", sync="in_sync", health="healthy", result="converged", last_reconcile_ts=1000.0,
    interval_s=300.0, up=True, reconcile_s=3.0, lease_deadline_ts=1090.0, deploy_s=2.0, rollback_s=1.0,
    remembered=Remembered(phase="stabilizing", since_ts=1.0, last_good_ts=2.0, covered_s=3.0, period_s=4.0),
    gates={("api", "pass"): 1},
)  # fmt: skip


def full_daemon() -> LiveMetrics:
    live = LiveMetrics("1.2.3", started_at=500.0)
    live.expect("shop", {"prod": ["api"]})
    live.expect_loop("git", every=60.0, at=500.0)
    live.expect_notifications(["webhook"])
    live.expect_webhooks(["github"], ["accepted"])
    live.git(True, 500.0)
    live.records_pending("shop", "prod", 1)
    live.count(FULL)
    return live


def test_promtool_finds_nothing_in_what_is_exposed(tmp_path: Path) -> None:
    """Neither in the daemon's answer nor in a textfile; and each of them has a series of every metric."""
    path = tmp_path / "r.prom"
    write_textfile(path, [FULL])
    live = full_daemon().exposition()[0]
    for body, kinds in ((live, {**TARGET_KINDS, **DAEMON_KINDS}), (path.read_bytes(), KINDS)):
        assert promtool("check", "metrics", stdin=body) == ""
        there = set(re.findall(r"^(reconciler_\w+)", body.decode(), flags=re.MULTILINE))
        for name, kind in kinds.items():
            ending = {"counter": "_total", "histogram": "_bucket", "gauge": ""}[kind.type]
            if not (kinds is KINDS and name == "records_pending"):
                assert f"{PREFIX}{name}{ending}" in there, name
