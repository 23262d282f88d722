"""An engine to look at, by both transports. A test module may have its own fixtures of these names."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from reconciler.adapters.engine.engine import DockerEngine
from reconciler.adapters.transport.local import LocalTransport
from reconciler.adapters.transport.ssh import SshTransport
from reconciler.adapters.transport.ssh_settings import SshSettings
from reconciler.ports import Transport
from tests.integration.lab import Lab, new_lab
from tests.world import unfenced
from tests.world.sshd import SshServer, ssh_server


@pytest.fixture
def lab() -> Iterator[Lab]:
    with new_lab() as made:
        yield made


@pytest.fixture(scope="module")
def sshd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SshServer]:
    with ssh_server(tmp_path_factory.mktemp("sshd")) as server:
        yield server


@pytest.fixture(params=["local", "ssh"])
def transport(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Transport]:
    made: Transport = LocalTransport()
    if request.param == "ssh":
        server: SshServer = request.getfixturevalue("sshd")
        (tmp_path / "empty").touch()
        made = SshTransport(
            SshSettings(
                host=server.host,
                port=server.port,
                user=server.user,
                identity_file=server.identity_file,
                known_hosts=server.known_hosts,
                config_file=tmp_path / "empty",
            )
        )
    yield made
    made.close()


@pytest.fixture
def engine(transport: Transport) -> Iterator[DockerEngine]:
    made = unfenced.engine(transport)
    yield made
    made.close()
