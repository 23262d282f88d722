"""The transports that one contract holds for."""

from __future__ import annotations

import shutil
from collections.abc import Iterator

import pytest

from reconciler.adapters.transport.local import LocalTransport
from reconciler.adapters.transport.ssh import SshTransport
from reconciler.adapters.transport.ssh_settings import SshSettings
from reconciler.ports import Completed, Transport
from tests.fakes.transport import Call, FakeTransport
from tests.world.sshd import SshServer, ssh_server


def settings(server: SshServer, *, sudo: bool = False) -> SshSettings:
    """How to reach a test server without this machine's own ssh configuration."""
    empty = server.known_hosts.with_name("empty_config")
    empty.touch()
    return SshSettings(
        host=server.host,
        port=server.port,
        user=server.user,
        identity_file=server.identity_file,
        known_hosts=server.known_hosts,
        config_file=empty,
        sudo=sudo,
    )


@pytest.fixture(scope="session")
def sshd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SshServer]:
    with ssh_server(tmp_path_factory.mktemp("sshd"), options={"MaxSessions": "8"}) as server:
        yield server


@pytest.fixture(scope="session")
def closed_sshd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SshServer]:
    """Forbids the forwarding of sockets."""
    options = {"AllowStreamLocalForwarding": "no"}
    with ssh_server(tmp_path_factory.mktemp("sshd-closed"), options=options) as server:
        yield server


def fake() -> FakeTransport:
    """The fake, with what the contract's commands do."""
    transport = FakeTransport()
    transport.unix["/var/run/docker.sock"] = _ping

    def shell(call: Call) -> Completed:
        name = call.command[3]
        if name == "exit-7":
            return Completed(7, b"out\n", b"err\n")
        if name == "killed":
            return Completed(137, b"", b"")
        if name == "lines":
            call.write(b"one\ntwo\n")
            call.closed.wait()
            call.write(b"rest")
            return Completed(3, b"", b"bye")
        raise AssertionError(f"the contract runs nothing called {name}")

    transport.on("sh", shell)
    transport.hang("sleep")
    return transport


def _ping(sent: bytes) -> bytes | None:
    if b"\r\n\r\n" not in sent:
        return None
    return b"HTTP/1.1 200 OK\r\nApi-Version: 1.45\r\nContent-Length: 2\r\n\r\nOK"


KINDS = ["local", "local-sudo", "ssh", "ssh-no-forwarding", "ssh-sudo", "fake"]


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def transport(kind: str, request: pytest.FixtureRequest) -> Iterator[Transport]:
    if kind.endswith("sudo") and shutil.which("sudo") is None:
        pytest.skip("sudo is not installed")
    made: Transport
    if kind == "fake":
        made = fake()
    elif kind.startswith("local"):
        made = LocalTransport(sudo=kind == "local-sudo")
    else:
        server = request.getfixturevalue("closed_sshd" if kind == "ssh-no-forwarding" else "sshd")
        made = SshTransport(settings(server, sudo=kind == "ssh-sudo"))
    yield made
    made.close()
