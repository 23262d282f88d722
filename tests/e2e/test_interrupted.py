"""Ctrl-C, SIGTERM, SIGKILL, and two at once: the next pass finds its way, and each mutating pass has one record."""

from __future__ import annotations

import signal

import pytest

from ops.demo.images import Fault
from tests.e2e.job import Job, await_true
from tests.world.images import GOOD

pytestmark = pytest.mark.engine


def test_ctrl_c_after_the_switch_goes_back_to_what_served(job: Job) -> None:
    """Not to last good, not to the release before: to the one that served. Nobody is blamed, and it is tried again."""
    job.repo.edit({"stabilization": {"period": "100ms", "interval": "1s"}})
    job.deploy(GOOD[0])
    job.once()  # stable, and last good
    job.repo.edit({"stabilization": {"period": "24h", "interval": "1m"}})
    job.deploy(job.images.good(GOOD[1]))
    before = job.link("current")
    assert job.last_good_tag() == GOOD[0]

    job.repo.release(job.images.good(GOOD[2]))
    with job.start("--once") as running:
        running.wait_for("verifying for")
        assert job.project.version() == GOOD[2]
        running.signal(signal.SIGINT)
        done = running.end(expect=3)
    assert "interrupted" in done.stdout
    assert (job.project.version(), job.link("current"), job.last_good_tag()) == (GOOD[1], before, GOOD[0])
    assert job.state()["quarantine"] == {}
    record = job.records()[-1]
    assert (record["kind"], record["verdict"], record["quarantined"]) == ("rollback", "interrupted", None)
    assert (record["from_release"], record["to_release"]) == (before, before)
    job.once()
    assert job.project.version() == GOOD[2]


def test_ctrl_c_before_the_switch_leaves_everything_as_it_was(any_job: Job) -> None:
    job = any_job
    job.once()
    started, link, records = job.started(), job.link("current"), len(job.records())
    job.repo.release(job.images.good(GOOD[1]))
    with job.start("--once") as running:
        running.wait_for("staging")
        running.signal(signal.SIGINT)
        done = running.end(expect=1)
    assert "before anything that runs was changed" in done.stdout
    assert (job.started(), job.link("current"), len(job.records())) == (started, link, records)
    job.once()
    assert job.project.version() == GOOD[1]


def test_sigterm_during_a_first_deploy_stops_it_and_the_next_pass_tries_again(job: Job) -> None:
    with job.start("--once") as running:
        running.wait_for("verifying for")
        running.signal(signal.SIGTERM)
        running.end(expect=3)
    assert job.state()["quarantine"] == {}
    assert not [c.name for c in job.project.containers().values() if c.status == "running"]
    job.once()
    assert job.project.version() == GOOD[0]
    assert [record["verdict"] for record in job.records()] == ["interrupted", "go"]


def test_a_second_ctrl_c_ends_at_once_and_the_next_pass_goes_on(job: Job) -> None:
    job.once()
    before = job.link("current")
    job.repo.release(job.images.good(GOOD[1]))
    with job.start("--once") as running:
        running.wait_for("verifying for")
        running.signal(signal.SIGINT)
        running.wait_for("going back to")
        running.signal(signal.SIGINT)
        running.end(expect=130)
    job.once()
    assert job.project.version() == GOOD[1]
    assert len({record["run"] for record in job.records()}) == len(job.records()) == 3
    assert job.link("current") != before


MOMENTS = ["staging", "bringing up capture", "verifying for"]


def test_killed_at_any_moment_the_next_passes_converge_with_one_record_each(job: Job) -> None:
    job.once()
    job.plant()
    for number, moment in enumerate(MOMENTS):
        tag, known = job.images.good(f"20260404_00000{number}"), len(job.records())
        job.repo.release(tag)
        with job.start("--once") as running:
            running.wait_for(moment)
            running.process.kill()
            running.end(expect=-9)
        done = job.once(expect=None)
        assert done.returncode == 0 or job.once().returncode == 0, done.stdout
        assert job.project.version() == tag, moment
        assert job.once().returncode == 0
        new = job.records()[known:]
        assert len({record["run"] for record in new}) == len(new)
        assert new[-1]["exit_code"] == 0, moment
        assert [record["verdict"] for record in new[:-1]] in ([], ["interrupted"]), moment
        assert job.state()["open"] is None
    job.assert_data_untouched()


def test_killed_on_the_way_back_the_next_pass_finishes_it(job: Job) -> None:
    job.once()
    before = job.link("current")
    job.repo.release(job.images.bad(Fault.CRASH))
    with job.start("--once") as running:
        running.wait_for("going back to")
        running.process.kill()
        running.end(expect=-9)
    job.once(expect=None)
    job.once(expect=4)
    assert (job.project.version(), job.link("current")) == (GOOD[0], before)
    verdicts = [(record["kind"], record["verdict"]) for record in job.records()]
    assert len({record["run"] for record in job.records()}) == len(verdicts)
    assert verdicts[0] == ("deploy", "go")


@pytest.mark.exhaustive
def test_what_a_bad_release_said_before_its_pass_was_killed_still_counts(job: Job) -> None:
    """The fatal line is older than the pass that takes over; a kill is no way around the gates (P4)."""
    job.repo.edit({"gates.window": "3s"})
    job.once()
    before = job.link("current")
    job.repo.release(job.images.bad(Fault.FATAL_LOG))
    with job.start("--once") as running:
        running.wait_for("waiting for the engine")
        running.process.kill()
        running.end(expect=-9)
    await_true("it has said so", lambda: b"FATAL" in job.service("capture").logs())
    done = job.once(expect=3)
    assert "matching FATAL" in done.stdout
    assert (job.project.version(), job.link("current")) == (GOOD[0], before)


def test_of_two_at_once_exactly_one_acts_and_the_other_names_it(any_job: Job) -> None:
    job = any_job
    job.once()
    job.repo.release(job.images.good(GOOD[1]))
    with job.start("--once") as first:
        first.wait_for("verifying for")
        first.process.send_signal(signal.SIGSTOP)  # however slow the machine is, it is still at work
        started = job.started()
        second = job.once(expect=5)
        first.process.send_signal(signal.SIGCONT)
        assert f"process {first.process.pid})" in second.stdout
        first.end(expect=0)
    assert job.started() == started
    assert len(job.records()) == 2
