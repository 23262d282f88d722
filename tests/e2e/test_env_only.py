"""`--env-only`: other values for what serves, and nothing else; the same gates and the same way back."""

from __future__ import annotations

import pytest

from tests.e2e.job import Job
from tests.e2e.untouched import refused
from tests.world.images import GOOD

pytestmark = pytest.mark.engine
COMPOSE = "desired_state/observer/compose.yaml"


def value(job: Job, service: str, key: str) -> str:
    """What a container's environment says of `key`."""
    env = dict(pair.split("=", 1) for pair in job.service(service).attrs["Config"]["Env"])
    return str(env[key])


def edit_compose(job: Job, old: str, new: str) -> None:
    text = (job.repo.path / COMPOSE).read_text()
    assert old in text
    job.repo.write(COMPOSE, text.replace(old, new))
    job.repo.commit("Another Compose file")


def test_only_the_consumer_of_a_changed_key_is_recreated_and_no_tag_moves(far_job: Job) -> None:
    """deploy.yaml asks for a newer tag, whose image isn't anywhere: it isn't looked for."""
    job = far_job
    job.once()
    job.plant()
    before, release = job.started(), job.link("current")
    job.repo.release("20991231_235959")
    job.repo.set_env(CAPTURE_INTERVAL="1.25")
    plan = job.json("--once", "--dry-run", "--env-only", expect=2)["targets"][0]
    assert [step["kind"] for step in plan["steps"]] == ["stage", "switch", "up"]
    job.once("--env-only")
    after = job.started()
    assert {name for name in after if after[name] != before[name]} == {"capture"}
    assert value(job, "capture", "CAPTURE_INTERVAL") == "1.25"
    assert job.project.version() == GOOD[0]
    assert job.link("current") != release
    assert job.link("current").startswith(f"{GOOD[0]}-")
    job.assert_data_untouched()
    started, files = job.started(), job.files()
    job.once("--env-only")
    assert (job.started(), job.files()) == (started, files)
    assert [(record["kind"], record["tag"]) for record in job.records()] == [("deploy", GOOD[0])] * 2


def test_values_that_breach_go_back_to_the_old_values(job: Job) -> None:
    edit_compose(job, "[CMD, /app/probe.sh, capture]", """[CMD, /bin/sh, -c, 'test "$$LOG_LEVEL" != broken']""")
    job.once()
    release = job.link("current")
    job.repo.set_env(LOG_LEVEL="broken")
    job.once("--env-only", expect=3)
    assert job.link("current") == release
    assert value(job, "capture", "LOG_LEVEL") == "info"
    assert job.project.version() == GOOD[0]
    started = job.started()
    said = job.once("--env-only", expect=4).stdout
    assert "is quarantined" in said
    assert job.started() == started
    job.repo.set_env(LOG_LEVEL="debug")
    job.once("--env-only")
    assert value(job, "capture", "LOG_LEVEL") == "debug"


def test_what_would_bring_more_than_values_is_refused_and_touches_nothing(job: Job) -> None:
    refused(job.repo.reconcile("--once", "--env-only"), 4, "demo", "nothing serves here")
    job.once()
    started, files = job.started(), job.files()
    job.repo.set_env(IMAGE=job.repo.env["IMAGE"] + "-other", CAPTURE_INTERVAL="2")
    for arguments in (["--once", "--env-only"], ["--once", "--env-only", "--dry-run"]):
        refused(job.repo.reconcile(*arguments), 1, "another image", "run a whole pass")
    job.repo.set_env(IMAGE=job.images.repository)
    edit_compose(job, "retries: 2", "retries: 4")
    refused(job.repo.reconcile("--once", "--env-only"), 1, "more than values", "run a whole pass")
    assert (job.started(), job.files()) == (started, files)
    assert len(job.records()) == 1
    job.run("--env-only", expect=64)
