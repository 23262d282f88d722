"""What a textfile says of real passes: each deploy, revert and repair once, and health as the engine has it."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from ops.demo.images import Fault
from tests.e2e.job import Job, await_true, new_job
from tests.world.images import GOOD, Images
from tests.world.sshd import ssh_server

pytestmark = pytest.mark.engine


class Told:
    """The metrics of runs that write one textfile."""

    def __init__(self, job: Job, path: Path) -> None:
        self.job, self.path = job, path

    def run(self, *command: str, expect: int = 0) -> None:
        self.job.run(*command, "--metrics-file", str(self.path), expect=expect)

    def deploy(self, tag: str, *, expect: int = 0) -> None:
        self.job.repo.edit({"tag": tag})
        self.job.repo.commit(f"Release {tag}")
        self.run("--once", expect=expect)

    def of(self, name: str) -> dict[str, float]:
        """The values of a metric that aren't 0, by the labels beside app and target."""
        return {
            " ".join(
                value for label, value in sample.labels.items() if label not in {"app", "target", "le"}
            ): sample.value
            for family in text_string_to_metric_families(self.path.read_text())
            for sample in family.samples
            if sample.name == f"reconciler_{name}" and sample.value
        }


def test_a_textfile_tells_what_happened(job: Job, tmp_path: Path) -> None:
    """Deploy, breach and revert, quarantine, repair, stable and ill, by hand, suspended."""
    told = Told(job, tmp_path / "r.prom")
    job.repo.edit({"stabilization": {"period": "1s", "interval": "1s", "breach_limit": 0}})
    told.deploy(GOOD[0])
    assert (told.of("deploys_total"), told.of("rollbacks_total")) == ({"verified": 1}, {})
    assert told.of("app_phase") == {"stabilizing": 1}
    assert told.of("deploy_duration_seconds_count") == {"": 1}

    told.deploy(job.images.bad(Fault.UNHEALTHY), expect=3)
    assert told.of("deploys_total") == {"verified": 1, "reverted": 1}
    assert told.of("rollbacks_total") == {"breach verified": 1}
    assert told.of("rollback_duration_seconds_count") == {"": 1}
    assert (told.of("app_sync_status"), told.of("app_health_status")) == ({"out_of_sync": 1}, {"healthy": 1})
    assert (told.of("app_phase"), told.of("app_desired_quarantined")) == ({"rolled_back": 1}, {"": 1})

    told.run("--once", expect=4)
    assert told.of("deploys_total") == {"verified": 1, "reverted": 1}
    assert (told.of("app_desired_quarantined"), told.of("app_quarantined")) == ({"": 1}, {"": 1})
    assert told.of("reconciles_total") == {"converged": 1, "reverted": 1, "blocked": 1}

    told.deploy(job.images.good(GOOD[1]))
    assert (told.of("app_desired_quarantined"), told.of("app_quarantined")) == ({}, {"": 1})
    job.service("web").stop(timeout=1)
    told.run("--once")
    assert told.of("heals_total") == {"healed": 1}
    assert told.of("drift_detected_total") == {"container": 1}
    assert told.of("deploys_total") == {"verified": 2, "reverted": 1}

    await_true("passes make it stable", lambda: "stable now" in job.once().stdout, seconds=60)
    job.service("capture").exec_run(["/bin/sh", "-c", "mv /data/state/schema /data/state/away"])

    def is_ill() -> bool:
        web = job.service("web")
        return str(web.attrs["State"]["Health"]["Status"]) == "unhealthy"

    await_true("the engine sees it", is_ill, seconds=30)
    told.run("--once")
    assert told.of("app_phase") == {"stable": 1}
    assert (told.of("app_sync_status"), told.of("app_health_status")) == ({"in_sync": 1}, {"degraded": 1})
    job.service("capture").exec_run(["/bin/sh", "-c", "mv /data/state/away /data/state/schema"])

    told.run("rollback")
    assert told.of("rollbacks_total") == {"breach verified": 1, "by_hand verified": 1}
    assert told.of("deploys_total") == {"verified": 2, "reverted": 1}
    told.run("suspend", "-m", "x")
    assert (told.of("app_phase"), told.of("app_sync_status")) == ({"suspended": 1}, {"unknown": 1})


@pytest.mark.exhaustive
def test_a_pass_that_lost_the_target_says_until_when_that_one_waits(tmp_path: Path, images: Images) -> None:
    """And the pass that comes there next counts what the target did alone."""
    directory = tmp_path / "ssh"
    directory.mkdir()
    with ssh_server(directory) as server, new_job(tmp_path, images, server) as job:
        told = Told(job, tmp_path / "r.prom")
        told.run("--once")
        job.repo.edit({"rollback.watchdog": "3s", "gates.window": "60s"})
        job.repo.release(images.good(GOOD[1]))
        with job.start("--once", "--metrics-file", str(told.path)) as running:
            running.wait_for("verifying for")
            began = time.time()
            server.cut_connections()
            running.end(expect=6)
        (deadline,) = told.of("app_watchdog_lease_deadline_timestamp_seconds").values()
        assert began + 3 <= deadline <= time.time() + 3
        assert (told.of("app_sync_status"), told.of("target_up")) == ({"unknown": 1}, {})
        assert told.of("app_phase") == {"stabilizing": 1}, "what it remembered stays"

        outcome = job.dir / ".reconciler" / "watchdog" / "outcome"
        await_true("the target has gone back", outcome.is_dir, seconds=90)
        job.repo.edit({"gates.window": "1s", "rollback.watchdog": "60s"})
        told.run("--once")
        assert told.of("app_watchdog_lease_deadline_timestamp_seconds") == {}
        assert told.of("rollbacks_total") == {"watchdog verified": 1}
        assert told.of("deploys_total") == {"verified": 2}
