"""The textfile: valid, atomic, its counters go on, its labels stay few."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from reconciler.telemetry.metrics.registry import OUTCOMES, PHASES
from reconciler.telemetry.metrics.sample import PassSample, Remembered
from reconciler.telemetry.metrics.textfile import HEADER, write_textfile

KNOWN = Remembered(phase="stabilizing", since_ts=1_768_990_000.0, quarantined=2, covered_s=60.0, period_s=86_400.0)

SAMPLE = PassSample(
    app="observer",
    target="prod",
    sync="in_sync",
    health="healthy",
    result="converged",
    last_reconcile_ts=1_769_000_000.5,
    interval_s=300.0,
    up=True,
    remembered=KNOWN,
    reconcile_s=3.0,
    deploy_s=2.0,
    deploys={"verified": 1},
    rollbacks={("breach", "verified"): 1},
    drift={"env": 2},
    gates={("api", "pass"): 15, ("api", "breach"): 1},
)
AT = {"app": "observer", "target": "prod"}


def read(path: Path) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    """Every series of the file; a series that stands twice fails."""
    found: dict[tuple[str, frozenset[tuple[str, str]]], float] = {}
    for family in text_string_to_metric_families(path.read_text()):
        for sample in family.samples:
            key = (sample.name.removeprefix("reconciler_"), frozenset(sample.labels.items()))
            assert key not in found
            found[key] = sample.value
    return found


def value(path: Path, name: str, **labels: str) -> float | None:
    return read(path).get((name, frozenset((AT | labels).items())))


def test_what_a_pass_knows(tmp_path: Path) -> None:
    """Every metric that DESIGN names, with one-hot states and base units."""
    path = tmp_path / "r.prom"
    write_textfile(path, [SAMPLE])
    assert [value(path, "app_phase", phase=phase) for phase in PHASES] == [0, 1, 0, 0, 0, 0, 0]
    assert value(path, "app_sync_status", status="in_sync") == 1
    assert value(path, "app_health_status", status="unknown") == 0
    assert value(path, "app_last_reconcile_timestamp_seconds") == 1_769_000_000.5
    assert value(path, "app_last_good_timestamp_seconds") is None
    assert value(path, "app_reconcile_interval_seconds") == 300
    assert value(path, "target_up") == 1
    assert value(path, "records_pending") is None, "nobody looked"
    assert value(path, "app_quarantined") == 2
    assert value(path, "app_phase_since_timestamp_seconds") == 1_768_990_000
    assert value(path, "app_stabilization_covered_seconds") == 60
    assert value(path, "app_watchdog_lease_deadline_timestamp_seconds") is None
    assert value(path, "reconciles_total", result="converged") == 1
    assert value(path, "deploys_total", result="verified") == 1
    assert value(path, "rollbacks_total", reason="breach", result="verified") == 1
    assert value(path, "drift_detected_total", vector="env") == 2
    assert value(path, "gate_measurements_total", gate="api", outcome="pass") == 15
    assert value(path, "reconcile_duration_seconds_bucket", le="2.5") == 0
    assert value(path, "reconcile_duration_seconds_bucket", le="5.0") == 1
    assert value(path, "reconcile_duration_seconds_sum") == 3
    assert value(path, "deploy_duration_seconds_count") == 1


def test_label_sets_exist_before_their_first_use(tmp_path: Path) -> None:
    """`increase()` misses the first event of a series that begins with it."""
    path = tmp_path / "r.prom"
    write_textfile(path, [dataclasses.replace(SAMPLE, deploys={}, rollbacks={}, drift={}, deploy_s=None)])
    assert value(path, "rollbacks_total", reason="watchdog", result="failed") == 0
    assert value(path, "reconciles_total", result="unreachable") == 0
    assert value(path, "drift_detected_total", vector="link") == 0
    assert value(path, "rollback_duration_seconds_count") == 0
    assert {value(path, "gate_measurements_total", gate="api", outcome=outcome) for outcome in OUTCOMES} == {0, 1, 15}


def test_counters_go_on_and_states_are_replaced(tmp_path: Path) -> None:
    """Each run is a new process: the file is its memory."""
    path = tmp_path / "r.prom"
    write_textfile(path, [SAMPLE])
    stable = Remembered(phase="stable", last_good_ts=5.0)
    write_textfile(path, [dataclasses.replace(SAMPLE, remembered=stable, result="in_sync", deploys={})])
    assert value(path, "deploys_total", result="verified") == 1
    assert value(path, "drift_detected_total", vector="env") == 4
    assert value(path, "reconciles_total", result="converged") == 1
    assert value(path, "reconciles_total", result="in_sync") == 1
    assert value(path, "reconcile_duration_seconds_count") == 2
    assert value(path, "reconcile_duration_seconds_sum") == 6
    assert value(path, "app_phase", phase="stabilizing") == 0
    assert value(path, "app_phase", phase="stable") == 1
    assert value(path, "app_last_good_timestamp_seconds") == 5
    write_textfile(path, [SAMPLE])
    assert value(path, "app_last_good_timestamp_seconds") is None


def test_what_a_target_remembers_outlasts_a_pass_that_did_not_reach_it(tmp_path: Path) -> None:
    """A revert that failed doesn't stop to be an alert when the network goes, too; sync and health are unknown (P6)."""
    path = tmp_path / "r.prom"
    failed = Remembered(phase="failed", quarantined=1, desired_quarantined=True)
    lost = dataclasses.replace(SAMPLE, remembered=failed, lease_deadline_ts=99.0)
    away = dataclasses.replace(
        SAMPLE, remembered=None, sync="unknown", health="unknown", result="unreachable", up=False
    )
    write_textfile(path, [lost])
    write_textfile(path, [away])
    assert value(path, "app_phase", phase="failed") == 1
    assert value(path, "app_desired_quarantined") == 1
    assert value(path, "app_watchdog_lease_deadline_timestamp_seconds") == 99
    assert value(path, "app_sync_status", status="unknown") == 1
    assert value(path, "target_up") == 0
    write_textfile(path, [SAMPLE])
    assert value(path, "app_watchdog_lease_deadline_timestamp_seconds") is None, "a pass came there, and knows"


