"""Jobs over both transports, and a neighbour that no pass may touch."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import docker
import pytest

from tests.e2e.job import Job, new_job
from tests.world.images import Images
from tests.world.sshd import SshServer, ssh_server


@pytest.fixture(scope="session")
def sshd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SshServer]:
    """One real sshd for all tests."""
    with ssh_server(tmp_path_factory.mktemp("sshd")) as server:
        yield server


@pytest.fixture
def job(tmp_path: Path, images: Images) -> Iterator[Job]:
    """A job on this machine; nothing is deployed yet."""
    with new_job(tmp_path, images) as own:
        yield own


@pytest.fixture
def far_job(tmp_path: Path, images: Images, sshd: SshServer) -> Iterator[Job]:
    """A job over a real sshd; nothing is deployed yet."""
    with new_job(tmp_path, images, sshd) as own:
        yield own


@pytest.fixture(params=[pytest.param("local", marks=pytest.mark.exhaustive), "ssh"])
def any_job(request: pytest.FixtureRequest, tmp_path: Path, images: Images) -> Iterator[Job]:
    """A job over a real sshd, and the same on this machine."""
    server = request.getfixturevalue("sshd") if request.param == "ssh" else None
    with new_job(tmp_path, images, server) as own:
        yield own


@dataclass(frozen=True)
class Neighbour:
    """A container of another Compose project on the same engine."""

    id: str
    started_at: str

    def assert_untouched(self) -> None:
        """It still runs, and was never restarted."""
        with closing(docker.DockerClient.from_env()) as engine:
            state = engine.containers.get(self.id).attrs["State"]
        assert (state["Running"], state["StartedAt"]) == (True, self.started_at)


@pytest.fixture(scope="session")
def neighbour(images: Images) -> Iterator[Neighbour]:
    """Another team's app: it runs one of the same images, under a project of its own."""
    with closing(docker.DockerClient.from_env()) as engine:
        name = f"neighbour-{os.getpid()}"
        container = engine.containers.run(
            images.reference(images.good()),
            ["/bin/sleep", "3600"],
            name=name,
            labels={"com.docker.compose.project": name, "com.docker.compose.service": "web"},
            detach=True,
        )
        container.reload()
        try:
            yield Neighbour(str(container.id), container.attrs["State"]["StartedAt"])
        finally:
            container.remove(force=True)
