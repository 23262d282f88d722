"""What happens to a daemon and to its repository: no target is harmed, nothing deployed twice, no record lost."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.e2e.daemon import await_value, daemon, started
from tests.e2e.job import Job
from tests.world.images import GOOD

pytestmark = pytest.mark.engine


def test_a_daemon_that_is_killed_in_the_middle_goes_on_where_it_was(job: Job, tmp_path: Path) -> None:
    """SIGKILL while it verifies what it switched to. The next one makes no container anew, and every pass is told."""
    second = job.images.good(GOOD[1])
    with daemon(job, tmp_path, edits={"gates.window": "4s"}) as first:
        first.wait_for("verified", seconds=60)
        first.release(second)
        await_value("what serves", job.project.version, second)
        first.process.kill()
        first.process.wait()
        containers = job.started()
    with started(job, first.remote, first.state, first.port) as again:
        again.wait_for("verified", seconds=60)
        await_value("what the remote has", lambda: len(again.remote_records()) >= 2, True)
        again.end()
    assert job.project.version() == second
    assert job.started() == containers
    runs = [name.partition("_")[2] for name in again.remote_records()]
    assert len(runs) == len(set(runs))
    assert set(_runs_on(job)) == set(runs), "what the target knows of is at the remote"


def test_sigterm_lets_the_pass_end_and_pushes_its_record(job: Job, tmp_path: Path) -> None:
    second = job.images.good(GOOD[1])
    with daemon(job, tmp_path, edits={"gates.window": "3s", "records.push_every": "1h"}) as running:
        running.wait_for("verified", seconds=60)
        running.release(second)
        await_value("what serves", job.project.version, second)
        running.end()
        assert any("verified" in line and second in line for line in running.said)
    assert job.project.version() == second
    assert job.state()["open"] is None
    assert set(_runs_on(job)) == {name.partition("_")[2] for name in running.remote_records()}


def test_a_remote_that_lies_or_is_gone_changes_nothing_and_loses_nothing(job: Job, tmp_path: Path) -> None:
    """Rewritten: the target stays, and the sync status becomes unknown. Gone: what a person breaks is healed all the
    same, and its record is there once the remote is back."""
    with daemon(job, tmp_path) as running:
        running.wait_for("verified", seconds=60)
        await_value("sync", lambda: running.metric("reconciler_app_sync_status", status="in_sync"), 1.0)
        await_value("records", lambda: len(running.remote_records()), 1)
        before, honest = job.started(), job.repo.git("rev-parse", "HEAD")

        job.repo.git("checkout", "--quiet", "--orphan", "forged")
        job.repo.set(tag=job.images.good(GOOD[2]))
        job.repo.commit("Forged")
        true_head = _git(running.remote, "rev-parse", "main")
        job.repo.git("push", "--quiet", "--force", "origin", "HEAD:main")
        running.wait_for("was rewritten")
        await_value("git", lambda: running.metric("reconciler_git_up"), 0.0)
        await_value("sync", lambda: running.metric("reconciler_app_sync_status", status="unknown"), 1.0)
        assert job.started() == before
        _git(running.remote, "update-ref", "refs/heads/main", true_head)
        job.repo.git("checkout", "--quiet", "--force", "-B", "main", honest)
        await_value("git", lambda: running.metric("reconciler_git_up"), 1.0)
        await_value("sync", lambda: running.metric("reconciler_app_sync_status", status="in_sync"), 1.0)

        away = running.remote.rename(tmp_path / "away.git")
        await_value("git", lambda: running.metric("reconciler_git_up"), 0.0)
        job.service("web").remove(force=True)
        await_value("what serves", job.project.version, job.images.good())
        await_value("waiting records", lambda: running.metric("reconciler_records_pending"), 1.0)
        away.rename(running.remote)
        await_value("waiting records", lambda: running.metric("reconciler_records_pending"), 0.0)
        assert sorted(name.partition("_")[0] for name in running.remote_records()) == ["deploy", "heal"]
        running.end()


def test_a_new_clone_and_a_lost_one_deploy_nothing_again(job: Job, tmp_path: Path) -> None:
    """The daemon's whole state is gone, as on a new machine: it finds everything as it should be."""
    with daemon(job, tmp_path) as first:
        first.wait_for("verified", seconds=60)
        await_value("records", lambda: len(first.remote_records()), 1)
        first.end()
    before, records = job.started(), first.remote_records()
    shutil.rmtree(first.state)
    with started(job, first.remote, first.state, first.port) as again:
        await_value("sync", lambda: again.metric("reconciler_app_sync_status", status="in_sync"), 1.0)
        again.end()
    assert job.started() == before
    assert again.remote_records() == records


def _runs_on(job: Job) -> list[str]:
    """The runs whose records the target keeps."""
    return [path.stem for path in (job.dir / ".reconciler" / "records").iterdir()]


def _git(cwd: Path, *arguments: str) -> str:
    return subprocess.run(["git", *arguments], cwd=cwd, capture_output=True, text=True, check=True).stdout.strip()
