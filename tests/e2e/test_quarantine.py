"""No loops (P5): what was bad once isn't tried again, until a person says so or another release comes."""

from __future__ import annotations

import pytest

from ops.demo.images import Fault
from tests.e2e.job import Job
from tests.world.images import GOOD

pytestmark = pytest.mark.engine
COMPOSE = "desired_state/observer/compose.yaml"


def comment(job: Job, path: str) -> None:
    """A commit that changes nothing but a comment."""
    job.repo.write(path, (job.repo.path / path).read_text() + "\n# somebody thought about this\n")
    job.repo.commit(f"Think about {path}")


def test_a_quarantine_holds_until_retry_or_another_release(job: Job) -> None:
    job.once()
    tag = job.images.bad(Fault.CRASH)
    job.deploy(tag, expect=3)
    started, records, files = job.started(), job.records(), job.files()

    for change in (None, None, None, "deploy.yaml", COMPOSE):
        if change:
            comment(job, change)
        done = job.once(expect=4)
        assert "exited with code 3" in done.stdout
        assert "reconcile retry" in done.stdout
    assert job.started() == started
    assert job.records() == records
    assert job.files() == files
    assert job.run("plan", expect=4).stdout
    status = job.json("status", expect=2)["targets"][0]
    assert (status["sync"], status["health"]) == ("out_of_sync", "healthy")

    job.run("retry")
    job.once(expect=3)
    assert job.project.version() == GOOD[0]
    assert [record["kind"] for record in job.records()] == ["deploy", "rollback", "rollback"]
    job.once(expect=4)

    job.deploy(job.images.good(GOOD[1]))
    assert job.project.version() == GOOD[1]
    assert [name for name in job.state()["quarantine"] if name.startswith(tag)]


def test_what_drifts_while_the_desired_release_is_quarantined_is_put_back_once(job: Job) -> None:
    """The pass heals what serves, and still says that it is blocked."""
    job.once()
    job.deploy(job.images.bad(Fault.CRASH), expect=3)
    job.service("web").stop(timeout=1)
    assert "quarantined" in job.once(expect=4).stdout
    assert job.project.version() == GOOD[0]
    assert [record["kind"] for record in job.records()] == ["deploy", "rollback", "heal"]
    started = job.started()
    job.once(expect=4)
    assert job.started() == started


@pytest.mark.exhaustive
def test_a_gate_that_is_wrong_fails_both_ways_and_a_retry_ends_it(job: Job) -> None:
    """The app is fine and its gate is not: the revert fails, too (exit 7). Corrected and retried, it is proved anew."""
    job.once()
    right = job.repo.deploy_file.read_text()
    job.repo.deploy_file.write_text(right.replace("/healthz", "/no-such-page"))
    assert job.repo.deploy_file.read_text() != right
    job.deploy(job.images.good(GOOD[1]), expect=7)
    assert job.state()["phase"] == "failed"
    started = job.started()
    job.once(expect=4)
    assert job.started() == started, "nothing is tried again by itself"

    job.repo.deploy_file.write_text(right)
    job.repo.commit("Correct the gate, and stay with what serves")
    job.run("retry")
    job.once()
    assert job.state()["phase"] == "stabilizing"
    assert job.project.version() == GOOD[0]
    assert job.started() == started
