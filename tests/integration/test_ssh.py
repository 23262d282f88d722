"""SSH against real servers: who is refused, why, and what a lost connection means."""

from __future__ import annotations

import io
import json
import os
import shutil
import socket
import subprocess
import sys
import tarfile
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from reconciler.adapters.engine.client import api_client
from reconciler.adapters.engine.errors import EngineError, engine_errors
from reconciler.adapters.engine.events import EventStream
from reconciler.adapters.transport._paramiko import common
from reconciler.adapters.transport.connection import Connection
from reconciler.adapters.transport.local import LocalTransport
from reconciler.adapters.transport.ssh import SshTransport
from reconciler.adapters.transport.ssh_settings import SshSettings
from reconciler.model.errors import LoginRefused, ReconcilerError, TargetTimeout, TargetUnreachable
from reconciler.ports import Transport
from tests.contract.conftest import settings
from tests.world.sshd import SshServer, ssh_server


@pytest.fixture(scope="module")
def sshd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SshServer]:
    with ssh_server(tmp_path_factory.mktemp("sshd")) as server:
        yield server


@contextmanager
def opened(how: SshSettings) -> Iterator[SshTransport]:
    transport = SshTransport(how)
    try:
        yield transport
    finally:
        transport.close()


def refusal(how: SshSettings) -> ReconcilerError:
    """What the first use raises; the login must fail."""
    with opened(how) as transport, pytest.raises(ReconcilerError) as caught:
        transport.run(["true"])
    return caught.value


def keygen(path: Path, *options: str) -> Path:
    passphrase = () if "-N" in options else ("-N", "")
    subprocess.run(["ssh-keygen", "-q", "-f", str(path), *passphrase, *options], check=True, timeout=60)
    return path


def fingerprint(key: Path) -> str:
    listed = subprocess.run(["ssh-keygen", "-lf", str(key)], check=True, capture_output=True, text=True, timeout=20)
    return listed.stdout.split()[1]


def test_an_unknown_host_key_is_refused_with_its_fingerprint_and_the_fix(sshd: SshServer, tmp_path: Path) -> None:
    error = refusal(replace(settings(sshd), known_hosts=tmp_path / "empty"))
    assert isinstance(error, LoginRefused)
    assert fingerprint(sshd.host_key) in str(error)
    assert f"ssh-keyscan -p {sshd.port} {sshd.host} >> {tmp_path / 'empty'}" in str(error)


def test_a_changed_host_key_is_refused_with_file_line_and_the_fix(sshd: SshServer, tmp_path: Path) -> None:
    other = keygen(tmp_path / "other", "-t", "ed25519")
    known = tmp_path / "known_hosts"
    name = f"[{sshd.host}]:{sshd.port}"
    known.write_text(f"# a comment\n{name} {other.with_suffix('.pub').read_text()}")
    error = refusal(replace(settings(sshd), known_hosts=known))
    assert isinstance(error, LoginRefused)
    for part in ("CHANGED", fingerprint(sshd.host_key), fingerprint(other), f"{known}:2", f"ssh-keygen -R '{name}'"):
        assert part in str(error)


def test_a_hashed_entry_is_known_and_a_revoked_one_refused(sshd: SshServer, tmp_path: Path) -> None:
    known = tmp_path / "known_hosts"
    shutil.copyfile(sshd.known_hosts, known)
    subprocess.run(["ssh-keygen", "-q", "-H", "-f", str(known)], check=True, capture_output=True, timeout=20)
    assert known.read_text().startswith("|1|")
    with opened(replace(settings(sshd), known_hosts=known)) as transport:
        assert transport.run(["true"]).status == 0
    known.write_text(f"{sshd.known_hosts.read_text()}@revoked * {sshd.host_key.with_suffix('.pub').read_text()}")
    assert "revokes" in str(refusal(replace(settings(sshd), known_hosts=known)))


def test_a_wrong_key_is_refused_and_named(sshd: SshServer, tmp_path: Path) -> None:
    wrong = keygen(tmp_path / "wrong", "-t", "ed25519")
    error = refusal(replace(settings(sshd), identity_file=wrong))
    assert isinstance(error, LoginRefused)
    assert f"{sshd.user}@{sshd.host}:{sshd.port}" in str(error)
    assert str(wrong) in str(error)


