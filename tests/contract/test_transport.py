"""What every transport does, the fake included."""

from __future__ import annotations

import http.client
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from reconciler.adapters.engine.client import api_client
from reconciler.model.errors import TakenOver, TargetTimeout, TargetUnreachable
from reconciler.ports import Completed, Transport
from tests.fakes.transport import FakeTransport

NASTY = [
    "",
    "plain",
    "two words",
    "it's",
    'say "hi"',
    "line\nbreak",
    "$(id) `id` $HOME",
    "*",
    "~",
    "a;b|c&d>e<f",
    "back\\slash",
    "tab\there",
    "ünïcødé 日本 🚀",
    "-n",
    "#not a comment",
    "!history",
]
BIG = bytes(range(256)) * (20_000_000 // 256)


def test_exit_status_and_both_outputs_come_back(transport: Transport) -> None:
    completed = transport.run(["sh", "-c", "echo out; echo err >&2; exit 7", "exit-7"])
    assert (completed.status, completed.stdout, completed.stderr) == (7, b"out\n", b"err\n")


def test_a_signal_is_128_and_its_number(transport: Transport) -> None:
    assert transport.run(["sh", "-c", "kill -9 $$", "killed"]).status == 137


def test_a_missing_command_ends_with_127_as_in_a_shell(kind: str, transport: Transport) -> None:
    completed = transport.run(["no-such-command-anywhere"])
    assert completed.status == (1 if kind.endswith("sudo") else 127)  # sudo's own answer is 1
    assert b"not found" in completed.stderr


def test_standard_input_reaches_the_command(transport: Transport) -> None:
    assert transport.run(["cat"], stdin=b"by stdin\0\xff").stdout == b"by stdin\0\xff"


def test_twenty_megabytes_each_way_at_once_do_not_deadlock(transport: Transport) -> None:
    assert transport.run(["cat"], stdin=BIG).stdout == BIG


def test_input_that_nobody_reads_is_no_error(transport: Transport) -> None:
    assert transport.run(["true"], stdin=BIG).status == 0


def test_arguments_arrive_as_they_are(transport: Transport) -> None:
    completed = transport.run(["printf", "%s\\0", *NASTY])
    assert completed.stdout.decode().split("\0")[:-1] == NASTY


def test_env_is_added_and_survives_sudo(transport: Transport) -> None:
    assert transport.run(["printenv", "GREETING"], env={"GREETING": "it's $HOME"}).stdout == b"it's $HOME\n"


@pytest.mark.parametrize("command", [[], [""], ["true", "a\0b"]])
def test_what_no_shell_could_run_is_refused(transport: Transport, command: list[str]) -> None:
    with pytest.raises(ValueError, match=r"empty|NUL"):
        transport.run(command)


def test_a_command_that_outlives_its_timeout_is_a_timeout_that_names_it_alone(transport: Transport) -> None:
    began = time.monotonic()
    with pytest.raises(TargetTimeout, match="sleep 8") as caught:
        transport.run(["sleep", "8", "0"], timeout=0.3)
    assert time.monotonic() - began < 3
    assert "sleep 8 0" not in str(caught.value)
    assert transport.run(["true"]).status == 0


def test_a_process_is_read_line_by_line_and_ends_when_its_input_does(transport: Transport) -> None:
    script = "echo one; echo two; cat; printf rest; printf bye >&2; exit 3"
    process = transport.start(["sh", "-c", script, "lines"])
    assert process.read_line(10) == b"one"
    assert process.read_line(10) == b"two"
    with pytest.raises(TargetTimeout, match="lines"):
        process.read_line(0.1)
    completed = process.wait(10)
    assert (completed.status, completed.stdout, completed.stderr) == (3, b"rest", b"bye")


def test_what_is_written_reaches_a_running_process(transport: Transport) -> None:
    process = transport.start(["cat"])
    process.write(b"one\n")
    process.write(b"two\n")
    assert process.wait(10).stdout == b"one\ntwo\n"


def test_a_dialled_command_is_a_stream(transport: Transport) -> None:
    stream = transport.dial(["cat"])
    for word in (b"there", b"and back"):
        stream.sendall(word)
        assert stream.recv(100) == word
    stream.close()
    stream.close()


@pytest.mark.parametrize(("status", "error"), [(1, ConnectionRefusedError), (76, TakenOver)])
def test_a_dialled_command_that_fails_says_why(transport: Transport, status: int, error: type[Exception]) -> None:
    if isinstance(transport, FakeTransport):
        transport.on("sh", lambda call: Completed(status, b"", b"so it is\n"))
    stream = transport.dial(["sh", "-c", f"echo so it is >&2; exit {status}", "failing"])
    with pytest.raises(error, match="so it is"):
        stream.recv(100)
    stream.close()


def test_the_end_of_the_output_is_an_empty_line(transport: Transport) -> None:
    process = transport.start(["true"])
    assert process.read_line(10) == b""
    assert process.wait(10).status == 0


def test_closing_a_process_twice_does_no_harm(transport: Transport) -> None:
    process = transport.start(["cat"])
    process.close()
    process.close()
    assert transport.run(["true"]).status == 0


def test_tcp_reaches_a_listener_of_the_target(transport: Transport) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        threading.Thread(target=_echo_upper, args=(listener,), daemon=True).start()
        if isinstance(transport, FakeTransport):
            transport.tcp["127.0.0.1", port] = lambda sent: sent.upper()
        stream = transport.connect_tcp("127.0.0.1", port)
        stream.sendall(b"hello")
        assert stream.recv(100) == b"HELLO"
        stream.settimeout(0.1)
        with pytest.raises(TimeoutError):
            stream.recv(100)
        stream.close()


def test_a_port_that_nobody_listens_on_is_refused(transport: Transport) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))  # bound and not listening: refused, and nobody else's
        with pytest.raises(ConnectionRefusedError):
            transport.connect_tcp("127.0.0.1", unused.getsockname()[1])


