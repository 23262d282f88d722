"""Real bad releases: each reverts by itself, says why in the app's own words, and hurts nobody's data."""

from __future__ import annotations

import json
import re
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from ops.demo.images import Fault
from tests.e2e.conftest import Neighbour
from tests.e2e.job import Job, new_job
from tests.world.images import GOOD, Images

pytestmark = pytest.mark.engine


@dataclass(frozen=True)
class Bad:
    """A fault, what the message has to quote of it, and what the saved logs of whom have to hold."""

    fault: Fault
    reason: str
    log: str = ""
    who: str = "web"
    window: str = "1s"


BAD = [
    Bad(Fault.UNHEALTHY, r"500.*observer: database is locked|unhealthy: .*database is locked", "database is locked"),
    Bad(Fault.CRASH, r"(web|capture): exited with code 3", "the sensor bus is gone", who=""),
    Bad(Fault.CRASH5, r"(web|capture): exited with code 3", "the sensor bus is gone", who="", window="9s"),
    Bad(Fault.FATAL_LOG, r"1 line of capture matching FATAL", "frame index is corrupt", who="capture"),
    # It tops up after each sample, and a probe that was charged to it meanwhile is gone again.
    Bad(Fault.MEMORY_HOG, r"capture-1 memory \d+ %, limit 85 %", "a sample each", who="capture", window="5s"),
    Bad(Fault.SLOW_START, r"503.*observer: warming up|unhealthy: .*warming up", "warming up"),
    Bad(Fault.EXIT0, r"capture: exited with code 0", "nothing left to do", who="capture"),
    Bad(Fault.INIT_FAILS, r"init: exited with code 7", "duplicate column name", who="init"),
]


@pytest.fixture(scope="module")
def serving(tmp_path_factory: pytest.TempPathFactory, images: Images) -> Iterator[Job]:
    """A good release serves; every bad one ends there again."""
    with new_job(tmp_path_factory.mktemp("faults"), images) as job:
        job.once()
        job.plant()
        yield job


OFTEN = {Fault.UNHEALTHY, Fault.CRASH, Fault.FATAL_LOG, Fault.INIT_FAILS}
"""Each a way of its own to be bad; `make test-all` has the others, too."""


@pytest.mark.parametrize(
    "bad",
    [pytest.param(bad, id=bad.fault.value, marks=() if bad.fault in OFTEN else pytest.mark.exhaustive) for bad in BAD],
)
def test_a_bad_release_comes_back_by_itself(serving: Job, neighbour: Neighbour, bad: Bad) -> None:
    goes_back(serving, neighbour, bad)


def test_a_bad_release_comes_back_by_itself_over_ssh(far_job: Job, neighbour: Neighbour) -> None:
    """One of them: what differs is the way there, by which logs and inspections come, too."""
    far_job.once()
    far_job.plant()
    goes_back(far_job, neighbour, BAD[0])


def goes_back(job: Job, neighbour: Neighbour, bad: Bad) -> None:
    before, known, tag = job.link("current"), len(job.records()), job.images.bad(bad.fault)
    assert before.startswith(GOOD[0])
    job.repo.edit({"gates.window": bad.window})
    done = job.deploy(tag, expect=3)

    assert job.project.version() == GOOD[0]
    assert (job.link("current"), job.link("last_good"), job.last_good_tag()) == (before, before, GOOD[0])
    web = job.service("web")
    assert web.image is not None
    assert (web.status, web.image.id) == ("running", job.images.id(GOOD[0]))
    job.assert_data_untouched()
    neighbour.assert_untouched()

    quarantine = job.state()["quarantine"]
    (release,) = [name for name in quarantine if name.startswith(f"{tag}-")]
    assert re.search(bad.reason, quarantine[release]["reason"]), quarantine[release]["reason"]

    (record,) = job.records()[known:]
    assert (record["kind"], record["exit_code"], record["quarantined"]) == ("rollback", 3, release)
    assert (record["release"], record["from_release"], record["to_release"]) == (release, before, before)
    for text in (record["reason"], done.stdout):
        assert re.search(bad.reason, text), text
        assert release in text
        assert before in text
        assert record["evidence"] in text

    has_evidence(Path(record["evidence"]), bad)
    assert job.repo.git("status", "--porcelain") == ""


def has_evidence(directory: Path, bad: Bad) -> None:
    """Logs and inspection of the culprit, taken before it was replaced, for the owner's eyes alone."""
    assert stat.S_IMODE(directory.stat().st_mode) == 0o700
    assert all(stat.S_IMODE(path.stat().st_mode) == 0o600 for path in directory.iterdir())
    logs = {path.name: path.read_text() for path in directory.glob("*.log")}
    assert any(bad.log in text for name, text in logs.items() if bad.who in name), logs
    for path in directory.glob("*.json"):
        assert json.loads(path.read_text())[0]["Config"]["Image"].startswith("sha256:"), path


def test_a_release_that_is_deaf_to_sigterm_is_slow_and_good(job: Job) -> None:
    """It costs its whole grace period, which `plan` says beforehand; it isn't a breach."""
    tag = job.images.bad(Fault.DEAF)
    job.once()
    job.deploy(tag)
    assert job.project.version() == tag
    assert "may take up to 10 s to stop" in job.run("plan", expect=0).stdout or job.link("current").startswith(tag)
    job.repo.release(GOOD[0])
    assert "web may take up to 10 s to stop" in job.run("plan", expect=2).stdout


def test_of_some_merges_in_a_day_the_last_is_bad_and_the_one_before_serves(job: Job) -> None:
    """None of them is stable yet; the last never starts: its init fails while the containers are replaced."""
    tags = [job.images.good(f"20260303_00000{number}") for number in range(1, 4)]
    for tag in tags:
        job.deploy(tag)
    before = job.link("current")
    job.deploy(job.images.bad(Fault.INIT_FAILS), expect=3)
    assert job.project.version() == tags[-1]
    assert job.link("current") == before
    job.deploy(job.images.bad(Fault.CRASH), expect=3)
    assert job.link("current") == before


def test_a_first_release_that_is_bad_is_stopped_and_a_good_one_follows(job: Job) -> None:
    tag = job.images.bad(Fault.CRASH)
    done = job.deploy(tag, expect=3)
    assert "nothing to go back to" in done.stdout
    assert not [c.name for c in job.project.containers().values() if c.status in {"running", "restarting"}]
    assert [name for name in job.state()["quarantine"] if name.startswith(tag)]
    assert job.last_good_tag() == ""
    (job.dir / "uploads" / "mine").write_text("data")

    ids = job.project.container_ids()
    assert "quarantined" in job.once(expect=4).stdout
    assert job.project.container_ids() == ids
    assert [record["kind"] for record in job.records()] == ["rollback"]

    job.deploy(job.images.good(GOOD[1]))
    assert job.project.version() == GOOD[1]
    assert (job.dir / "uploads" / "mine").read_text() == "data"