@pytest.mark.parametrize(
    "options", [("-t", "rsa"), ("-t", "rsa", "-m", "PEM"), ("-t", "ecdsa"), ("-t", "ecdsa", "-m", "PEM")]
)
def test_identity_files_of_every_kind_log_in(tmp_path: Path, options: tuple[str, ...]) -> None:
    keygen(tmp_path / "id_ed25519", *options)  # the server takes this name for its user's key
    with ssh_server(tmp_path) as server, opened(settings(server)) as transport:
        assert transport.run(["true"]).status == 0


def test_unusable_identity_files_say_why(sshd: SshServer, tmp_path: Path) -> None:
    encrypted = keygen(tmp_path / "encrypted", "-t", "ed25519", "-N", "secret")
    encrypted_pem = keygen(tmp_path / "encrypted_pem", "-t", "rsa", "-m", "PEM", "-N", "secret")
    broken = tmp_path / "broken"
    broken.write_text("-----BEGIN OPENSSH PRIVATE KEY-----\nnonsense\n-----END OPENSSH PRIVATE KEY-----\n")
    for file, words in [
        (tmp_path / "missing", "no such identity file"),
        (encrypted, f"encrypted, and no agent holds it; add it to one with: ssh-add {encrypted}"),
        (encrypted_pem, "encrypted"),
        (encrypted.with_suffix(".pub"), "the public half"),
        (broken, "can't read this private key"),
    ]:
        error = refusal(replace(settings(sshd), identity_file=file))
        assert isinstance(error, LoginRefused)
        assert words in str(error)
        assert str(file) in str(error)


def test_the_agent_holds_the_key_of_an_encrypted_file(
    sshd: SshServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As with ssh: identity_file names the key, the agent signs."""
    key = tmp_path / "key"
    shutil.copyfile(sshd.identity_file, key)
    key.chmod(0o600)
    shutil.copyfile(sshd.identity_file.with_suffix(".pub"), tmp_path / "key.pub")
    subprocess.run(["ssh-keygen", "-q", "-p", "-P", "", "-N", "secret", "-f", str(key)], check=True, timeout=20)
    sock = tmp_path / "agent"
    agent = subprocess.Popen(["ssh-agent", "-D", "-a", str(sock)], stdout=subprocess.PIPE)
    try:
        assert agent.stdout is not None
        agent.stdout.readline()  # it says where it listens
        environment = {**os.environ, "SSH_AUTH_SOCK": str(sock)}
        subprocess.run(
            ["ssh-add", "-q", str(sshd.identity_file)], check=True, env=environment, timeout=20, capture_output=True
        )
        monkeypatch.setenv("SSH_AUTH_SOCK", str(sock))
        with opened(replace(settings(sshd), identity_file=key)) as transport:
            assert transport.run(["true"]).status == 0
    finally:
        agent.terminate()
        agent.wait(10)


def test_a_server_that_accepts_and_says_nothing_is_a_timeout(sshd: SshServer) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        began = time.monotonic()
        error = refusal(replace(settings(sshd), port=silent.getsockname()[1], connect_timeout=0.5, label="prod"))
        assert isinstance(error, TargetTimeout)
        assert str(error).startswith(f"prod (127.0.0.1:{silent.getsockname()[1]}): no SSH session")
        assert "no banner" in str(error)
        assert time.monotonic() - began < 3


def test_a_failed_login_leaves_no_thread_behind(sshd: SshServer) -> None:
    """paramiko's handshake timer kept a process alive for seconds after it had nothing left to do."""
    before = {thread.ident for thread in threading.enumerate()}
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]

        def hang_up() -> None:
            peer, _ = listener.accept()
            with peer:
                peer.sendall(b"SSH-2.0-OpenSSH_9.2\r\n")

        closer = threading.Thread(target=hang_up)
        closer.start()
        error = refusal(replace(settings(sshd), port=port))
        closer.join()
    assert isinstance(error, TargetUnreachable)
    left = [thread for thread in threading.enumerate() if thread.ident not in before and not thread.daemon]
    assert not left


def test_a_refused_port_and_a_name_that_is_not_known_are_unreachable(sshd: SshServer) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        error = refusal(replace(settings(sshd), port=unused.getsockname()[1]))
    assert isinstance(error, TargetUnreachable)
    assert "no SSH session: connection refused; is sshd up?" in str(error)
    error = refusal(replace(settings(sshd), host="no-such-host.invalid"))
    assert isinstance(error, TargetUnreachable)
    assert "can't look up no-such-host.invalid" in str(error)


