"""Gates that read a JSON field or run a command: their own trouble never speaks against the app."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from reconciler.adapters.gates.command import CommandCheck
from reconciler.adapters.gates.json_field import JsonCheck
from reconciler.adapters.gates.login import login_headers
from reconciler.adapters.gates.names import Names
from reconciler.adapters.transport.local import LocalTransport
from reconciler.model.errors import TargetUnreachable
from reconciler.model.measure import Measurement, Outcome, Subject
from reconciler.model.measured_gates import CommandGate, JsonGate
from reconciler.ports import Transport
from tests.integration.test_gates import WallClock, answer, masked, over, serving
from tests.world.network import free_port
from tests.world.sshd import SshServer, ssh_server

TAG = "20260122_101500"
NUMBERS: Mapping[str, Any] = {"min": 1.0, "max": 2.0}


@pytest.fixture(scope="module")
def sshd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SshServer]:
    with ssh_server(tmp_path_factory.mktemp("sshd")) as server:
        yield server


@pytest.fixture(params=["local", "ssh"])
def transport(request: pytest.FixtureRequest) -> Iterator[Transport]:
    made: Transport = LocalTransport() if request.param == "local" else over(request.getfixturevalue("sshd"))
    yield made
    made.close()


def names() -> Names:
    return Names("observer", "prod", Subject(TAG, datetime.now(UTC) - timedelta(seconds=60)))


def read(
    body: bytes, *, status: int = 200, transport: Transport | None = None, vantage: str = "target", **spec: Any
) -> Measurement:
    """One measurement of a JSON gate over a server that answers `body`."""
    with serving(answer(status, body)) as port:
        model = JsonGate.model_validate(
            {
                "name": "j",
                "url": f"http://127.0.0.1:{port}/x",
                "field": "data.0.value",
                "timeout": "2s",
                "from": vantage,
                **spec,
            }
        )
        check = JsonCheck(
            model,
            transport or LocalTransport(),
            names(),
            headers=login_headers(None, Path("/"), lambda _: None),
            clock=WallClock(),
            redact=masked,
        )
        return check.measure()


class TestJson:
    @pytest.mark.parametrize("vantage", ["target", "controller"])
    def test_a_number_is_read_from_where_the_gate_looks(self, transport: Transport, vantage: str) -> None:
        measured = read(b'{"data": [{"value": 1.5}]}', transport=transport, vantage=vantage, **NUMBERS)
        assert (measured.outcome, measured.value, measured.seen) == (Outcome.PASS, 1.5, "data.0.value is 1.5")

    @pytest.mark.parametrize(
        ("value", "spec", "outcome", "seen"),
        [
            ("3", NUMBERS, Outcome.BREACH, "data.0.value is 3, above 2"),
            ("0", NUMBERS, Outcome.BREACH, "data.0.value is 0, below 1"),
            ('"1.5"', NUMBERS, Outcome.PASS, "data.0.value is 1.5"),
            ("null", NUMBERS, Outcome.NO_DATA, "data.0.value is null"),
            ("NaN", NUMBERS, Outcome.NO_DATA, "data.0.value is NaN"),
            ('"1e999"', NUMBERS, Outcome.NO_DATA, 'data.0.value is "1e999"'),
            ("true", NUMBERS, Outcome.ERROR, "data.0.value is true, and not a number"),
            ('"many"', NUMBERS, Outcome.ERROR, 'data.0.value is "many", and not a number'),
            ("[]", NUMBERS, Outcome.ERROR, "data.0.value is a list, and not a single value"),
            ("{}", NUMBERS, Outcome.ERROR, "data.0.value is an object, and not a single value"),
            ('"ok"', {"equals": "ok"}, Outcome.PASS, 'data.0.value is "ok"'),
            ('"bad"', {"equals": "ok"}, Outcome.BREACH, 'data.0.value is "bad", expected "ok"'),
            ("true", {"equals": True}, Outcome.PASS, "data.0.value is true"),
            ("1", {"equals": True}, Outcome.BREACH, "data.0.value is 1, expected true"),
            ("3.0", {"equals": 3}, Outcome.PASS, "data.0.value is 3.0"),
        ],
    )
    def test_the_value_decides(self, value: str, spec: dict[str, Any], outcome: Outcome, seen: str) -> None:
        measured = read(f'{{"data": [{{"value": {value}}}]}}'.encode(), **spec)
        assert (measured.outcome, measured.seen) == (outcome, seen)

    @pytest.mark.parametrize(
        ("body", "seen"),
        [
            (b"{}", "data.0.value: the document has no `data`"),
            (b'{"data": []}', "data.0.value: `data` is a list of 0 and has no `0`"),
            (b'{"data": 5}', "data.0.value: `data` is a single value and has no `0`"),
        ],
    )
    def test_a_field_that_is_not_there_is_no_data(self, body: bytes, seen: str) -> None:
        measured = read(body, **NUMBERS)
        assert (measured.outcome, measured.seen) == (Outcome.NO_DATA, seen)

    @pytest.mark.parametrize(
        ("status", "body", "seen"),
        [
            (503, b"busy hunter2-of-the-database", "answered 503: busy ***"),
            (200, b"<html>", "no JSON: <html>"),
            (200, b'{"data": ', "no JSON"),
            (200, b"[" * 100_000, "no JSON"),
            (200, b" " * (1024 * 1024 + 1), "longer than 1024 KiB"),
        ],
    )
    def test_what_cannot_be_read_is_an_error(self, status: int, body: bytes, seen: str) -> None:
        measured = read(body, status=status, **NUMBERS)
        assert (measured.outcome, seen in measured.seen) == (Outcome.ERROR, True), measured.seen

    def test_a_server_that_is_down_is_an_error(self) -> None:
        measured = read(b"", url=f"http://127.0.0.1:{free_port()}/", **NUMBERS)
        assert (measured.outcome, "connection refused" in measured.seen) == (Outcome.ERROR, True)


def command(
    script: str,
    *,
    transport: Transport | None = None,
    vantage: str = "target",
    directory: Path = Path("/"),
    **spec: Any,
) -> CommandCheck:
    """A gate that runs a shell script."""
    model = CommandGate.model_validate(
        {"name": "c", "run": ["sh", "-c", script], "timeout": "5s", "from": vantage, **spec}
    )
    made = transport or LocalTransport()
    return CommandCheck(model, made, names(), directory=directory, clock=WallClock(), redact=masked)


BOTH = pytest.mark.parametrize("vantage", ["target", "controller"])


class TestCommands:
    @BOTH
    @pytest.mark.parametrize(
        ("script", "spec", "outcome", "seen"),
        [
            ("exit 0", {}, Outcome.PASS, "sh ended with 0"),
            ("echo too slow; exit 1", {}, Outcome.BREACH, "sh ended with 1: too slow"),
            ("echo hunter2-of-the-database >&2; exit 1", {}, Outcome.BREACH, "sh ended with 1: ***"),
            ("exit 2", {}, Outcome.ERROR, "sh ended with 2"),
            ("kill -9 $$", {}, Outcome.ERROR, "sh ended with 137"),
            ("no-such-program", {}, Outcome.ERROR, "sh ended with 127"),
            ("echo 1.5", NUMBERS, Outcome.PASS, "sh printed 1.5"),
            ("echo 3", NUMBERS, Outcome.BREACH, "sh printed 3, above 2"),
            ("echo", NUMBERS, Outcome.NO_DATA, "sh printed nothing"),
            ("echo nan", NUMBERS, Outcome.NO_DATA, "sh printed nan"),
            ("echo one", NUMBERS, Outcome.ERROR, "sh printed no number: one"),
            ("echo 1; echo 2", NUMBERS, Outcome.ERROR, "sh printed no number: 1"),
            ("echo 1.5; exit 1", NUMBERS, Outcome.ERROR, "sh ended with 1"),
        ],
    )
    def test_how_it_ends_or_what_it_prints_decides(
        self, transport: Transport, vantage: str, script: str, spec: dict[str, Any], outcome: Outcome, seen: str
    ) -> None:
        measured = command(script, transport=transport, vantage=vantage, **spec).measure()
        assert measured.outcome is outcome
        assert measured.seen.startswith(seen)

    @BOTH
    def test_it_is_told_what_is_judged(self, transport: Transport, vantage: str) -> None:
        script = 'echo "$RECONCILER_APP $RECONCILER_TARGET $RECONCILER_TAG ${RECONCILER_SINCE%.*}"; exit 1'
        measured = command(script, transport=transport, vantage=vantage).measure()
        assert measured.seen.startswith(f"sh ended with 1: observer prod {TAG} 6")

    @BOTH
    def test_one_that_does_not_end_is_an_error(self, transport: Transport, vantage: str) -> None:
        began = time.monotonic()
        measured = command("exec sleep 30", transport=transport, vantage=vantage, timeout="500ms").measure()
        assert time.monotonic() - began < 10
        assert (measured.outcome, "not done within 0.5 s" in measured.seen) == (Outcome.ERROR, True)

    def test_on_the_controller_it_runs_beside_deploy_yaml_and_its_children_end_with_it(self, tmp_path: Path) -> None:
        told = command("pwd; exit 1", directory=tmp_path, vantage="controller").measure().seen
        assert told == f"sh ended with 1: {tmp_path}"
        command("sleep 60 & echo $! >child; wait", timeout="500ms", directory=tmp_path, vantage="controller").measure()
        child = int((tmp_path / "child").read_text())
        with pytest.raises(ProcessLookupError):
            gone(child)

    def test_a_program_that_is_not_there_is_an_error(self) -> None:
        check = command("", run=["no-such-program"], vantage="controller")
        measured = check.measure()
        assert (measured.outcome, "No such file" in measured.seen) == (Outcome.ERROR, True)

    def test_a_connection_that_is_lost_is_unreachable_and_no_outcome(self, tmp_path: Path) -> None:
        with ssh_server(tmp_path) as server:
            transport = over(server)
            transport.run(["true"])
            server.cut_connections()
            with pytest.raises(TargetUnreachable):
                command("true", transport=transport).measure()
            transport.close()


def gone(pid: int) -> None:
    """Raises ProcessLookupError once no process has this id, or only a dead one that nobody has asked about."""
    end = time.monotonic() + 10
    while time.monotonic() < end:
        os.kill(pid, 0)
        if "\nState:\tZ" in Path(f"/proc/{pid}/status").read_text():
            raise ProcessLookupError
        time.sleep(0.02)
