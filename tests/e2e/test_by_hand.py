"""What a person decides: rollback, suspend, resume; and what a pass for another app may not."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.e2e.job import Job, new_job
from tests.world.images import GOOD, Images

pytestmark = pytest.mark.engine


def test_a_rollback_by_hand_stays_and_the_next_pass_says_so(far_job: Job) -> None:
    job = far_job
    job.once()
    job.plant()
    first = job.link("current")
    job.deploy(job.images.good(GOOD[1]))
    second = job.link("current")

    assert "nosuch" in job.run("rollback", "--to", "nosuch", expect=64).stderr
    assert job.link("current") == second

    job.run("rollback")
    assert (job.project.version(), job.link("current")) == (GOOD[0], first)
    job.assert_data_untouched()
    record = job.records()[-1]
    assert (record["kind"], record["from_release"], record["to_release"]) == ("rollback", second, first)
    assert record["quarantined"] == second

    started = job.started()
    assert "by hand" in job.once(expect=4).stdout
    assert (job.started(), len(job.records())) == (started, 3)

    job.run("rollback", "--to", GOOD[1])
    assert (job.project.version(), job.link("current")) == (GOOD[1], second)
    assert second not in job.state()["quarantine"]
    job.once()
    assert job.project.version() == GOOD[1]


def test_a_suspended_target_stays_as_it_is_until_resume(job: Job) -> None:
    job.once()
    job.run("suspend", "--message", "audit until noon")
    started = job.started()
    job.repo.release(job.images.good(GOOD[1]))
    done = job.once(expect=4)
    assert "audit until noon" in done.stdout
    assert job.json("--once", expect=4)["targets"][0]["phase"] == "suspended"
    assert job.json("status", expect=None)["targets"][0]["phase"] == "suspended"
    assert job.started() == started
    job.run("resume")
    job.once()
    assert job.project.version() == GOOD[1]


@pytest.mark.parametrize("command", ["--once", "rollback", "retry", "suspend -m mine", "resume", "adopt", "plan"])
def test_nothing_of_one_app_is_touched_in_the_name_of_another(shared: Job, command: str) -> None:
    """Two repositories that name the same deploy_dir: the second is refused, whatever it asks."""
    started, files, state = shared.started(), shared.files(), shared.state()
    shared.repo.edit({"app": f"{shared.project.name}-b"})
    done = shared.run(*command.split(), expect=4)
    shared.repo.edit({"app": shared.project.name})
    assert shared.project.name in done.stdout
    assert (shared.started(), shared.files(), shared.state()) == (started, files, state)


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory, images: Images) -> Iterator[Job]:
    """An app that is there already."""
    with new_job(tmp_path_factory.mktemp("shared"), images) as job:
        job.once()
        yield job
