"""The world as pytest fixtures; tests/conftest.py loads them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.world.engine import SecondEngine, second_engine
from tests.world.images import Images, session_images
from tests.world.registry import Registry, registry
from tests.world.world import Project, Repo, new_project, new_repo


@pytest.fixture(scope="session")
def images() -> Iterator[Images]:
    """The observer's images, good and bad, built on demand."""
    with session_images() as built:
        yield built


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    """A Compose project, a deploy_dir and a port of this test's own, on this machine's engine."""
    with new_project(tmp_path) as own:
        yield own


@pytest.fixture
def repo(tmp_path: Path, project: Project, images: Images) -> Repo:
    """A git repository whose deploy.yaml deploys the observer to `project`."""
    return new_repo(tmp_path / "repo", project, images)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[SecondEngine]:
    """A second server with a dockerd of its own, that a test may kill and reboot."""
    with second_engine(tmp_path / "second") as engine:
        yield engine


@pytest.fixture
def open_registry(tmp_path: Path) -> Iterator[Registry]:
    """A registry on loopback that asks nobody for a login."""
    directory = tmp_path / "open-registry"
    directory.mkdir()
    with registry(directory) as running:
        yield running
