"""The sweep of temp/ on real directories: what goes, and that nothing else ever does, whoever interferes."""

from __future__ import annotations

import os
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from reconciler.adapters.transport.local import LocalTransport
from reconciler.adapters.transport.ssh import SshTransport
from reconciler.model.sweep import Amount, Written
from reconciler.ports import Transport
from reconciler.remote import script
from tests.contract.conftest import settings
from tests.integration.swept import DAY, HOLDER, USERLANDS, Server, aged, host, new_server, rules, sweep, tools
from tests.world.sshd import SshServer, ssh_server

HOSTILE = (
    "two words",
    "new\nline",
    "ends in a newline\n",
    "-rf",
    "--help",
    "*",
    "[a-z]",
    "$(touch pwned)",
    "`id`",
    "'single' \"double\"",
    "back\\slash",
    "\\040",
    ".hidden",
    "..twice",
    "...",
    "{}",
    ";",
    "~",
    "\x1b[31mred",
    "naïve",
    os.fsdecode(b"not utf-8 \xff\xfe"),
)


@pytest.fixture(scope="module")
def sshd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SshServer]:
    with ssh_server(tmp_path_factory.mktemp("sshd")) as server:
        yield server


@pytest.fixture(params=["local", "ssh"])
def transport(request: pytest.FixtureRequest) -> Iterator[Transport]:
    made: Transport = LocalTransport()
    if request.param == "ssh":
        made = SshTransport(settings(request.getfixturevalue("sshd")))
    yield made
    made.close()


@pytest.fixture
def local() -> Iterator[Transport]:
    made = LocalTransport()
    yield made
    made.close()


@pytest.fixture
def server(tmp_path: Path) -> Server:
    return new_server(tmp_path)


@pytest.fixture(params=USERLANDS)
def userland(request: pytest.FixtureRequest, tmp_path: Path) -> dict[str, str]:
    return tools(str(request.param), tmp_path / "bin")


def test_what_is_older_goes_and_nothing_else(server: Server, transport: Transport) -> None:
    server.file("old", days=8)
    server.file("deep/er/old", days=9)
    server.file("mixed/old", days=8)
    server.file("mixed/new", days=6)
    server.file("new")
    before = server.beyond_temp()

    report = host(transport, server).sweep(rules(days=7), holder=HOLDER)

    assert server.left() == {"mixed", "mixed/new", "new"}
    assert server.beyond_temp() == before
    assert (report.temp, report.expired, report.surplus) == (Amount(5, 15), Amount(3, 9), Amount())
    assert (report.removed, report.remaining, report.refused, report.failure) == (Amount(3, 9), Amount(), (), "")


def test_looking_changes_nothing(server: Server, transport: Transport) -> None:
    old = server.file("deep/old", days=8)
    server.file("app.log", size=5000, area="logs")
    directory = old.parent.stat().st_mtime_ns
    report = host(transport, server).sweep(rules(days=7, logs=1), holder=None)
    assert (report.due, report.removed, report.remaining) == (Amount(1, 3), Amount(), None)
    assert report.logs == Amount(1, 5000)
    assert (server.left(), old.parent.stat().st_mtime_ns) == ({"deep", "deep/old"}, directory)


def test_then_the_oldest_until_the_rest_is_small_enough(server: Server, transport: Transport) -> None:
    for days in range(6):
        server.file(f"{days} days", days=days + 0.5, size=4096)
    report = host(transport, server).sweep(rules(days=5, size=3 * 4096), holder=HOLDER)
    assert server.left() == {"0 days", "1 days", "2 days"}
    assert (report.expired, report.surplus) == (Amount(1, 4096), Amount(2, 8192))
    assert host(transport, server).sweep(rules(size=3 * 4096), holder=HOLDER).due == Amount()


def test_of_files_with_the_same_time_no_more_go_than_have_to(server: Server, local: Transport) -> None:
    """An archive that was unpacked: all its files have one second."""
    paths = [server.file(f"{number}", size=4096) for number in range(10)]
    for path in paths:
        os.utime(path, (1_700_000_000, 1_700_000_000))
    host(local, server).sweep(rules(size=4 * 4096), holder=HOLDER)
    assert len(server.left()) == 4


def test_logs_are_measured_and_never_touched(server: Server, local: Transport) -> None:
    for number in range(3):
        server.file(f"old/{number}.log", days=900, size=4096, area="logs")
    before = server.beyond_temp()
    report = host(local, server).sweep(rules(days=1, size=1, logs=1), holder=HOLDER)
    assert (report.logs, report.temp) == (Amount(3, 3 * 4096), Amount())
    assert server.beyond_temp() == before


def test_an_area_that_is_not_there_is_none(server: Server, local: Transport) -> None:
    server.temp.rmdir()
    (server.dir / "logs").rmdir()
    report = host(local, server).sweep(rules(days=1, logs=1), holder=HOLDER)
    assert (report.temp, report.logs, report.refused) == (None, None, ())


