"""The controller's side: records in git, JSON, metrics, exit codes, and hostile command lines."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.e2e.job import Job, new_job
from tests.world.images import GOOD, Images

pytestmark = pytest.mark.engine

NAMES = {
    "app_info",
    "app_sync_status",
    "app_health_status",
    "app_phase",
    "app_last_reconcile_timestamp_seconds",
    "app_reconcile_interval_seconds",
    "app_last_good_timestamp_seconds",
    "target_up",
    "reconciles",
    "deploys",
    "rollbacks",
    "drift_detected",
    "gate_measurements",
    "records_pending",
    "reconcile_duration_seconds",
    "deploy_duration_seconds",
    "rollback_duration_seconds",
}
"""Of DESIGN, "Metrics"; a counter's family has no `_total`."""


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory, images: Images) -> Iterator[Job]:
    """An app that was deployed once."""
    with new_job(tmp_path_factory.mktemp("desk"), images) as job:
        job.once()
        yield job


def metrics(path: Path) -> dict[str, dict[str, float]]:
    """Family to the values of its samples, by the one label beside app and target (where there is none, the target)."""
    found: dict[str, dict[str, float]] = {}
    for family in text_string_to_metric_families(path.read_text()):
        samples = found.setdefault(family.name.removeprefix("reconciler_"), {})
        for sample in family.samples:
            own = [value for name, value in sample.labels.items() if name not in {"app", "target"}]
            samples[own[0] if own else sample.labels["target"]] = sample.value
    return found


def test_records_are_committed_alone_and_a_dirty_tree_stays_as_it_was(job: Job) -> None:
    """Staged, changed, untracked, deleted: all of it is the person's, and none of it is in our commit."""
    job.repo.write("notes.md", "one\n")
    job.repo.write("gone.md", "one\n")
    job.repo.commit("Notes")
    job.repo.write("notes.md", "two\n")
    job.repo.git("add", "notes.md")
    job.repo.write("notes.md", "three\n")
    job.repo.write("untracked.md", "mine\n")
    job.repo.write("new.md", "staged\n")
    job.repo.git("add", "new.md")
    (job.repo.path / "gone.md").unlink()
    dirty, staged = job.repo.git("status", "--porcelain"), job.repo.git("diff", "--cached")
    hook = job.repo.write(".git/hooks/prepare-commit-msg", "#!/bin/sh\nexit 1\n")
    hook.chmod(0o755)

    job.once()
    assert job.repo.git("status", "--porcelain") == dirty
    assert job.repo.git("diff", "--cached") == staged
    (record,) = job.repo.records()
    assert job.repo.git("show", "--name-only", "--format=", "HEAD") == str(record.relative_to(job.repo.path))
    assert job.record(record)["commit"].endswith("-dirty")


def test_a_record_leaves_a_merge_in_progress_alone(job: Job) -> None:
    job.repo.git("switch", "-c", "other")
    job.repo.write("notes.md", "theirs\n")
    job.repo.commit("Theirs")
    job.repo.git("switch", "main")
    job.repo.write("notes.md", "ours\n")
    job.repo.commit("Ours")
    with pytest.raises(Exception, match="merge"):
        job.repo.git("merge", "other")
    head, index = job.repo.git("rev-parse", "HEAD"), job.repo.git("ls-files", "--stage")
    job.once()
    assert job.repo.git("rev-parse", "MERGE_HEAD")
    assert job.repo.git("ls-files", "--stage") == index
    assert job.repo.git("rev-parse", "HEAD") == head
    assert len(job.repo.records()) == 1


def test_without_git_everything_works_and_the_record_is_a_file(job: Job) -> None:
    shutil.rmtree(job.repo.path / ".git")
    job.once()
    assert job.project.version() == GOOD[0]
    assert [record["commit"] for record in job.records()] == [None]


def test_history_and_show_read_what_was_recorded(desk: Job) -> None:
    (record,) = desk.records()
    assert record["run"] in desk.run("history").stdout
    assert [entry["run"] for entry in desk.json("history")] == [record["run"]]
    assert desk.json("show", record["run"])["release"] == record["release"]
    assert "## Plan" in desk.run("show", record["run"]).stdout
    for wrong in ("nosuch", "../../deploy.yaml", "*", ""):
        assert desk.run("show", wrong, expect=64).stderr.count("\n") == 1


