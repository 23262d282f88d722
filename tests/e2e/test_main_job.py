"""First deploy, nothing to do, a tag, an env value, a config file: judged by the engine, the files and the answers."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from tests.e2e.conftest import Neighbour
from tests.e2e.job import Job
from tests.world.images import GOOD

pytestmark = pytest.mark.engine
CONFIG = "desired_state/observer/config/observer.conf"


def test_the_whole_way_of_good_releases(any_job: Job, neighbour: Neighbour) -> None:
    """Deploy, no-op, tag change: only what changed is recreated, and nobody's data or containers are touched."""
    job = any_job
    job.once()
    assert job.project.version() == GOOD[0]
    assert job.link("current").startswith(f"{GOOD[0]}-")
    assert job.last_good_tag() == GOOD[0]
    assert [record["kind"] for record in job.records()] == ["deploy"]
    job.plant()

    started, files = job.started(), job.files()
    job.once()
    assert job.started() == started
    assert job.files() == files
    assert len(job.records()) == 1

    job.deploy(job.images.good(GOOD[1]))
    assert job.project.version() == GOOD[1]
    job.assert_data_untouched()
    neighbour.assert_untouched()
    assert [record["to_release"].partition("-")[0] for record in job.records()] == [GOOD[0], GOOD[1]]


def test_another_value_or_config_file_is_another_release_of_the_tag_and_recreates_its_service_alone(job: Job) -> None:
    job.once()
    before, release = job.started(), job.link("current")
    job.repo.set_env(CAPTURE_INTERVAL="1.25")
    job.once()
    after = job.started()
    assert job.link("current") != release
    assert job.link("current").startswith(f"{GOOD[0]}-")
    assert {name for name in after if after[name] != before[name]} == {"capture"}
    assert "CAPTURE_INTERVAL=1.25" in job.service("capture").attrs["Config"]["Env"]

    before, release = after, job.link("current")
    job.repo.write(CONFIG, (job.repo.path / CONFIG).read_text() + "keep_archives=7\n")
    job.repo.commit("Keep fewer archives")
    job.once()
    after = job.started()
    assert job.link("current") != release
    assert {name for name in after if after[name] != before[name]} == {"capture"}
    code, output = job.service("capture").exec_run(["/bin/cat", "/etc/observer.conf"])
    assert (code, b"keep_archives=7" in output) == (0, True)
    assert job.project.version() == GOOD[0]


def test_drift_is_named_and_put_back_and_recorded_as_a_heal(job: Job) -> None:
    """Stopped, removed: put back. A one-shot that has succeeded is not missed when it is gone."""
    job.once()
    job.service("init").remove()
    started = job.started()
    job.once()
    assert job.started() == started
    assert "init" not in started
    job.service("web").stop(timeout=1)
    job.service("capture").remove(force=True)
    plan = job.json("plan", expect=2)["targets"][0]
    assert sorted(step["kind"] for step in plan["steps"]) == ["start", "up"]
    assert len(plan["drift"]) == 2
    job.once()
    assert job.project.version() == GOOD[0]
    assert [record["kind"] for record in job.records()] == ["deploy", "heal"]


def test_what_lies_on_the_server_is_read_only_and_values_are_the_owners_alone(job: Job) -> None:
    job.once()
    release = job.dir / "releases" / job.link("current")
    modes = {path.name: stat.S_IMODE(path.lstat().st_mode) for path in [release, *release.iterdir()]}
    assert modes == {release.name: 0o555, "compose.yaml": 0o400, ".env": 0o400, "manifest.json": 0o444}
    token = job.repo.env["API_TOKEN"].encode()
    for path in [*job.dir.rglob("*"), *Path(job.repo.path).rglob("*")]:
        if path.is_file() and token in path.read_bytes():
            assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0, path
