"""Gates against real servers and real containers: what breaches, what is an error, and what is said of it."""

from __future__ import annotations

import http.server
import socket
import ssl
import struct
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from reconciler.adapters.gates.build import GateContext, gates_for
from reconciler.adapters.gates.names import Names
from reconciler.adapters.transport.local import LocalTransport
from reconciler.adapters.transport.ssh import SshTransport
from reconciler.adapters.transport.ssh_settings import SshSettings
from reconciler.model.errors import TargetUnreachable
from reconciler.model.gates import Gates
from reconciler.model.measure import GateKind, Measurement, Outcome, Subject
from reconciler.model.stored import ServiceFacts
from reconciler.ports import Gate, Transport
from tests.integration.lab import FOREVER, Lab, new_lab
from tests.world import unfenced
from tests.world.network import free_port
from tests.world.sshd import SshServer, ssh_server

SECRET = "hunter2-of-the-database"
HEALTH = {"Interval": 200_000_000, "Timeout": 2_000_000_000, "Retries": 1}
Handler = Callable[[http.server.BaseHTTPRequestHandler], None]


class WallClock:
    """This machine's clock, off by `error`."""

    def __init__(self, error: timedelta = timedelta()) -> None:
        self._error = error

    def now(self) -> datetime:
        return datetime.now(UTC) + self._error

    def monotonic(self) -> float:
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)


def masked(text: str) -> str:
    return text.replace(SECRET, "***")


@pytest.fixture
def lab() -> Iterator[Lab]:
    with new_lab() as made:
        yield made


@pytest.fixture(scope="module")
def sshd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SshServer]:
    with ssh_server(tmp_path_factory.mktemp("sshd")) as server:
        yield server


@pytest.fixture(params=["local", "ssh"])
def transport(request: pytest.FixtureRequest) -> Iterator[Transport]:
    made: Transport = LocalTransport() if request.param == "local" else over(request.getfixturevalue("sshd"))
    yield made
    made.close()


def over(server: SshServer) -> SshTransport:
    empty = server.known_hosts.with_name("empty_config")
    empty.touch()
    return SshTransport(
        SshSettings(
            host=server.host,
            port=server.port,
            user=server.user,
            identity_file=server.identity_file,
            known_hosts=server.known_hosts,
            config_file=empty,
        )
    )


def gates(
    spec: Mapping[str, Any],
    *,
    transport: Transport,
    project: str = "none",
    services: Mapping[str, ServiceFacts] | None = None,
    since: datetime | None = None,
    clock: WallClock | None = None,
    deploy_dir: str = "/",
    names: Names | None = None,
) -> dict[GateKind, Gate]:
    """The gates of one deploy.yaml section, by kind (tests use one of each); on this machine's engine."""
    clock = clock or WallClock()
    context = GateContext(
        transport=transport,
        engine=unfenced.engine(transport),
        project=project,
        expected=services or {},
        since=since or clock.now(),
        clock=clock,
        redact=masked,
        deploy_dir=deploy_dir,
        names=names or Names("app", "prod", Subject("20260122_101500", since or clock.now())),
        learn=lambda _: None,
        desk=Path(deploy_dir),
    )
    return {gate.kind: gate for gate in gates_for(Gates.model_validate(spec), context)}


def http_gate(url: str, transport: Transport, vantage: str = "target", timeout: str = "2s", status: int = 200) -> Gate:
    spec = {"name": "api", "url": url, "from": vantage, "timeout": timeout, "status": status}
    return gates({"http": [spec]}, transport=transport)[GateKind.HTTP]


def service(**facts: Any) -> ServiceFacts:
    return ServiceFacts(digest="d", image="i", image_id="i", **facts)


@contextmanager
def serving(handler: Handler, *, tls: ssl.SSLContext | None = None) -> Iterator[int]:
    """The port of an HTTP server on loopback that answers every GET by `handler`."""

    class Answering(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            handler(self)

        def log_message(self, *_: Any) -> None:
            return None

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answering)
    server.daemon_threads = True
    server.block_on_close = False
    if tls:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        server.server_close()


def answer(status: int, body: bytes = b"", headers: Mapping[str, str] | None = None) -> Handler:
    def write(request: http.server.BaseHTTPRequestHandler) -> None:
        request.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **(headers or {})}.items():
            request.send_header(name, value)
        request.end_headers()
        request.wfile.write(body)

    return write


