"""`env.delivery: runtime`: values reach Compose, and never the server's disk."""

from __future__ import annotations

import secrets
import subprocess
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

import pytest

from ops.demo.images import Fault
from tests.e2e.job import Job
from tests.world.images import GOOD

pytestmark = pytest.mark.engine
PLACES = (Path("/tmp"), Path("/var/tmp"), Path("/dev/shm"))


@pytest.fixture
def runtime(far_job: Job) -> Job:
    """A job whose values stay with the controller."""
    far_job.repo.edit({"env.delivery": "runtime"})
    far_job.repo.set_env(API_TOKEN=f"{mark(far_job)}{secrets.token_hex(8)}$5'\"x")
    far_job.repo.commit("Values stay here")
    return far_job


def mark(job: Job) -> str:
    """How each secret of this job begins, however the rest of it is quoted; another job's is another."""
    return f"canary-{job.project.name}-"


def token(job: Job) -> str:
    """What web has for API_TOKEN."""
    env = dict(pair.split("=", 1) for pair in job.service("web").attrs["Config"]["Env"])
    return str(env["API_TOKEN"])


def assert_nowhere(job: Job) -> None:
    """No secret is in a file of the server, nor in what a pass may leave in a place for temporary files."""
    assert holding(job, job.dir.rglob("*")) == []
    for place in PLACES:
        for left in place.glob("reconciler.*"):
            assert holding(job, left.rglob("*")) == []


def holding(job: Job, paths: Iterable[Path]) -> list[Path]:
    """Those of the files that hold a secret of the job."""
    found = []
    for path in paths:
        with suppress(FileNotFoundError):  # another test's, gone meanwhile
            if not path.is_symlink() and path.is_file() and mark(job).encode() in path.read_bytes():
                found.append(path)
    return found


def test_values_reach_the_container_and_no_file(runtime: Job) -> None:
    job = runtime
    old = job.repo.env["API_TOKEN"]
    said = job.run("plan", expect=2).stdout
    assert "this server can't go back or start the app anew by itself" in said
    job.once()
    assert token(job) == old
    assert_nowhere(job)
    assert (job.dir / "current" / ".env").read_text() == f"TAG={GOOD[0]}\n"
    started, files = job.started(), job.files()
    job.once()
    job.run("plan", expect=0)
    assert (job.started(), job.files()) == (started, files)

    job.service("web").remove(force=True)
    job.once()
    assert token(job) == old
    by_hand = subprocess.run(
        ["docker", "compose", "up", "--detach"], cwd=job.dir, capture_output=True, text=True, check=False
    )
    assert by_hand.returncode != 0
    assert "env.delivery is runtime" in by_hand.stderr

    new = f"{mark(job)}{secrets.token_hex(8)}"
    started = job.started()
    job.repo.set_env(API_TOKEN=new)
    job.once("--env-only")
    assert token(job) == new
    assert {name for name, is_now in job.started().items() if is_now != started[name]} == {"web"}
    assert_nowhere(job)


def test_a_revert_brings_the_old_values_back_from_the_containers(runtime: Job) -> None:
    """The bad tag came with another value, and the old one is in nobody's file any more."""
    job = runtime
    old = job.repo.env["API_TOKEN"]
    job.once()
    job.repo.set_env(API_TOKEN=f"{mark(job)}{secrets.token_hex(8)}")
    job.repo.release(job.images.bad(Fault.UNHEALTHY))
    job.once(expect=3)
    assert token(job) == old
    assert job.project.version() == GOOD[0]
    assert_nowhere(job)
    assert not [record for record in job.repo.records() if mark(job) in record.read_text()]


def test_a_change_of_delivery_recreates_nothing(job: Job) -> None:
    job.once()
    started = job.started()
    job.repo.edit({"env.delivery": "runtime"})
    job.repo.commit("Values stay here from now on")
    job.once()
    assert job.started() == started
    assert job.repo.env["API_TOKEN"] not in (job.dir / "current" / "compose.yaml").read_text()
