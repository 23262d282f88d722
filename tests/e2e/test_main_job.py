"""First deploy, nothing to do, a tag, an env value, a config file: judged by the engine, the files and the answers."""

from __future__ import annotations

import stat

import pytest

from tests.e2e.conftest import Neighbour
from tests.e2e.job import Job
from tests.world.images import GOOD

pytestmark = pytest.mark.engine


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
    assert {name: ids[0] for name, ids in job.started().items()}.keys() == {"init", "capture", "web"}
    job.assert_data_untouched()
    neighbour.assert_untouched()
    assert [record["to_release"].partition("-")[0] for record in job.records()] == [GOOD[0], GOOD[1]]


def test_another_env_value_is_another_release_and_recreates_its_service_alone(any_job: Job) -> None:
    job = any_job
    job.once()
    before, release = job.started(), job.link("current")
    job.repo.set_env(CAPTURE_INTERVAL="0.25")
    job.once()
    after = job.started()
    assert job.link("current") != release
    assert job.link("current").startswith(f"{GOOD[0]}-")
    assert {name for name in after if after[name] != before[name]} == {"capture"}
    assert "CAPTURE_INTERVAL=0.25" in job.service("capture").attrs["Config"]["Env"]
    assert job.project.version() == GOOD[0]


def test_a_mounted_config_file_recreates_its_service_alone(job: Job) -> None:
    job.once()
    before = job.started()
    path = "desired_state/observer/config/observer.conf"
    job.repo.write(path, (job.repo.path / path).read_text() + "keep_archives=7\n")
    job.repo.commit("Keep fewer archives")
    job.once()
    after = job.started()
    assert {name for name in after if after[name] != before[name]} == {"capture"}
    code, output = job.service("capture").exec_run(["/bin/cat", "/etc/observer.conf"])
    assert (code, b"keep_archives=7" in output) == (0, True)


def test_what_lies_on_the_server_is_read_only_and_values_are_the_owners_alone(job: Job) -> None:
    job.once()
    release = job.dir / "releases" / job.link("current")
    modes = {path.name: stat.S_IMODE(path.lstat().st_mode) for path in [release, *release.iterdir()]}
    assert modes == {release.name: 0o555, "compose.yaml": 0o400, ".env": 0o400, "manifest.json": 0o444}
    token = job.repo.env["API_TOKEN"].encode()
    for path in job.dir.rglob("*"):
        if path.is_file() and token in path.read_bytes():
            assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0, path


def test_a_person_who_types_compose_up_in_the_directory_changes_nothing(job: Job) -> None:
    import subprocess

    job.once()
    started = job.started()
    done = subprocess.run(["docker", "compose", "up", "-d", "--pull", "never"], cwd=job.dir, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    after = job.started()
    assert {name: after[name] for name in ("capture", "web")} == {name: started[name] for name in ("capture", "web")}


def test_a_finished_one_shot_never_runs_again(job: Job) -> None:
    """A removed container of a one-shot that succeeded is not drift; another release of it runs it once."""
    job.once()
    job.service("init").remove()
    started = job.started()
    job.once()
    assert job.started() == started
    assert "init" not in started


@pytest.mark.parametrize("harm", ["stop", "remove", "foreign"])
def test_drift_is_named_and_put_back_and_recorded_as_a_heal(job: Job, harm: str) -> None:
    job.once()
    web = job.service("web")
    if harm == "foreign":
        web.rename(f"{web.name}-mine")
        web.stop(timeout=1)
    else:
        getattr(web, harm)(**({"timeout": 1} if harm == "stop" else {"force": True}))
    assert job.project.version() == ""
    assert job.run("plan", expect=2).stdout.count("drift") >= 1
    job.once()
    assert job.project.version() == GOOD[0]
    assert [record["kind"] for record in job.records()] == ["deploy", "heal"]