def test_targets_that_were_not_visited_stay(tmp_path: Path) -> None:
    """`--target a` must not make the series of b vanish."""
    path = tmp_path / "r.prom"
    write_textfile(path, [SAMPLE, dataclasses.replace(SAMPLE, target="spare", up=False)])
    write_textfile(path, [SAMPLE])
    assert value(path, "target_up", target="spare") == 0
    assert value(path, "reconciles_total", target="spare", result="converged") == 1
    assert value(path, "reconciles_total", result="converged") == 2


FOREIGN = """# TYPE reconciler_deploys_total counter
reconciler_deploys_total{app="observer",target="prod",result="verified"} 5
"""


@pytest.mark.parametrize("before", ["", FOREIGN, HEADER + "broken{ 1\n", HEADER + 'a{b="c"} x\n'])
def test_what_is_not_ours_is_not_counted_on(tmp_path: Path, before: str) -> None:
    """Another file, or a broken one, is replaced and starts at zero."""
    path = tmp_path / "r.prom"
    path.write_text(before)
    write_textfile(path, [SAMPLE])
    assert value(path, "deploys_total", result="verified") == 1


def test_a_failed_write_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Atomic: whole or not at all, and no temporary file stays."""
    path = tmp_path / "r.prom"
    write_textfile(path, [SAMPLE])
    before = path.read_bytes()

    def refuse(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", refuse)
    with pytest.raises(OSError, match="No space"):
        write_textfile(path, [SAMPLE])
    assert path.read_bytes() == before
    assert [each.name for each in tmp_path.iterdir()] == ["r.prom"]


@pytest.mark.parametrize(
    "wrong",
    [
        {"sync": "fine"},
        {"result": "swept"},
        {"remembered": Remembered(phase="fine")},
        {"drift": {"expected 1, found 2": 1}},
        {"gates": {("a" * 65, "pass"): 1}},
        {"target": "a\nb"},
    ],
)
def test_no_message_becomes_a_label(tmp_path: Path, wrong: dict[str, object]) -> None:
    """A label from a message would make a new series each time."""
    with pytest.raises(ValueError, match=r"no such state|not a label value"):
        write_textfile(tmp_path / "r.prom", [dataclasses.replace(SAMPLE, **wrong)])  # type: ignore[arg-type]
    assert not (tmp_path / "r.prom").exists()


def test_the_library_is_loaded_only_when_asked_for() -> None:
    """It costs 80 ms, which a pass without --metrics-file doesn't pay."""
    code = (
        "import sys, reconciler.telemetry.live, reconciler.telemetry.metrics.textfile as t; import reconciler.cli.main"
    )
    code += "; print(bool(t) and 'prometheus_client' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
