"""What reading an unchanged target costs: waits for the way there and back, which is what a far server makes slow."""

from __future__ import annotations

import pytest

from reconciler.cli.main import main
from tests.e2e.job import Job
from tests.world.turns import Counted

pytestmark = pytest.mark.engine


def test_an_unchanged_target_costs_two_round_trips_more_than_the_list_of_containers(
    job: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Files, links and state come with the lock; limits, networks, layers and keepers together after the lists."""
    job.repo.edit({"stabilization": {"period": "1s", "interval": "1s"}})
    job.repo.commit("Stable soon")
    job.once()
    for _ in range(20):
        if job.state()["phase"] == "stable":
            break
        job.once()
    assert job.state()["phase"] == "stable"
    counted = Counted()
    monkeypatch.setattr("reconciler.wiring.desk.transport_to", lambda _name, _target: counted)
    monkeypatch.chdir(job.repo.path)
    assert main(["--once"]) == 0
    assert len(counted.commands) == 1
    version, listing, details = 1, 1, 1
    assert counted.turns == version + listing + details
