"""From verified to stable across passes, by measurements alone; a breach reverts, and blindness holds (P4)."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from ops.demo.images import Fault
from tests.e2e.job import Job, await_true, new_job, over_ssh
from tests.world.images import GOOD, Images
from tests.world.sshd import ssh_server

pytestmark = pytest.mark.engine


def phase(job: Job) -> str:
    return str(job.json("status", expect=None)["targets"][0]["phase"])


def test_only_measured_time_makes_a_release_stable_and_last_good(job: Job) -> None:
    job.repo.edit({"stabilization": {"period": "4s", "interval": "1s", "breach_limit": 0}})
    job.deploy(GOOD[0])
    first = job.link("current")
    assert (phase(job), job.last_good_tag()) == ("stabilizing", GOOD[0])
    time.sleep(6)  # longer than the whole period: nobody measures, so nothing is proved
    assert "stabilizing" in job.once().stdout
    assert phase(job) == "stabilizing"
    await_true("passes make it stable", lambda: "stable now" in job.once().stdout, seconds=60)
    assert phase(job) == "stable"
    assert job.link("last_good") == first

    job.deploy(job.images.good(GOOD[1]))
    assert job.project.version() == GOOD[1]
    assert (job.link("last_good"), job.last_good_tag()) == (first, GOOD[0])  # verified is not stable
    await_true("passes make it stable", lambda: "stable now" in job.once().stdout, seconds=60)
    assert (job.link("last_good"), job.last_good_tag()) == (job.link("current"), GOOD[1])
    assert [record["kind"] for record in job.records()] == ["deploy", "deploy"]


def test_a_breach_while_stabilizing_reverts_and_says_what_was_seen(job: Job) -> None:
    job.repo.edit({"stabilization": {"period": "24h", "interval": "1m", "breach_limit": 0}})
    job.deploy(GOOD[0])
    first = job.link("current")
    job.deploy(job.images.good(GOOD[1]))
    job.service("web").exec_run(["/bin/sh", "-c", "echo FATAL: disk on fire >/proc/1/fd/1"])
    done = job.once(expect=3)
    assert "1 line of web matching FATAL" in done.stdout
    assert (job.link("current"), job.project.version()) == (first, GOOD[0])
    record = job.records()[-1]
    assert (record["kind"], record["to_release"]) == ("rollback", first)
    job.once(expect=4)


def test_a_release_that_cannot_be_measured_is_held_and_verified_later(tmp_path: Path, images: Images) -> None:
    """An sshd that forbids forwarding isn't a broken app: nothing moves, and a later pass that can look decides."""
    directory = tmp_path / "ssh"
    directory.mkdir()
    with (
        ssh_server(directory) as open_door,
        ssh_server(directory, options={"AllowTcpForwarding": "no"}) as closed_door,
        new_job(tmp_path, images, open_door) as job,
    ):
        job.once()
        first = job.link("last_good")
        job.repo.edit(over_ssh(closed_door))
        done = job.deploy(images.good(GOOD[1]), expect=8)
        assert "held" in done.stdout
        assert (job.project.version(), job.link("last_good")) == (GOOD[1], first)
        started = job.started()
        job.once(expect=8)
        job.repo.edit(over_ssh(open_door))
        job.once()
        assert job.started() == started
        assert phase(job) == "stabilizing"
        assert [record["exit_code"] for record in job.records()] == [0, 8]


@pytest.mark.exhaustive
def test_a_bad_release_behind_a_closed_door_reverts_and_no_one_claims_more_than_was_seen(
    tmp_path: Path, images: Images
) -> None:
    """The crash is seen through the engine; that the way back answers can't be."""
    directory = tmp_path / "ssh"
    directory.mkdir()
    with ssh_server(directory, options={"AllowTcpForwarding": "no"}) as server, new_job(tmp_path, images) as job:
        job.once()
        job.repo.edit(over_ssh(server))
        done = job.deploy(images.bad(Fault.CRASH), expect=3)
        assert job.project.version() == GOOD[0]
        assert "couldn't be measured" in done.stdout
        assert "serves again and is verified" not in done.stdout