def test_replay_needs_the_record_alone_and_finds_a_forged_one(desk: Job) -> None:
    (path,) = desk.repo.records()
    run = desk.record(path)["run"]
    done = desk.repo.reconcile("replay", run, env={"PATH": "/nonexistent", "DOCKER_HOST": "unix:///nonexistent"})
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.endswith(f"{run}: agrees\n")
    assert "containers containers: " in done.stdout
    text = path.read_text()
    try:
        path.write_text(text.replace("  outcome: pass", "  outcome: breach"))
        assert desk.run("replay", run, expect=1).stdout.endswith(f"{run}: differs\n")
        found = desk.json("replay", run, expect=1)
        assert (found["agrees"], found["judgements"][0]["recomputed"]["verdict"]) == (False, "no_go")
    finally:
        path.write_text(text)
    assert desk.run("replay", "nosuch", expect=64).stderr.count("\n") == 1


@pytest.mark.parametrize(
    "command",
    ["validate", "plan", "status", "history", "--once", "--once --dry-run", "adopt", "retry", "suspend -m x", "resume"],
)
def test_json_is_json_on_every_command(desk: Job, command: str) -> None:
    done = desk.run(*command.split(), "--output", "json")
    assert json.loads(done.stdout)
    assert done.stderr == ""


def test_metrics_parse_and_have_the_promised_names_whatever_the_pass_came_to(desk: Job, tmp_path: Path) -> None:
    file = tmp_path / "reconciler.prom"
    desk.once("--metrics-file", str(file))
    first = metrics(file)
    assert first.keys() >= NAMES
    assert (first["reconciles"]["in_sync"], first["app_phase"]["stabilizing"], first["target_up"]["demo"]) == (1, 1, 1)

    desk.run("suspend", "-m", "x")
    desk.once("--metrics-file", str(file), expect=4)
    suspended = metrics(file)
    assert (suspended["app_phase"]["suspended"], suspended["reconciles"]["blocked"]) == (1, 1)
    desk.run("resume")

    desk.run("rollback", expect=4)  # there is nothing to go back to
    desk.repo.edit({"targets.demo.docker_host": "unix:///nowhere/docker.sock"})
    desk.once("--metrics-file", str(file), expect=6)
    desk.repo.edit({"targets.demo.docker_host": None})
    away = metrics(file)
    assert (away["app_sync_status"]["unknown"], away["app_health_status"]["unknown"]) == (1, 1)
    assert (away["target_up"]["demo"], away["reconciles"]["unreachable"]) == (0, 1)
    assert away["reconciles"]["in_sync"] == 1


def test_a_locked_target_is_unknown_in_the_metrics_and_not_down(desk: Job, tmp_path: Path) -> None:
    import fcntl

    file = tmp_path / "reconciler.prom"
    with (desk.dir / ".reconciler" / "lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        desk.once("--metrics-file", str(file), expect=5)
    locked = metrics(file)
    assert (locked["app_health_status"]["unknown"], locked["app_health_status"]["missing"]) == (1, 0)
    assert (locked["target_up"]["demo"], locked["reconciles"]["locked"]) == (1, 1)


@pytest.mark.parametrize(
    ("command", "code"),
    [
        ("--nosuch", 64),
        ("nosuch", 64),
        ("--once plan", 64),
        ("--dry-run", 64),
        ("suspend", 64),
        ("show", 64),
        ("replay", 64),
        ("--once --output yaml", 64),
        ("--once --target nosuch", 64),
        ("plan --target", 64),
        ("--once --metrics-file /nonexistent/dir/file", 64),
        ("--once --metrics-file /", 64),
        ("rollback --forget nosuch", 64),
        ("rollback --to ../../../etc", 64),
        ("--once -f /nonexistent/deploy.yaml", 1),
        ("--once -f /", 1),
        ("validate -f /dev/null", 1),
        ("validate -f /proc/self/mem", 1),
        ("history -f /etc/passwd", 1),
    ],
)
def test_a_hostile_command_line_is_answered_with_one_line(desk: Job, command: str, code: int) -> None:
    started = desk.started()
    done = desk.run(*command.split(), expect=code)
    assert (done.stdout, done.stderr.count("\n")) == ("", 1)
    assert done.stderr.startswith("reconcile: ")
    assert desk.started() == started


def test_help_is_help(desk: Job) -> None:
    assert "exit codes" in desk.run().stdout
    assert "exit codes" in desk.run("--help").stdout
    assert desk.run("--version").stdout.startswith("reconcile ")
