"""`reconcile run` on a real engine: it follows a real bare repository, heals what people do, and tells the remote."""

from __future__ import annotations

from pathlib import Path

import pytest

from ops.demo.images import Fault
from tests.e2e.daemon import await_value, daemon
from tests.e2e.job import Job
from tests.world.images import GOOD

pytestmark = pytest.mark.engine


def test_a_pushed_commit_goes_live_and_a_bad_one_comes_back(any_job: Job, tmp_path: Path) -> None:
    """Push a tag: it serves, and its record is at the remote. Push a bad one: the old one serves, and deploy.yaml at
    the remote asks for it again, its comments as they were."""
    job, second, bad = any_job, any_job.images.good(GOOD[1]), any_job.images.bad(Fault.UNHEALTHY)
    with daemon(job, tmp_path, edits={"rollback.write_back": True}) as running:
        await_value("what serves", job.project.version, job.images.good())
        running.release(second)
        await_value("what serves", job.project.version, second)
        running.release(bad)
        running.wait_for("breached")
        await_value("what serves", job.project.version, second)
        await_value("the remote's tag", lambda: f'tag: "{second}"' in running.remote_file("deploy.yaml"), True)
        await_value("records at the remote", lambda: len(running.remote_records()), 3)
        running.end()
    kinds = sorted(name.partition("_")[0] for name in running.remote_records())
    assert kinds == ["deploy", "deploy", "rollback"]
    assert any(subject.startswith(f"Go back from {bad} to {second}") for subject in running.commits())


def test_what_a_person_does_by_hand_is_seen_and_healed(any_job: Job, tmp_path: Path) -> None:
    """A stopped and a removed container are back without anybody asking: `drift.every` is five minutes away."""
    job = any_job
    with daemon(job, tmp_path) as running:
        await_value("what serves", job.project.version, job.images.good())
        running.wait_for("verified")
        for act in ("stop", "remove"):
            container = job.service("web")
            container.stop(timeout=1) if act == "stop" else container.remove(force=True)
            await_value(f"what serves after {act}", job.project.version, job.images.good())
        running.end()


@pytest.mark.parametrize("act", [pytest.param("stop", marks=pytest.mark.exhaustive), "remove"])
def test_what_a_person_does_while_a_release_is_measured_is_not_its_fault(job: Job, tmp_path: Path, act: str) -> None:
    """The first release has nothing to go back to: blamed for what a person did, it would be stopped and stay so."""
    second = job.images.good(GOOD[1])
    with daemon(job, tmp_path, edits={"gates.window": "3s"}) as running:
        await_value("what serves", job.project.version, job.images.good())
        running.wait_for("is live and verified")
        for tag in (job.images.good(), second):  # what is healed, and what is released
            said = len(running.said)
            if tag == second:
                running.release(second)
            else:
                job.service("web").stop(timeout=1)
            running.wait_for("verifying for", after=said)
            container = job.service("web")
            container.stop(timeout=1) if act == "stop" else container.remove(force=True)
            running.wait_for("while it was measured", after=said)
            await_value(f"what serves after {act}", job.project.version, tag, seconds=60.0)
        running.end()
    assert not job.state()["quarantine"]