def test_something_that_is_not_sshd_is_named_so(sshd: SshServer) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def answer() -> None:
            peer, _ = listener.accept()
            with peer:
                peer.recv(100)
                peer.sendall(b"HTTP/1.1 400 Bad Request\r\n" * 200)
                peer.recv(100)

        server = threading.Thread(target=answer, daemon=True)
        server.start()
        error = refusal(replace(settings(sshd), port=listener.getsockname()[1], connect_timeout=5))
    assert isinstance(error, TargetUnreachable)
    assert "no sshd; is the port right?" in str(error)


def write_config(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


def test_the_ssh_configuration_is_followed(sshd: SshServer, tmp_path: Path) -> None:
    write_config(tmp_path / "included", f"Host prod\n  Port {sshd.port}\n  IdentityFile {sshd.identity_file}\n")
    config = write_config(
        tmp_path / "config",
        f"Include included\n"
        f"Host prod\n  HostName {sshd.host}\n  User {sshd.user}\n  IdentitiesOnly yes\n"
        f"  UserKnownHostsFile {sshd.known_hosts}\n  ConnectTimeout 5\n",
    )
    with opened(SshSettings(host="prod", config_file=config)) as transport:
        assert transport.name == f"{sshd.user}@{sshd.host}:{sshd.port}"
        assert transport.run(["true"]).status == 0


def test_a_jump_host_leads_to_the_target_and_each_key_is_checked(sshd: SshServer, tmp_path: Path) -> None:
    with ssh_server(tmp_path, options={"ListenAddress": "127.0.1.1"}) as inner:
        known = tmp_path / "known"
        known.write_text(sshd.known_hosts.read_text() + inner.known_hosts.read_text())
        text = (
            f"Host inner\n  HostName {inner.host}\n  Port {inner.port}\n  IdentityFile {inner.identity_file}\n"
            f"  ProxyJump outer,{sshd.user}@{sshd.host}:{sshd.port}\n"
            f"Host outer {sshd.host}\n  IdentityFile {sshd.identity_file}\n"
            f"Host outer\n  HostName {sshd.host}\n  Port {sshd.port}\n"
            f"Host *\n  User {inner.user}\n  UserKnownHostsFile {known}\n"
        )
        config = write_config(tmp_path / "config", text)
        with opened(SshSettings(host="inner", config_file=config)) as transport:
            assert transport.run(["printenv", "SSH_CONNECTION"]).stdout.split()[3] == str(inner.port).encode()
        known.write_text(sshd.known_hosts.read_text())
        error = refusal(SshSettings(host="inner", config_file=config))
        assert "unknown host key" in str(error)
        assert inner.host in str(error)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Host *\n  ProxyCommand nc %h %p\n", "ProxyCommand"),
        ("Host *\n  Port many\n", "Port"),
        ("Host *\n  ProxyJump a\n", "circles"),
        ("nonsense\n", "can't read this ssh configuration"),
    ],
)
def test_a_configuration_that_cannot_be_followed_is_refused(tmp_path: Path, text: str, words: str) -> None:
    error = refusal(SshSettings(host="somewhere", config_file=write_config(tmp_path / "config", text)))
    assert isinstance(error, LoginRefused)
    assert words in str(error)


def test_a_connection_cut_in_the_middle_is_unreachable_and_stays_so(tmp_path: Path) -> None:
    with ssh_server(tmp_path) as server, opened(settings(server)) as transport:
        process = transport.start(["sh", "-c", "echo ready; cat", "holder"])
        assert process.read_line(10) == b"ready"
        stream = transport.connect_unix("/var/run/docker.sock")
        threading.Timer(0.2, server.cut_connections).start()
        with pytest.raises(TargetUnreachable, match="connection lost") as caught:
            process.read_line(10)
        assert not isinstance(caught.value, TargetTimeout)
        with pytest.raises(ConnectionResetError):
            stream.recv(1)
        with pytest.raises(TargetUnreachable):
            transport.run(["true"])