@pytest.mark.engine
def test_the_engine_answers_over_its_socket(transport: Transport) -> None:
    stream: Any = transport.connect_unix("/var/run/docker.sock")
    connection = http.client.HTTPConnection("localhost")
    connection.sock = stream
    for _ in range(2):  # the same stream carries the second request, too
        connection.request("GET", "/_ping")
        answer = connection.getresponse()
        assert (answer.status, answer.read()) == (200, b"OK")
    connection.close()


@pytest.mark.engine
def test_the_docker_library_speaks_over_it(transport: Transport) -> None:
    if isinstance(transport, FakeTransport):
        pytest.skip("the fake is no engine")
    client = api_client(transport)
    assert client.version()["ApiVersion"]
    assert isinstance(client.containers(all=True), list)
    with_body = client.events(since=0, until=1, decode=True)  # a chunked stream that ends
    assert list(with_body) == []
    client.close()


def test_a_socket_that_is_not_there_is_an_os_error(transport: Transport) -> None:
    with pytest.raises((FileNotFoundError, ConnectionRefusedError)):
        transport.connect_unix("/nonexistent/engine.sock").recv(1)


def test_who_writes_before_reading_hears_the_same(transport: Transport) -> None:
    """More than any buffer holds, so that the write is still under way when the other side has ended."""
    with pytest.raises((FileNotFoundError, ConnectionRefusedError)):
        transport.connect_unix("/nonexistent/engine.sock").sendall(b"x" * (8 << 20))


def test_after_close_nothing_runs_and_closing_again_does_no_harm(transport: Transport) -> None:
    assert transport.run(["true"]).status == 0
    transport.close()
    transport.close()
    with pytest.raises(TargetUnreachable):
        transport.run(["true"])


def test_thirty_threads_share_it(transport: Transport) -> None:
    def work(number: int) -> list[bytes]:
        return [transport.run(["cat"], stdin=str(number).encode()).stdout for _ in range(4)]

    with ThreadPoolExecutor(30) as pool:
        assert list(pool.map(work, range(30))) == [[str(number).encode()] * 4 for number in range(30)]


def _echo_upper(listener: socket.socket) -> None:
    try:
        peer, _ = listener.accept()
    except OSError:
        return  # the fake has listeners of its own: nobody came
    with peer:
        while data := peer.recv(4096):
            peer.sendall(data.upper())
