"""The sweep of temp/ under attack: links, mounts, second names, and a container that swaps things meanwhile."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from reconciler.adapters.transport.local import LocalTransport
from reconciler.model.sweep import Amount
from reconciler.ports import Transport
from tests.integration.swept import DAY, HOLDER, USERLANDS, Server, aged, host, new_server, rules, sweep, tools


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


ALONE = ("/usr/bin/unshare", "--mount", "--propagation", "private")
"""In a mount namespace of its own."""


REMOVER = 2
"""The first `sh` is the script itself, the second the one that find starts for what has to go."""


def needs_mounts() -> None:
    if subprocess.run([*ALONE, "true"], check=False, capture_output=True).returncode:
        pytest.skip("mount namespaces are not allowed here")


def shim(directory: Path, program: str, action: str, *, call: int = 1, when: str = "true") -> dict[str, str]:
    """An environment in which `program` first does `action`, the `call`th time that `when` holds for it."""
    directory.mkdir(exist_ok=True)
    counter = f"{shlex.quote(str(directory / program))}.called."
    path = directory / program
    path.write_text(
        f"#!/bin/bash\nif {when}; then\nn=1\nwhile ! mkdir {counter}$n 2>/dev/null; do n=$((n + 1)); done\n"
        f'if [ $n = {call} ]; then {action}; fi\nfi\nexec {shutil.which(program)} "$@"\n'
    )
    path.chmod(0o755)
    return {"PATH": f"{directory}:{os.environ['PATH']}"}


def test_a_link_is_neither_followed_nor_removed(server: Server, userland: dict[str, str]) -> None:
    (server.temp / "to a file").symlink_to(server.outside / "precious")
    (server.temp / "to a directory").symlink_to(server.outside / "dir")
    (server.temp / "up").symlink_to("../archives/data")
    (server.temp / "nowhere").symlink_to("gone")
    for link in ("to a file", "to a directory", "up", "nowhere"):
        aged(server.temp / link, 900)
    server.file("old", days=900)
    before = server.beyond_temp()
    assert sweep(server, age="1", size="1", env=userland).returncode == 0
    assert {"to a file", "to a directory", "up", "nowhere"} <= server.left()
    assert "old" not in server.left()
    assert server.beyond_temp() == before


@pytest.mark.parametrize("leads", ["absolute", "up", "to itself"])
def test_temp_that_is_a_link_is_refused(server: Server, local: Transport, leads: str) -> None:
    server.temp.rmdir()
    target = {"absolute": server.outside, "up": Path("archives/data"), "to itself": Path("temp")}[leads]
    server.temp.symlink_to(target)
    before = server.beyond_temp()
    report = host(local, server).sweep(rules(days=1, size=1), holder=HOLDER)
    assert report.temp is None
    assert [why for why in report.refused if "temp/ is a link" in why]
    assert server.beyond_temp() == before


def test_a_deploy_dir_behind_a_link_is_swept(server: Server, tmp_path: Path) -> None:
    """The place is the operator's; what is inside isn't."""
    server.file("old", days=8)
    (tmp_path / "link").symlink_to(server.dir)
    assert sweep(Server(tmp_path / "link", server.outside), age=str(int(DAY))).returncode == 0
    assert server.left() == set()


def test_what_has_another_name_elsewhere_keeps_its_content(server: Server, local: Transport) -> None:
    os.link(server.outside / "precious", server.temp / "borrowed")
    os.link(server.dir / "archives/data/rows", server.temp / "rows")
    contents = {path: path.read_bytes() for path in (server.outside / "precious", server.dir / "archives/data/rows")}
    host(local, server).sweep(rules(days=7), holder=HOLDER)
    assert server.left() == set()
    assert {path: path.read_bytes() for path in contents} == contents


@pytest.mark.parametrize("kind", ["bind", "tmpfs"])
def test_what_is_mounted_in_temp_is_another_place(server: Server, userland: dict[str, str], kind: str) -> None:
    """A bind mount of the same file system has the same device number: -xdev alone would go in."""
    needs_mounts()
    server.file("here/old", days=8, size=4096)
    inside = server.temp / "a mount [1]*"
    inside.mkdir()
    quoted = shlex.quote(str(inside))
    mount = f"mount --bind {shlex.quote(str(server.outside))} {quoted}"
    if kind == "tmpfs":
        mount = f"mount -t tmpfs none {quoted} && echo x >{quoted}/f && touch -d '2020-01-01' {quoted}/f"
    check = f'{mount}; "$@"; status=$?; if [ {kind} = tmpfs ]; then cat {quoted}/f >&2; fi; exit $status'
    path = server.dir / "look"
    path.write_text(f"#!/bin/bash\nPATH={os.environ['PATH']}\n{check}\n")
    before = server.beyond_temp()
    wrapped = (*ALONE, "/bin/bash", str(path), "/usr/bin/env", f"PATH={userland['PATH']}")
    done = sweep(server, age=str(int(7 * DAY)), size="1", wrapped=wrapped)
    assert (done.returncode, done.stderr) == (0, b"x\n" if kind == "tmpfs" else b"")
    assert b"temp 6\n1 4096\n" in done.stdout
    assert server.left() == {inside.name}
    assert server.beyond_temp() == before


def test_what_is_mounted_in_the_middle_is_another_place_too(server: Server, tmp_path: Path) -> None:
    needs_mounts()
    server.file("victim/deep", days=8)
    dir_, victim = shlex.quote(str(server.outside / "dir")), shlex.quote(str(server.temp / "victim"))
    env = shim(tmp_path / "shims", "sh", f"mount --bind {dir_} {victim}", call=REMOVER)
    before = server.beyond_temp()
    done = sweep(server, age=str(int(7 * DAY)), env=env, wrapped=ALONE)
    assert b"not the directory that it was" in done.stderr
    assert server.beyond_temp() == before


IN_THE_DIRECTORY = "[[ $PWD = */victim ]]"


@pytest.mark.parametrize(
    ("program", "call", "when"),
    [
        ("find", 2, "true"),  # the first one listed it
        ("sh", REMOVER, "true"),
        ("env", 1, IN_THE_DIRECTORY),
        ("stat", 1, IN_THE_DIRECTORY),
        ("awk", 1, IN_THE_DIRECTORY),
        ("rm", 1, "true"),
        ("touch", 1, "true"),
        ("rmdir", 1, "true"),
    ],
)
def test_a_directory_that_becomes_a_link_leads_nowhere(
    server: Server, tmp_path: Path, program: str, call: int, when: str
) -> None:
    """A container writes to temp/: at each step it swaps the directory for a link to another with the same names."""
    server.file("victim/deep", days=8)
    temp, outside = shlex.quote(str(server.temp)), shlex.quote(str(server.outside))
    swap = f"mv {temp}/victim {temp}/moved; ln -s {outside}/dir {temp}/victim"
    env = shim(tmp_path / "shims", program, swap, call=call, when=when)
    before = server.beyond_temp()
    done = sweep(server, age=str(int(7 * DAY)), env=env)
    assert done.returncode == 0, done.stderr
    assert (server.temp / "victim").is_symlink(), "the swap has to happen"
    assert server.beyond_temp() == before


def test_temp_that_becomes_a_link_in_the_middle_leads_nowhere(server: Server, tmp_path: Path) -> None:
    server.file("deep", days=8)
    temp, outside = shlex.quote(str(server.temp)), shlex.quote(str(server.outside / "dir"))
    env = shim(tmp_path / "shims", "find", f"mv {temp} {temp}.moved && ln -s {outside} {temp}")
    before = server.beyond_temp()
    sweep(server, age=str(int(7 * DAY)), env=env)
    assert server.temp.is_symlink(), "the swap has to happen"
    assert server.beyond_temp() == before


def test_swapping_as_fast_as_it_can_a_container_reaches_nothing(server: Server) -> None:
    before = server.beyond_temp()
    stop = threading.Event()
    swaps = 0

    def attack() -> None:
        nonlocal swaps
        victim, moved = server.temp / "victim", server.temp / "moved"
        while not stop.is_set():
            try:
                victim.rename(moved)
                victim.symlink_to(server.outside / "dir")
                victim.unlink()
                moved.rename(victim)
                swaps += 1
            except OSError:
                (server.temp / "victim").mkdir(exist_ok=True)

    attacker = threading.Thread(target=attack)
    attacker.start()
    try:
        for _ in range(12):
            for name in ("deep", "other"):
                for directory in ("victim", "moved"):
                    if (server.temp / directory).is_dir() and not (server.temp / directory).is_symlink():
                        try:
                            server.file(f"{directory}/{name}", days=8)
                        except OSError:
                            continue  # it was swapped under our hands
            before = server.beyond_temp()  # this very loop may have written through the link
            sweep(server, age=str(int(7 * DAY)))
            assert server.beyond_temp() == before
    finally:
        stop.set()
        attacker.join()
    assert swaps > 50


def test_who_lost_the_lock_removes_nothing(server: Server, local: Transport) -> None:
    server.file("old", days=8)
    (server.dir / ".reconciler" / "holder").write_text("another@there (process 2)\n")
    report = host(local, server).sweep(rules(days=7), holder=HOLDER)
    assert (server.left(), report.removed, report.remaining) == ({"old"}, Amount(), Amount(1, 3))
    assert report.failure == "another pass has the lock by now"


def test_who_loses_the_lock_in_the_middle_stops(server: Server, tmp_path: Path) -> None:
    for number in range(5):
        server.file(f"{number}/old", days=8)
    holder = shlex.quote(str(server.dir / ".reconciler" / "holder"))
    done = sweep(server, age=str(int(7 * DAY)), env=shim(tmp_path / "shims", "rm", f"echo another >{holder}"))
    assert b"another pass has the lock" in done.stderr
    assert len({path for path in server.left() if path.endswith("old")}) == 4


def test_what_vanishes_or_comes_meanwhile_is_no_trouble(server: Server, tmp_path: Path) -> None:
    """Between the look and the removal one goes, and another is written again."""
    for number in range(20):
        server.file(f"old {number}", days=8)
    temp = shlex.quote(str(server.temp))
    env = shim(
        tmp_path / "shims", "sh", f"rm -f {temp}/'old 3'; echo new >{temp}/'old 5'; echo new >{temp}/new", call=REMOVER
    )
    done = sweep(server, age=str(int(7 * DAY)), env=env)
    assert (done.returncode, done.stderr) == (0, b"")
    assert server.left() == {"old 5", "new"}


def test_a_link_that_takes_the_place_of_a_file_stays(server: Server, tmp_path: Path) -> None:
    path = shlex.quote(str(server.file("file", days=8)))
    swap = f"ln -sfn {shlex.quote(str(server.outside / 'precious'))} {path}; touch -h -d 2020-01-01 {path}"
    done = sweep(server, age=str(int(7 * DAY)), env=shim(tmp_path / "shims", "sh", swap, call=REMOVER))
    assert (done.returncode, server.left()) == (0, {"file"})
