"""A release waits for its window; what isn't one never does."""

from __future__ import annotations

import pytest

from tests.e2e.job import Job
from tests.world.images import GOOD

pytestmark = pytest.mark.engine

SHUT = [{"kind": "deny", "cron": "* * * * *", "duration": "1h"}]


def test_a_closed_window_holds_back_a_release_and_nothing_else(job: Job) -> None:
    """Exit 4, and the old tag serves; a container that somebody removed is back; a person's rollback is done."""
    first, second, third = job.images.good(), job.images.good(GOOD[1]), job.images.good(GOOD[2])
    job.deploy(first)
    job.deploy(second)
    job.repo.edit({"windows": SHUT})
    before = job.started()
    said = job.deploy(third, expect=4)
    assert f"{third} waits: denied by the window" in said.stdout
    assert job.started() == before
    assert "waits: denied by the window" in job.run("plan", expect=4).stdout
    job.service("web").remove(force=True)
    job.once(expect=4)
    assert job.project.version() == second
    job.run("rollback", expect=0)
    assert job.project.version() == first
    job.repo.edit({"windows": [{"kind": "allow", "cron": "* * * * *", "duration": "1h"}]})
    job.once()
    assert job.project.version() == third


def test_a_first_release_waits_too(job: Job) -> None:
    job.repo.edit({"windows": SHUT})
    job.deploy(job.images.good(), expect=4)
    assert job.project.containers() == {}
    job.repo.edit({"windows": None})
    job.once()
    assert job.project.version() == job.images.good()