@pytest.mark.parametrize("kind", [common.cMSG_CHANNEL_EOF, common.cMSG_CHANNEL_DATA], ids=["eof", "data"])
def test_what_is_sent_while_a_command_ends_doesnt_end_the_connection(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: bytes
) -> None:
    """OpenSSH disconnects whoever speaks of a channel that is closed: held back until the command has ended."""
    send = Connection._send_user_message  # type: ignore[attr-defined]  # paramiko's own
    held: list[Any] = []

    def late(connection: Any, message: Any) -> None:
        if message.asbytes()[:1] == kind and not held:
            (channel,) = connection._channels.values()
            held.append(channel)
            channel.status_event.wait(5.0)  # the command has ended, and the close comes right after
            threading.Event().wait(0.3)
        send(connection, message)

    with ssh_server(tmp_path) as server, opened(settings(server)) as transport:
        transport.run(["true"])
        monkeypatch.setattr(Connection, "_send_user_message", late)
        transport.run(["true"], stdin=b"" if kind == common.cMSG_CHANNEL_EOF else b"x")
        assert held, "there was something to hold back"
        for _ in range(3):
            assert transport.run(["true"]).status == 0


def test_many_threads_use_no_more_sessions_than_the_server_gives(tmp_path: Path) -> None:
    with ssh_server(tmp_path, options={"MaxSessions": "8"}) as server, opened(settings(server)) as transport:
        failures: list[Exception] = []
        most = 0
        running = 0
        lock = threading.Lock()

        def work() -> None:
            nonlocal most, running
            try:
                process = transport.start(["cat"])
                with lock:
                    running += 1
                    most = max(most, running)
                transport.connect_unix("/var/run/docker.sock").close()  # not counted
                with lock:
                    running -= 1
                assert process.wait(20).status == 0
            except Exception as error:  # noqa: BLE001 - reported below, in the test's own thread
                failures.append(error)

        threads = [threading.Thread(target=work) for _ in range(30)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert not failures
        assert 1 < most <= 8


def test_a_server_with_fewer_sessions_is_waited_for(tmp_path: Path) -> None:
    with ssh_server(tmp_path, options={"MaxSessions": "1"}) as server, opened(settings(server)) as transport:
        held = transport.start(["cat"])
        threading.Timer(0.3, lambda: held.wait(10)).start()
        assert transport.run(["true"], timeout=10).status == 0


def test_no_sessions_at_all_is_said(tmp_path: Path) -> None:
    with ssh_server(tmp_path, options={"MaxSessions": "0"}) as server, opened(settings(server)) as transport:
        with pytest.raises(TargetUnreachable, match="MaxSessions"):
            transport.run(["true"], timeout=10)
        transport.connect_unix("/var/run/docker.sock").close()


def test_forbidden_tcp_forwarding_is_a_permission_error(tmp_path: Path) -> None:
    options = {"AllowTcpForwarding": "no"}
    with (
        ssh_server(tmp_path, options=options) as server,
        opened(settings(server)) as transport,
        pytest.raises(PermissionError, match="forbids forwarding"),
    ):
        transport.connect_tcp("127.0.0.1", 1)


@pytest.fixture(params=["local", "ssh", "ssh-no-forwarding"])
def to_engine(request: pytest.FixtureRequest, sshd: SshServer, tmp_path: Path) -> Iterator[Transport]:
    if request.param == "local":
        yield LocalTransport()
    elif request.param == "ssh":
        with opened(settings(sshd)) as transport:
            yield transport
    else:
        options = {"AllowStreamLocalForwarding": "no"}
        with ssh_server(tmp_path, options=options) as server, opened(settings(server)) as transport:
            yield transport


@pytest.mark.engine
def test_events_come_as_they_happen_and_closing_ends_the_wait_at_once(to_engine: Transport) -> None:
    client = api_client(to_engine)
    nothing = io.BytesIO()
    tarfile.open(fileobj=nothing, mode="w").close()
    image = json.loads(client.import_image_from_data(nothing.getvalue()))["status"]
    mine, other = {"reconciler.test": str(os.getpid())}, {"reconciler.test": "another"}
    events = EventStream(to_engine, labels=[f"reconciler.test={os.getpid()}"])
    created: list[str] = []
    try:
        for labels in (other, mine):
            created.append(client.create_container(image, ["nothing"], labels=labels)["Id"])
        seen = next(iter(events))
        assert (seen["Type"], seen["Action"], seen["Actor"]["ID"]) == ("container", "create", created[1])
    finally:
        for container in created:
            client.remove_container(container)
        client.remove_image(image)
        events.close()

    quiet = EventStream(to_engine, labels=["nobody=has-this"])
    ended = threading.Event()

    def read() -> None:
        assert list(quiet) == []
        ended.set()

    threading.Thread(target=read, daemon=True).start()
    time.sleep(0.1)  # so that the reader is inside its read: nothing announces that
    quiet.close()
    assert ended.wait(2)


@pytest.mark.engine
def test_an_event_stream_on_a_lost_connection_is_unreachable(tmp_path: Path) -> None:
    with ssh_server(tmp_path) as server, opened(settings(server)) as transport:
        events = EventStream(transport, labels=["nobody=has-this"])
        threading.Timer(0.2, server.cut_connections).start()
        with pytest.raises(TargetUnreachable):
            next(iter(events))


@pytest.mark.engine
def test_what_the_engine_refuses_and_what_does_not_answer_stay_apart(to_engine: Transport, tmp_path: Path) -> None:
    client = api_client(to_engine)
    with pytest.raises(EngineError, match="No such container") as refused, engine_errors("prod"):
        client.inspect_container("no-such-container")
    assert refused.value.status == 404
    gone = api_client(to_engine, str(tmp_path / "gone.sock"))
    why = pytest.raises(TargetUnreachable, match=r"no engine at .*is dockerd up\?")
    with why, engine_errors("prod", str(tmp_path / "gone.sock")):
        gone.containers()


@pytest.mark.engine
def test_the_controllers_own_docker_configuration_is_not_read(
    to_engine: Transport, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "config.json").write_text('{"auths": 5, "credsStore": "explode", "proxies": "x"}')
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    assert api_client(to_engine).api_version.count(".") == 1


def test_a_command_is_over_when_its_timeout_is(tmp_path: Path) -> None:
    """Also one that never stops talking, whose data arrives all the time."""
    late = pytest.raises(TargetTimeout, match="given up")
    with ssh_server(tmp_path) as server, opened(settings(server)) as transport, late:
        transport.run(["yes"], timeout=0.5)


ABSENT = ("fcntl", "pwd", "grp", "termios", "resource")


def test_the_transports_import_and_work_out_a_route_on_windows() -> None:
    """No POSIX-only module and no Unix sockets (issue 2, "Any desk")."""
    script = (
        "import sys, socket\n"
        f"for name in {ABSENT!r}: sys.modules[name] = None\n"
        "if hasattr(socket, 'AF_UNIX'): del socket.AF_UNIX\n"
        "import pkgutil, importlib, reconciler.adapters.transport as package\n"
        "for module in pkgutil.iter_modules(package.__path__, package.__name__ + '.'):\n"
        "    importlib.import_module(module.name)\n"
        "import reconciler.adapters.engine.client, reconciler.adapters.engine.events\n"
        "from reconciler.adapters.transport.ssh import SshTransport\n"
        "from reconciler.adapters.transport.ssh_settings import SshSettings\n"
        "print(SshTransport(SshSettings(host='h', user='u')).name)\n"
    )
    environment = {**os.environ, "USERNAME": "somebody"}  # Windows always has it; without pwd nothing else tells
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, env=environment)
    assert (done.stdout, done.returncode) == ("u@h:22\n", 0), done.stderr