@contextmanager
def accepting(handle: Callable[[socket.socket], None]) -> Iterator[int]:
    """The port of a TCP server on loopback; `handle` gets each connection."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def accept() -> None:
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                with connection:
                    handle(connection)

        threading.Thread(target=accept, daemon=True).start()
        try:
            yield listener.getsockname()[1]
        finally:
            listener.shutdown(socket.SHUT_RDWR)


def reset(connection: socket.socket) -> None:
    connection.recv(1)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


BOTH = pytest.mark.parametrize("vantage", ["target", "controller"])


@pytest.mark.engine
class TestHttp:
    @BOTH
    def test_the_expected_status_passes(self, transport: Transport, vantage: str) -> None:
        with serving(answer(204)) as port:
            measured = http_gate(f"http://127.0.0.1:{port}/healthz?x=1", transport, vantage, status=204).measure()
        assert measured.outcome is Outcome.PASS
        assert (measured.gate, measured.kind, measured.value) == ("api", GateKind.HTTP, 204)
        assert measured.query == f"status of GET http://127.0.0.1:{port}/healthz?x=1 from the {vantage}, expected 204"
        assert abs(measured.at - datetime.now(UTC)) < timedelta(seconds=5)

    @BOTH
    def test_a_wrong_status_quotes_the_first_line_of_the_body_masked(self, transport: Transport, vantage: str) -> None:
        body = f"\n observer: database is locked\x1b[0m {SECRET}\nTraceback: …".encode()
        with serving(answer(500, body)) as port:
            measured = http_gate(f"http://127.0.0.1:{port}/healthz", transport, vantage).measure()
        assert (measured.outcome, measured.value, measured.fatal) == (Outcome.BREACH, 500, False)
        url = f"http://127.0.0.1:{port}/healthz"
        assert measured.seen == f"GET {url} answered 500: observer: database is locked�[0m ***"

    def test_a_secret_at_the_cut_is_masked_whole(self, transport: Transport) -> None:
        with serving(answer(500, b"x" * 190 + SECRET.encode())) as port:
            measured = http_gate(f"http://127.0.0.1:{port}/", transport).measure()
        assert measured.seen.endswith("x***")

    def test_a_long_line_is_cut(self, transport: Transport) -> None:
        with serving(answer(503, b"y" * 100_000)) as port:
            measured = http_gate(f"http://127.0.0.1:{port}/", transport).measure()
        assert measured.seen.endswith("y…")
        assert measured.seen.count("y") == 199

    @BOTH
    def test_a_redirect_is_an_answer_and_not_followed(self, transport: Transport, vantage: str) -> None:
        asked: list[str] = []

        def redirect(request: http.server.BaseHTTPRequestHandler) -> None:
            asked.append(request.path)
            answer(302, headers={"Location": "/login"})(request)

        with serving(redirect) as port:
            measured = http_gate(f"http://127.0.0.1:{port}/", transport, vantage).measure()
        assert measured.outcome is Outcome.BREACH
        assert measured.seen.endswith("answered 302: to /login")
        assert asked == ["/"]

    @BOTH
    def test_refused_is_a_breach(self, transport: Transport, vantage: str) -> None:
        url = f"http://127.0.0.1:{free_port()}/"
        measured = http_gate(url, transport, vantage).measure()
        assert (measured.outcome, measured.seen) == (Outcome.BREACH, f"GET {url}: connection refused")

    @BOTH
    def test_a_reset_is_a_breach(self, transport: Transport, vantage: str) -> None:
        with accepting(reset) as port:
            measured = http_gate(f"http://127.0.0.1:{port}/", transport, vantage).measure()
        assert measured.outcome is Outcome.BREACH
        assert any(text in measured.seen for text in ("reset", "closed", "without response"))

    @BOTH
    @pytest.mark.parametrize("drip", [b"HTTP/1.1 200 OK\r\nX: " + b"y" * 200, b"HTTP/1.1 200 OK\r\n\r\n" + b"z" * 200])
    def test_a_slow_drip_ends_with_the_whole_deadline(self, transport: Transport, vantage: str, drip: bytes) -> None:
        def slowly(connection: socket.socket) -> None:
            connection.recv(65536)
            for byte in drip:
                try:
                    connection.sendall(bytes([byte]))
                except OSError:
                    return
                time.sleep(0.05)  # the drip itself

        with accepting(slowly) as port:
            gate = http_gate(f"http://127.0.0.1:{port}/", transport, vantage, timeout="500ms")
            before = time.monotonic()
            measured = gate.measure()
        assert time.monotonic() - before < 2.0
        assert (measured.outcome, measured.seen.rpartition("/: ")[2]) == (Outcome.BREACH, "no answer within 0.5 s")

    @BOTH
    def test_a_server_that_accepts_and_says_nothing_is_a_breach(self, transport: Transport, vantage: str) -> None:
        done = threading.Event()

        def silent(_: socket.socket) -> None:
            done.wait(10)

        with accepting(silent) as port:
            measured = http_gate(f"http://127.0.0.1:{port}/", transport, vantage, timeout="300ms").measure()
            done.set()
        assert measured.outcome is Outcome.BREACH
        assert "no answer within 0.3 s" in measured.seen

    @BOTH
    def test_what_is_no_http_is_a_breach(self, transport: Transport, vantage: str) -> None:
        def greet(connection: socket.socket) -> None:
            connection.recv(65536)
            connection.sendall(b"220 mail\r\n")

        with accepting(greet) as port:
            measured = http_gate(f"http://127.0.0.1:{port}/", transport, vantage).measure()
        assert measured.outcome is Outcome.BREACH
        assert "no HTTP answer" in measured.seen

    @BOTH
    def test_a_huge_body_is_read_only_at_its_beginning(self, transport: Transport, vantage: str) -> None:
        sent: list[int] = []

        def endless(request: http.server.BaseHTTPRequestHandler) -> None:
            request.send_response(200)
            request.end_headers()
            try:
                while True:
                    sent.append(request.wfile.write(b"x" * 65536))
            except OSError:
                return

        with serving(endless) as port:
            assert http_gate(f"http://127.0.0.1:{port}/", transport, vantage).measure().outcome is Outcome.PASS

    @BOTH
    def test_https_with_a_certificate_that_nobody_trusts_is_a_breach(
        self, transport: Transport, vantage: str, tmp_path: Path
    ) -> None:
        with serving(answer(200), tls=certificate(tmp_path)) as port:
            measured = http_gate(f"https://localhost:{port}/", transport, vantage).measure()
        assert measured.outcome is Outcome.BREACH
        assert "certificate verify failed" in measured.seen

    @BOTH
    def test_https_with_a_trusted_certificate_passes(
        self, transport: Transport, vantage: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        tls = certificate(tmp_path)
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "cert.pem"))
        with serving(answer(500, b"x" * 40_000), tls=tls) as port:
            measured = http_gate(f"https://localhost:{port}/", transport, vantage).measure()
        assert measured.value == 500
        assert measured.seen.endswith("x…")

    def test_a_name_that_the_controller_cannot_resolve_is_an_error_of_measuring(self, transport: Transport) -> None:
        measured = http_gate("http://no-such-host.invalid/", transport, "controller").measure()
        assert measured.outcome is Outcome.ERROR
        assert "the controller can't reach no-such-host.invalid" in measured.seen

    def test_a_name_that_the_target_cannot_resolve_is_a_breach(self, transport: Transport) -> None:
        assert http_gate("http://no-such-host.invalid/", transport).measure().outcome is Outcome.BREACH

    def test_forwarding_forbidden_is_an_error_of_measuring(self, tmp_path: Path) -> None:
        with (
            ssh_server(tmp_path, options={"AllowTcpForwarding": "no"}) as server,
            serving(answer(200)) as port,
        ):
            transport = over(server)
            measured = http_gate(f"http://127.0.0.1:{port}/", transport).measure()
            transport.close()
        assert measured.outcome is Outcome.ERROR
        assert "does the target's sshd allow forwarding?" in measured.seen

    def test_a_connection_lost_in_the_middle_is_unreachable_and_no_breach(self, tmp_path: Path) -> None:
        asked, done = threading.Event(), threading.Event()

        def hold(connection: socket.socket) -> None:
            connection.recv(65536)
            asked.set()
            done.wait(20)

        def cut() -> None:
            asked.wait(10)
            server.cut_connections()

        with ssh_server(tmp_path) as server, accepting(hold) as port:
            transport = over(server)
            gate = http_gate(f"http://127.0.0.1:{port}/", transport, timeout="10s")
            threading.Thread(target=cut, daemon=True).start()
            with pytest.raises(TargetUnreachable):
                gate.measure()
            done.set()
            transport.close()


def certificate(tmp_path: Path) -> ssl.SSLContext:
    """A server's context with a new certificate for localhost, also in cert.pem."""
    cert, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    new = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"]
    name = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"]
    subprocess.run(
        [*new, *name, "-keyout", str(key), "-out", str(cert)],
        check=True,
        capture_output=True,
        timeout=30,
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    return context


def network(what: Mapping[str, str], transport: Transport) -> Measurement:
    spec = {"name": "db", "timeout": "1s", **what}
    return gates({"network": [spec]}, transport=transport)[GateKind.NETWORK].measure()


@pytest.mark.engine
class TestNetwork:
    @BOTH
    def test_reach_by_tcp_and_by_any_http_answer(self, transport: Transport, vantage: str) -> None:
        with serving(answer(503)) as port:
            by_tcp = network({"tcp": f"127.0.0.1:{port}", "from": vantage}, transport)
            by_http = network({"http": f"http://127.0.0.1:{port}/", "from": vantage}, transport)
        assert (by_tcp.outcome, by_tcp.seen) == (Outcome.PASS, f"tcp 127.0.0.1:{port}: connected")
        assert (by_http.outcome, by_http.value) == (Outcome.PASS, 503)

    @BOTH
    def test_out_of_reach_is_a_breach(self, transport: Transport, vantage: str) -> None:
        port = free_port()
        for what in ({"tcp": f"127.0.0.1:{port}"}, {"http": f"http://127.0.0.1:{port}/"}):
            measured = network({**what, "from": vantage}, transport)
            assert measured.outcome is Outcome.BREACH
            assert measured.seen.endswith("connection refused")

    def test_an_unknown_name_is_a_breach_from_the_target_and_an_error_from_here(self, transport: Transport) -> None:
        what = {"tcp": "no-such-host.invalid:5432"}
        assert network(what, transport).outcome is Outcome.BREACH
        assert network({**what, "from": "controller"}, transport).outcome is Outcome.ERROR

    def test_forwarding_forbidden_is_an_error(self, tmp_path: Path) -> None:
        with ssh_server(tmp_path, options={"AllowTcpForwarding": "no"}) as server:
            transport = over(server)
            assert network({"tcp": "127.0.0.1:1"}, transport).outcome is Outcome.ERROR
            transport.close()


def containers(lab: Lab, services: Mapping[str, ServiceFacts], since: datetime | None = None, **spec: Any) -> Gate:
    made = gates(
        {"containers": spec},
        transport=LocalTransport(),
        project=lab.project,
        services=services,
        since=since or datetime.now(UTC) - timedelta(seconds=60),
    )
    return made[GateKind.CONTAINERS]


@pytest.mark.engine
class TestContainers:
    def test_everything_runs(self, lab: Lab) -> None:
        lab.run("web")
        lab.run("web")
        lab.run("db")
        lab.run("stranger", "exit 1")
        measured = containers(lab, {"web": service(replicas=2), "db": service()}).measure()
        assert (measured.outcome, measured.value, measured.seen) == (Outcome.PASS, 3, "3 of 3 running")

    def test_a_container_is_missing(self, lab: Lab) -> None:
        lab.run("web")
        measured = containers(lab, {"web": service(replicas=2), "db": service()}).measure()
        assert (measured.outcome, measured.fatal, measured.value) == (Outcome.BREACH, False, 1)
        assert measured.seen == "web: 1 of 2 containers; db: no container"

    def test_a_percentage_forgives_what_does_not_run(self, lab: Lab) -> None:
        for _ in range(3):
            lab.run("web")
        lab.ended(lab.run("web", "exit 3"))
        expected = {"web": service(replicas=4)}
        assert containers(lab, expected, running="75%").measure().outcome is Outcome.PASS
        failed = containers(lab, expected, running="76%").measure()
        assert (failed.outcome, failed.fatal) == (Outcome.BREACH, True)

    @pytest.mark.parametrize(("script", "code"), [("exit 3", 3), ("exit 0", 0), ("exit 139", 139)])
    def test_a_container_that_exits_is_fatal(self, lab: Lab, script: str, code: int) -> None:
        web = lab.run("web", script)
        lab.ended(web)
        measured = containers(lab, {"web": service()}).measure()
        assert (measured.outcome, measured.fatal, measured.container) == (Outcome.BREACH, True, web)
        assert measured.seen.startswith(f"web: exited with code {code}")

    def test_a_crash_loop_is_fatal_at_once_even_where_the_percentage_is_met(self, lab: Lab) -> None:
        lab.run("web")
        loops = lab.run("web", "exit 3", HostConfig={"RestartPolicy": {"Name": "always"}})
        lab.until(loops, lambda it: it["RestartCount"] >= 2 and it["State"]["Status"] == "restarting")
        measured = containers(lab, {"web": service(replicas=2)}, running="50%").measure()
        assert (measured.outcome, measured.fatal, measured.container) == (Outcome.BREACH, True, loops)
        assert "exited with code 3 after" in measured.seen

    def test_restarts_within_the_limit_are_no_crash_loop(self, lab: Lab) -> None:
        script = "[ $(cat /n 2>/dev/null || echo 0) -ge 2 ] && { " + FOREVER + "; }; "
        script += "echo $(( $(cat /n 2>/dev/null || echo 0) + 1 )) > /n; exit 3"
        web = lab.run("web", script, HostConfig={"RestartPolicy": {"Name": "always"}})
        lab.until(web, lambda it: it["RestartCount"] == 2 and it["State"]["Status"] == "running")
        assert containers(lab, {"web": service()}, max_restarts=2).measure().outcome is Outcome.PASS
        measured = containers(lab, {"web": service()}, max_restarts=1).measure()
        assert (measured.fatal, measured.seen) == (True, "web: exited with code 3 after 2 restarts")

    def test_restarts_before_the_switch_do_not_count_and_later_ones_do(self, lab: Lab) -> None:
        script = "[ -e /n ] && { trap 'exit 3' TERM; while :; do sleep 60 & wait $!; done; }; echo > /n; exit 3"
        web = lab.run("web", script, HostConfig={"RestartPolicy": {"Name": "always"}})
        lab.until(web, lambda it: it["RestartCount"] == 1 and it["State"]["Status"] == "running")
        gate = containers(lab, {"web": service()}, since=datetime.now(UTC))
        assert gate.measure().outcome is Outcome.PASS
        lab.client.exec_start(lab.client.exec_create(web, ["/bin/kill", "-TERM", "1"])["Id"])
        lab.until(web, lambda it: it["RestartCount"] == 2 and it["State"]["Status"] == "running")
        measured = gate.measure()
        assert (measured.outcome, measured.fatal) == (Outcome.BREACH, True)
        assert measured.seen == "web: exited with code 3 after 1 restart"

    def test_an_unhealthy_container_quotes_its_probe_masked(self, lab: Lab) -> None:
        probe = f"echo 'wget: server returned error: HTTP/1.1 500 {SECRET}'; echo more; exit 1"
        web = lab.run("web", Healthcheck={**HEALTH, "Test": ["CMD-SHELL", probe]})
        lab.until(web, lambda it: it["State"]["Health"]["Status"] == "unhealthy")
        measured = containers(lab, {"web": service(has_health=True)}).measure()
        assert (measured.outcome, measured.fatal, measured.container) == (Outcome.BREACH, True, web)
        assert measured.seen == "web: unhealthy: wget: server returned error: HTTP/1.1 500 ***"

    def test_a_health_check_that_starts_is_inconclusive(self, lab: Lab) -> None:
        lab.run("web", Healthcheck={**HEALTH, "Interval": 3_600_000_000_000, "Test": ["CMD", "/bin/true"]})
        measured = containers(lab, {"web": service(has_health=True)}).measure()
        assert (measured.outcome, measured.seen) == (Outcome.INCONCLUSIVE, "web: health check still starting")

    def test_paused_and_never_started_containers_breach(self, lab: Lab) -> None:
        lab.client.pause(lab.run("web"))
        lab.run("db", start=False)
        measured = containers(lab, {"web": service(), "db": service()}).measure()
        assert (measured.outcome, measured.fatal) == (Outcome.BREACH, False)
        assert measured.seen == "web: paused; db: not started"

    def test_out_of_memory_is_named(self, lab: Lab) -> None:
        web = lab.run("web", "x=x; while :; do x=$x$x; done", HostConfig={"Memory": 16 * 2**20})
        lab.ended(web)
        measured = containers(lab, {"web": service()}).measure()
        assert (measured.fatal, measured.seen) == (True, "web: out of memory, exited with code 137")

    @pytest.mark.parametrize(
        ("script", "outcome", "fatal"),
        [
            ("exit 0", Outcome.PASS, False),
            ("exit 7", Outcome.BREACH, True),
            (FOREVER, Outcome.INCONCLUSIVE, False),
            (None, Outcome.PASS, False),
        ],
    )
    def test_one_shots(self, lab: Lab, script: str | None, outcome: Outcome, fatal: bool) -> None:
        lab.run("web")
        if script:
            init = lab.run("init", script)
            if script.startswith("exit"):
                lab.ended(init)
        measured = containers(lab, {"init": service(one_shot=True), "web": service()}).measure()
        assert (measured.outcome, measured.fatal, measured.value) == (outcome, fatal, 1)
        if fatal:
            assert measured.seen == "init: exited with code 7"

    def test_one_off_runs_do_not_count(self, lab: Lab) -> None:
        lab.run("web", Labels={"com.docker.compose.oneoff": "True"})
        assert containers(lab, {"web": service()}).measure().outcome is Outcome.BREACH


def logs(lab: Lab, since: datetime | None = None, clock: WallClock | None = None, **spec: Any) -> Gate:
    made = gates(
        {"logs": {"fatal": ["FATAL", "CRIT(ICAL)?"], **spec}},
        transport=LocalTransport(),
        project=lab.project,
        services={"web": service(), "db": service()},
        since=since or datetime.now(UTC) - timedelta(seconds=60),
        clock=clock,
    )
    return made[GateKind.LOGS]


def say(lab: Lab, container: str, line: str) -> None:
    """Lets the container's first process write a line, and waits until the engine has it."""
    lab.client.exec_start(lab.client.exec_create(container, ["/bin/sh", "-c", f"echo '{line}' > /proc/1/fd/1"])["Id"])
    deadline = time.monotonic() + 5
    while line.encode() not in lab.client.logs(container):
        assert time.monotonic() < deadline
        time.sleep(0.01)  # a log line is no event


@pytest.mark.engine
class TestLogs:
    def test_no_fatal_line_passes_and_one_breaches_without_being_quoted(self, lab: Lab) -> None:
        web = lab.run("web", Cmd=["/bin/sh", "-c", f"echo fine; {FOREVER}"])
        gate = logs(lab)
        say(lab, web, "all is well")
        assert gate.measure().outcome is Outcome.PASS
        say(lab, web, f"FATAL: no route, password {SECRET} carol@example.org")
        measured = gate.measure()
        assert (measured.outcome, measured.value, measured.container) == (Outcome.BREACH, 1, web)
        assert measured.seen == "1 line of web matching FATAL"

    def test_lines_are_counted_once_however_often_it_measures(self, lab: Lab) -> None:
        web = lab.run("web", "echo CRITICAL; echo FATAL and CRITICAL; echo CRIT >&2; " + FOREVER)
        say(lab, web, "CRIT the same")
        gate = logs(lab, max=4)
        for _ in range(3):
            measured = gate.measure()
            assert (measured.outcome, measured.value) == (Outcome.PASS, 4)
        say(lab, web, "CRIT the same")
        measured = gate.measure()
        assert (measured.outcome, measured.value) == (Outcome.BREACH, 5)
        assert measured.seen == "4 lines of web matching CRIT(ICAL)?, 1 line of web matching FATAL"

    def test_lines_from_before_the_switch_do_not_count_whatever_the_controllers_clock_says(self, lab: Lab) -> None:
        web = lab.run("web")
        say(lab, web, "FATAL old")
        for error in (timedelta(), timedelta(days=1), timedelta(days=-1)):
            clock = WallClock(error)
            time.sleep(0.5)  # a clock that is off is known to within the time of one answer
            gate = logs(lab, since=clock.now(), clock=clock)
            assert gate.measure().outcome is Outcome.PASS
            say(lab, web, f"FATAL new {error}")
            assert gate.measure().value == 1

    def test_restarted_and_ended_containers_are_read_too(self, lab: Lab) -> None:
        web = lab.run("web", "echo FATAL; exit 1")
        lab.ended(web)
        assert logs(lab).measure().value == 1

    def test_a_flood_is_read_at_its_end(self, lab: Lab) -> None:
        web = lab.run("web", "yes 0123456789abcdef0123456789abcdef | head -n 100000; echo FATAL; exit 0")
        lab.ended(web)
        assert logs(lab).measure().value == 1

    def test_no_readable_log_is_no_data_but_another_containers_breach_is_a_breach(self, lab: Lab) -> None:
        lab.run("web", HostConfig={"LogConfig": {"Type": "none"}})
        gate = logs(lab)
        measured = gate.measure()
        assert measured.outcome is Outcome.NO_DATA
        assert "no readable log of web" in measured.seen
        lab.ended(lab.run("db", "echo FATAL"))
        assert gate.measure().outcome is Outcome.BREACH

    def test_nothing_to_read_is_no_data(self, lab: Lab) -> None:
        lab.run("stranger", "echo FATAL")
        assert logs(lab).measure().outcome is Outcome.NO_DATA


def resources(lab: Lab, transport: Transport, deploy_dir: str = "/", **limits: str) -> Gate:
    made = gates({"resources": limits}, transport=transport, project=lab.project, deploy_dir=deploy_dir)
    return made[GateKind.RESOURCES]


@pytest.mark.engine
class TestResources:
    def test_memory_of_a_container_against_its_limit(self, lab: Lab, transport: Transport) -> None:
        fill = "x=$(head -c 12000000 /dev/zero | tr '\\0' x); " + FOREVER
        lab.run("web", fill, HostConfig={"Memory": 64 * 2**20, "MemorySwap": 64 * 2**20})
        gate = resources(lab, transport, memory_percent="15%")
        deadline = time.monotonic() + 10
        while (measured := gate.measure()).outcome is not Outcome.BREACH and time.monotonic() < deadline:
            time.sleep(0.05)  # memory fills without an event
        assert measured.outcome is Outcome.BREACH
        assert "memory" in measured.seen
        assert "limit 15 %" in measured.seen
        assert measured.value is not None
        assert measured.value > 15

    def test_cpu_is_judged_from_the_second_reading_on(self, lab: Lab, transport: Transport) -> None:
        lab.run("web", "while :; do :; done")
        only, both = (
            resources(lab, transport, cpu_percent="0.5%"),
            resources(lab, transport, cpu_percent="0.5%", memory_percent="90%"),
        )
        assert only.measure().outcome is Outcome.INCONCLUSIVE
        first = both.measure()
        assert first.outcome is Outcome.PASS
        assert "CPU not yet known" in first.seen
        time.sleep(0.5)  # what is measured is a stretch of time
        for gate in (only, both):
            measured = gate.measure()
            assert measured.outcome is Outcome.BREACH
            assert "CPU" in measured.seen

    def test_disk_of_the_deploy_dir_and_the_data_root(self, lab: Lab, transport: Transport, tmp_path: Path) -> None:
        assert resources(lab, transport, str(tmp_path), disk_percent="100%").measure().outcome is Outcome.PASS
        measured = resources(lab, transport, str(tmp_path), disk_percent="0%").measure()
        assert measured.outcome is Outcome.BREACH
        assert measured.seen.startswith("disk /")

    def test_a_deploy_dir_that_cannot_be_measured_is_an_error(
        self, lab: Lab, transport: Transport, tmp_path: Path
    ) -> None:
        measured = resources(lab, transport, str(tmp_path / "none"), disk_percent="100%").measure()
        assert measured.outcome is Outcome.ERROR
        assert "disk not measured" in measured.seen

    def test_no_limit_makes_no_gate(self, lab: Lab) -> None:
        made = gates({}, transport=LocalTransport(), project=lab.project)
        assert list(made) == [GateKind.CONTAINERS]
