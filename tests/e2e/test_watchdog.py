"""The server saves itself (P8): the controller dies, or the network does, and nobody comes back."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from ops.demo.images import Fault
from tests.e2e.job import Job, await_true
from tests.world.images import GOOD

pytestmark = pytest.mark.engine

SILENCE = {"rollback.watchdog": "3s", "gates.window": "60s", "stabilization": {"period": "24h", "interval": "1m"}}
"""A window that is never over before the target acts."""
PATIENCE = 90.0
"""Seconds for the silence, the way back and a loaded machine."""


def lease(job: Job) -> Path:
    return job.dir / ".reconciler" / "watchdog" / "lease"


def outcome(job: Job) -> Path:
    return job.dir / ".reconciler" / "watchdog" / "outcome"


def switched_and_killed(job: Job, tag: str, moment: str = "waiting for the engine", silence: str = "3s") -> str:
    """The release that served before a pass switched to `tag` and was killed; nobody comes back."""
    job.once()
    job.plant()
    before = job.link("current")
    job.repo.edit({**SILENCE, "rollback.watchdog": silence})
    job.repo.release(tag)
    with job.start("--once") as running:
        running.wait_for(moment)
        assert lease(job).is_dir(), "armed before the switch"
        assert any(keeper.labels["io.reconciler.watchdog"].endswith(" on") for keeper in job.project.keepers())
        running.process.kill()
        running.end(expect=-9)
    return before


def test_after_a_bad_release_the_target_goes_back_alone_and_the_next_pass_tells(any_job: Job) -> None:
    job = any_job
    before = switched_and_killed(job, job.images.bad(Fault.UNHEALTHY), silence="20s")  # time to fall ill
    await_true("the target has gone back", lambda: outcome(job).is_dir(), seconds=PATIENCE)
    assert (job.project.version(), job.link("current")) == (GOOD[0], before)
    status = job.json("status", expect=2)["targets"][0]
    assert (status["phase"], status["serving"]) == ("rolled_back", before)
    done = job.once(expect=4)
    assert "by itself" in done.stdout + done.stderr
    records = job.records()
    assert [record["kind"] for record in records] == ["deploy", "deploy", "watchdog"]
    assert [record["verdict"] for record in records[1:]] == ["interrupted", "no_go"]
    bad = records[2]["quarantined"]
    assert bad.startswith("20260202_")
    assert (records[2]["from_release"], records[2]["to_release"]) == (bad, before)
    assert any("going back" in line for line in records[2]["journal"])
    assert any(" begin up " in line for line in records[1]["journal"])
    assert job.state()["quarantine"].keys() == {bad}
    assert not outcome(job).exists()
    job.once(expect=4)
    assert len(job.records()) == len(records)
    job.assert_data_untouched()


@pytest.mark.exhaustive
def test_a_good_release_whose_pass_died_is_left_too_and_tried_again(job: Job) -> None:
    before = switched_and_killed(job, job.images.good(GOOD[1]), "verifying for")
    await_true("the target has gone back", lambda: outcome(job).is_dir(), seconds=PATIENCE)
    assert (job.project.version(), job.link("current")) == (GOOD[0], before)
    job.repo.edit({"gates.window": "1s", "rollback.watchdog": "60s"})
    job.once()
    assert job.project.version() == GOOD[1]
    assert job.state()["quarantine"] == {}
    assert [(record["kind"], record["verdict"]) for record in job.records()] == [
        ("deploy", "go"),
        ("deploy", "interrupted"),
        ("watchdog", "interrupted"),
        ("deploy", "go"),
    ]


def test_with_keep_a_good_release_stays_and_a_bad_one_does_not(job: Job) -> None:
    job.repo.edit({"rollback.on_silence": "keep"})
    switched_and_killed(job, job.images.good(GOOD[1]), "verifying for")
    await_true("the target has decided", lambda: outcome(job).is_dir(), seconds=PATIENCE)
    assert job.project.version() == GOOD[1]
    job.repo.edit({"gates.window": "1s", "rollback.watchdog": "60s"})
    job.once()
    assert [(record["kind"], record["exit_code"]) for record in job.records()[1:]] == [
        ("deploy", 1),
        ("watchdog", 0),
        ("deploy", 0),
    ]
    job.repo.edit(SILENCE)
    switched_and_killed(job, job.images.bad(Fault.CRASH))
    await_true("the target has gone back", lambda: outcome(job).is_dir(), seconds=PATIENCE)
    assert job.project.version() == GOOD[1]


def test_a_controller_that_sleeps_can_do_nothing_after_the_target_went_back(job: Job) -> None:
    """As a lid that is closed: it wakes up in the middle of its window, and everything it sends is refused."""
    job.once()
    before = job.link("current")
    job.repo.edit({**SILENCE, "gates.window": "1s"})
    job.repo.release(job.images.good(GOOD[1]))
    with job.start("--once") as running:
        running.wait_for("verifying for")
        os.kill(running.process.pid, signal.SIGSTOP)
        await_true("the target has gone back", lambda: outcome(job).is_dir(), seconds=PATIENCE)
        os.kill(running.process.pid, signal.SIGCONT)
        done = running.end(expect=5)
    assert "another has taken over" in done.stdout + done.stderr
    assert (job.project.version(), job.link("current")) == (GOOD[0], before)


def test_a_release_that_is_confirmed_is_left_alone(job: Job) -> None:
    job.once()
    job.repo.edit({"rollback.watchdog": "1s", "gates.window": "4s"})
    job.deploy(job.images.good(GOOD[1]))
    assert job.project.version() == GOOD[1]
    assert [record["kind"] for record in job.records()] == ["deploy", "deploy"]
    assert "mode soak" in (lease(job) / "about").read_text()
    job.repo.edit({"stabilization": {"period": "100ms", "interval": "1s"}})
    job.once()
    assert job.state()["phase"] == "stable"
    assert not lease(job).exists()