def test_a_local_target_never_imports_paramiko() -> None:
    script = (
        "import sys, reconciler.adapters.transport.local, reconciler.adapters.engine.client\n"
        "print([name for name in ('paramiko', 'invoke', 'cryptography') if name in sys.modules])\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60)
    assert (done.stdout, done.returncode) == ("[]\n", 0), done.stderr


@pytest.mark.parametrize("module", ["ssh", "connection", "streamlocal"])
def test_paramiko_comes_without_invoke(module: str) -> None:
    """A third of its import time, for a feature that we refuse."""
    script = f"import sys, reconciler.adapters.transport.{module}; print('invoke' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60)
    assert done.stdout == "False\n", done.stderr


@pytest.mark.engine
def test_calls_on_a_lost_connection_are_unreachable_also_over_a_kept_stream(tmp_path: Path) -> None:
    with ssh_server(tmp_path) as server, opened(settings(server)) as transport:
        client = api_client(transport)
        client.containers(all=True)
        server.cut_connections()
        for _ in range(2):
            with pytest.raises(TargetUnreachable), engine_errors("prod"):
                client.containers(all=True)


@pytest.mark.engine
def test_many_threads_share_one_client(to_engine: Transport, capfd: pytest.CaptureFixture[str]) -> None:
    client = api_client(to_engine)
    with ThreadPoolExecutor(16) as pool:
        assert all(isinstance(listed, list) for listed in pool.map(lambda _: client.containers(all=True), range(64)))
    assert capfd.readouterr().err == ""