def test_any_name_goes_in_any_userland(server: Server, userland: dict[str, str]) -> None:
    for name in HOSTILE:
        server.file(name, days=8)
        server.file(f"in {name}/{name}/{name}", days=8)
        server.file(f"kept/{name}", days=1)
    (server.temp / "link").symlink_to(server.outside / "precious")
    before = server.beyond_temp()
    done = sweep(server, age=str(int(7 * DAY)), env=userland)
    assert (done.returncode, done.stderr) == (0, b"")
    assert server.left() == {"kept", "link"} | {f"kept/{name}" for name in HOSTILE}
    assert server.beyond_temp() == before


def test_a_file_with_two_names_counts_once(server: Server, local: Transport) -> None:
    first = server.file("a", days=3, size=8192)
    os.link(first, server.temp / "b")
    server.file("c", days=1, size=4096)
    report = host(local, server).sweep(rules(size=12 * 1024), holder=HOLDER)
    assert (report.temp, report.due) == (Amount(3, 12 * 1024), Amount())
    report = host(local, server).sweep(rules(size=8 * 1024), holder=HOLDER)
    assert (server.left(), report.removed) == ({"c"}, Amount(2, 8192))


def test_a_sparse_file_counts_what_it_takes(server: Server, local: Transport) -> None:
    sparse = server.file("sparse", days=1)
    os.truncate(sparse, 10 * 2**40)
    server.file("old", days=3, size=4096)
    host(local, server).sweep(rules(size=2**20), holder=HOLDER)
    assert server.left() == {"old", "sparse"}


def test_when_the_time_is_up_the_rest_stays_for_the_next_sweep(server: Server) -> None:
    server.file("old", days=8)
    done = sweep(server, age=str(int(7 * DAY)), seconds=0)
    assert server.left() == {"old"}
    assert b"the time was up" in done.stderr
    assert b"remaining 3\n1 3\n" in done.stdout


def test_what_may_not_be_removed_is_told_and_the_rest_goes() -> None:
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        server = new_server(root)
        server.file("own/old", days=8)
        server.file("theirs/old", days=8)
        for path in (root, server.dir, server.temp, server.temp / "theirs"):
            path.chmod(0o755)
        os.chown(server.temp, 65534, 65534)
        os.chown(server.temp / "own", 65534, 65534)
        aged(server.temp / "own", 8)
        nobody = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups")
        done = sweep(server, age=str(int(7 * DAY)), wrapped=nobody)
        assert server.left() == {"theirs", "theirs/old"}
        assert b"temp/theirs: rm: cannot remove './old': Permission denied" in done.stderr
        assert b"remaining 3\n1 3\n" in done.stdout


def test_a_directory_in_use_stays_though_it_is_empty_now(server: Server, local: Transport) -> None:
    server.file("used/old", days=8)
    aged(server.temp / "used", 1)  # something came or went a day ago
    (server.temp / "always empty").mkdir()
    aged(server.temp / "always empty", 90)
    host(local, server).sweep(rules(days=7), holder=HOLDER)
    assert server.left() == {"used", "always empty"}


def test_what_is_no_regular_file_stays(server: Server, local: Transport) -> None:
    os.mkfifo(server.temp / "pipe")
    aged(server.temp / "pipe", 90)
    host(local, server).sweep(rules(days=7, size=1), holder=HOLDER)
    assert server.left() == {"pipe"}


def test_many_files_go_in_time(server: Server, local: Transport) -> None:
    for number in range(3000):
        server.file(f"{number // 100}/file {number}", days=8)
    began = time.monotonic()
    report = host(local, server).sweep(rules(days=7), holder=HOLDER)
    spent = time.monotonic() - began
    assert {path for path in server.left() if "/" in path} == set()
    assert report.removed.files == 3000
    assert spent < 20


def test_what_was_written_is_counted_with_bounded_work(server: Server, userland: dict[str, str]) -> None:
    for number in range(30):
        server.file(f"{number}", area="uploads", days=100)
    server.file("new\nline/x y", area="uploads", days=2)
    server.file("second", area="uploads", days=3)
    (server.dir / "link").symlink_to("uploads")

    def written(limit: int) -> bytes:
        return subprocess.run(
            ["sh", "-c", script("written"), "reconciler-written", server.dir, str(limit), "uploads", "link", "gone"],
            env={**os.environ, **userland},
            capture_output=True,
            check=True,
            timeout=20,
        ).stdout

    assert written(100).split()[2] == b"33"
    assert written(10).split()[2] == b"10"
    assert written(10).endswith(b"1 7\nrefused\n2 6\nabsent\n")


def test_what_was_written_as_the_adapter_tells_it(server: Server, transport: Transport) -> None:
    server.file("new", area="uploads", days=2)
    newest = int((server.dir / "uploads/new").stat().st_mtime)
    (server.dir / "link").symlink_to("uploads")
    (server.dir / "bare").mkdir()
    assert host(transport, server).written(["uploads", "link", "gone", "bare"]) == (
        Written("uploads", files=2, newest=newest),
        Written("link", refused="it is a link, can't be entered or isn't a directory"),
        Written("gone"),
        Written("bare"),
    )
