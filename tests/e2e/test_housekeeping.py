"""P10's one exception, on a real target: temp/ is swept where deploy.yaml asks for it, and nothing else is touched."""

from __future__ import annotations

import os
import time
from typing import Any

from tests.e2e.conftest import Neighbour
from tests.e2e.job import WRITABLE, Job

SWEEP: dict[str, Any] = {"housekeeping": {"temp": {"max_age": "7d"}, "logs": {"warn_size": "1B"}}}


def old_file(job: Job, name: str) -> None:
    """A file that nobody wrote to for ten days."""
    path = job.dir / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"x")
    then = time.time() - 10 * 86400
    os.utime(path, (then, then))


def test_old_files_go_from_temp_alone_and_that_is_on_record(far_job: Job, neighbour: Neighbour) -> None:
    job = far_job
    job.deploy(job.images.good())
    job.plant()
    for area in ("temp", "temp/deep", "logs", "uploads", "archives/data", "runtime/state"):
        old_file(job, f"{area}/old")
    running, records = job.started(), len(job.records())

    job.once()
    assert (job.dir / "temp/old").exists(), "off unless configured"
    job.repo.edit(SWEEP)
    job.repo.commit("Sweep temp")
    planned = job.run("plan").stdout
    assert "sweep temp/: 2 files (2 B) to remove: 2 older than 7d" in planned
    assert (job.dir / "temp/old").exists(), "a plan changes nothing"
    said = job.once().stdout

    assert [path for path in (job.dir / "temp").rglob("*") if path.name == "old"] == []
    for area in ("logs", "uploads", "archives/data", "runtime/state"):
        assert (job.dir / area / "old").exists(), area
    job.assert_data_untouched()
    assert job.started() == running
    neighbour.assert_untouched()
    [record] = job.records()[records:]
    assert (record["kind"], record["verdict"]) == ("sweep", "go")
    assert record["reason"].startswith("temp/ was swept: 2 files (2 B) removed: 2 older than 7d")
    assert "note: temp/ was swept: 2 files (2 B) removed" in said
    assert "note: logs/ has " in said
    job.once()
    assert len(job.records()) == records + 1, "once a day"


def test_a_frozen_target_is_not_swept(job: Job) -> None:
    job.repo.edit(SWEEP)
    job.deploy(job.images.good())
    old_file(job, "temp/old")
    job.run("suspend", "--message", "an investigation")
    job.once(expect=4)
    assert (job.dir / "temp/old").exists()
    job.run("resume")
    job.once()
    assert not (job.dir / "temp/old").exists()


def test_a_plan_says_whom_a_narrower_policy_would_hit(job: Job) -> None:
    job.deploy(job.images.good())
    (job.dir / "uploads" / "photo").write_bytes(b"x")
    job.repo.edit({"writable": [area for area in WRITABLE if area != "uploads"]})
    job.repo.commit("Narrow")
    said = job.run("plan", expect=1).stdout
    assert "`uploads` isn't in `writable:` any more, and web may write there: 1 file, the newest of " in said
