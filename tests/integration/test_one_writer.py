"""One writer on a target (P7), by the real scripts: locks, heartbeats, the fence, the journal, and what survives."""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

import pytest

from reconciler.adapters.host.scripts import Settings
from reconciler.adapters.host.target import TargetHost
from reconciler.adapters.transport.local import LocalTransport
from reconciler.model.errors import Locked, TakenOver, TargetUnreachable
from reconciler.model.stored import Phase, TargetState
from reconciler.model.watchdog import BringUp, Lease, Silence
from reconciler.remote import script

STATE = TargetState(app="app", project="app")


def host(place: Path, *, heartbeat: float = 5.0) -> TargetHost:
    settings = Settings("here", PurePosixPath(place), "app", "app", (), "unix:///none", heartbeat=heartbeat)
    return TargetHost(LocalTransport(), settings, LocalTransport)


def run(name: str, place: Path, *arguments: object, env: dict[str, str] | None = None) -> subprocess.Popen[bytes]:
    """A fenced script, with the generation that is in force."""
    generation = (place / ".reconciler" / "generation").read_text().strip()
    command = ["sh", "-c", script(name, fenced=True), f"reconciler-{name}", str(place), generation]
    return subprocess.Popen(
        [*command, *map(str, arguments)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
        env={**os.environ, **(env or {})},
    )


def shims(directory: Path, **bodies: str) -> dict[str, str]:
    """PATH with these commands before the real ones; `$real` is the real one."""
    directory.mkdir()
    for name, body in bodies.items():
        path = directory / name
        path.write_text(f"#!/bin/sh\nreal={shutil.which(name)}\n{body}\n")
        path.chmod(0o755)
    return {"PATH": f"{directory}:{os.environ['PATH']}"}


def lease(**given: object) -> Lease:
    values: dict[str, object] = {
        "id": "run1_alone",
        "run": "run1",
        "entering": "r2",
        "back": "r1",
        "seconds": 60.0,
        "silence": Silence.REVERT,
        "steps": (BringUp(("web",)),),
    }
    return Lease(**{**values, **given})  # type: ignore[arg-type]


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Path]:
    """A deploy_dir with two releases that has never been locked; no watchdog is left behind."""
    directory = tmp_path / "app"
    for name in ("r1", "r2"):
        (directory / "releases" / name).mkdir(parents=True)
    (directory / ".reconciler").mkdir()
    yield directory
    shutil.rmtree(directory / ".reconciler" / "watchdog" / "lease", ignore_errors=True)
    bell = directory / ".reconciler" / "watchdog" / "bell"
    if bell.exists():
        subprocess.run(["timeout", "2", "sh", "-c", ': >"$1"', "sh", str(bell)], check=False)


def test_who_lost_the_target_changes_nothing_any_more(place: Path) -> None:
    first, second = host(place), host(place)
    lock, _ = first.lock("alice", "tag 1")
    first.save_record("run1", "one\n")
    with pytest.raises(Locked, match="alice; tag 1, since"):
        second.lock("bob", "tag 2")
    lock.release()  # as when its process dies
    held, _ = second.lock("bob", "tag 2")
    try:
        for attempt in (
            lambda: first.save_record("run2", "two\n"),
            lambda: first.write_state(STATE, last_good=None, last_good_tag=None),
            lambda: first.switch(STATE, "r2"),
            lambda: first.prune(["r1"], []),
            lambda: first.arm(lease(), in_keeper=False),
            lambda: first.dial_engine("stop web", 5).recv(1),
        ):
            with pytest.raises(TakenOver, match=r"another has taken over \(bob"):
                attempt()
    finally:
        held.release()
    assert [path.name for path in (place / ".reconciler" / "records").iterdir()] == ["run1.md"]
    assert (place / "releases" / "r1").is_dir()
    assert not (place / "current").exists()
    assert not (place / ".reconciler" / "state.json").exists()


def test_what_a_dead_pass_still_had_under_way_has_ended_before_the_next_begins(place: Path) -> None:
    lock, _ = host(place).lock("alice", "tag 1")
    orphan = run("record", place, "run1", 100)
    assert orphan.stdin is not None
    orphan.stdin.write(b"half a record")
    orphan.stdin.flush()
    while not list((place / ".reconciler" / "records").glob("*.new")):
        assert orphan.poll() is None
    lock.release()
    held, view = host(place).lock("bob", "tag 2")
    assert orphan.wait(0.5) != 0, "it is dead by the time that the other has the lock"
    assert any(" begin record run1" in line for line in view.journal)
    assert not any(" end record 0" in line for line in view.journal)
    held.release()


def test_a_holder_that_nobody_hears_of_gives_the_lock_back(place: Path, tmp_path: Path) -> None:
    """The 30 s are one here: a connection that is half open keeps no lock."""
    env = shims(tmp_path / "bin", timeout='shift; exec $real 1 "$@"')
    command = ["sh", "-c", script("lock"), "reconciler-lock", str(place), "alice", "tag 1", "refuse", "0"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env={**os.environ, **env}) as holder:
        assert holder.stdin is not None
        assert holder.stdout is not None
        while holder.stdout.readline() != b"end 0\n":
            assert holder.poll() is None
        for _ in range(4):
            time.sleep(0.5)  # the subject of the test: signs of life that keep it
            holder.stdin.write(b"\n")
            holder.stdin.flush()
        with pytest.raises(Locked):
            host(place).lock("bob", "tag 2")
        lock, _ = host(place).lock("bob", "tag 2", patience=10)
        assert holder.wait(5) == 0
        lock.release()


def test_who_waits_learns_for_whom_and_goes_on_at_once(place: Path) -> None:
    lock, _ = host(place).lock("alice", "tag 1")
    told: list[str] = []
    freed: list[float] = []

    def waiting(holder: str) -> None:
        told.append(holder)
        freed.append(time.monotonic())
        threading.Thread(target=lock.release).start()

    second, _ = host(place).lock("bob", "tag 2", patience=60, waiting=waiting)
    second.release()
    assert len(told) == 1
    assert told[0].startswith("alice; tag 1, since")
    assert time.monotonic() - freed[0] < 10
    third, _ = host(place).lock("carol", "tag 3")
    with pytest.raises(Locked, match="carol"):
        host(place).lock("dave", "tag 4", patience=0.2)
    third.release()


def test_what_is_detached_holds_neither_lock_nor_fence(place: Path) -> None:
    first = host(place)
    lock, _ = first.lock("alice", "tag 1")
    assert not first.arm(lease(), in_keeper=False), "a detached watchdog, as there is no keeper"
    lock.release()
    began = time.monotonic()
    second = host(place)
    held, view = second.lock("bob", "tag 2")
    assert time.monotonic() - began < 4, "nobody had to be ended"
    assert view.lease is not None
    assert view.lease.id == "run1_alone"
    second.disarm()
    held.release()


def test_the_heartbeat_is_a_sign_of_life_for_the_watchdog(place: Path) -> None:
    first = host(place, heartbeat=0.05)
    lock, _ = first.lock("alice", "tag 1")
    first.arm(lease(seconds=60.0), in_keeper=False)
    until = place / ".reconciler" / "watchdog" / "lease" / "until"
    before = until.read_text()
    deadline = time.monotonic() + 20
    while until.read_text() in {before, ""}:
        assert time.monotonic() < deadline, "it was never renewed"
    assert int(until.read_text()) > int(before)
    first.disarm()
    lock.release()


def test_confirm_and_the_way_back_have_one_winner(place: Path, tmp_path: Path) -> None:
    """200 races on a real directory: the confirmation of a live pass against a lease that has just run out."""
    lock, _ = host(place).lock("alice", "tag 1")
    lock.release()
    base = place / ".reconciler" / "watchdog"
    env = shims(tmp_path / "bin", docker="exit 0") | {"HOME": str(tmp_path)}
    watch = ["sh", "-c", script("watch"), "reconciler-watchdog", str(place), "/none", "detached"]
    won = {"confirm": 0, "revert": 0}
    chance = random.Random(4)  # noqa: S311 - for delays
    for number in range(200):
        armed = base / "lease"
        armed.mkdir(parents=True)
        (armed / "about").write_text(
            f"mode switch\nlease run{number}\nrun run{number}\nentering r2\nback r1\nproject app\nseconds 1\n"
            f"silence revert\nboot {Path('/proc/sys/kernel/random/boot_id').read_text()}ends 0\n"
        )
        (armed / "steps").write_text("")
        (armed / "until").write_text("0\n")
        confirming = None
        if chance.random() < 0.5:
            confirming = run("confirm", place, f"run{number}", "end", 0, 0, "-")
            time.sleep(chance.random() * 0.02)
        watching = subprocess.Popen(
            watch, env={**os.environ, **env}, start_new_session=True, stderr=subprocess.PIPE, text=True
        )
        if confirming is None:
            time.sleep(chance.random() * 0.02)
            confirming = run("confirm", place, f"run{number}", "end", 0, 0, "-")
        _, said = confirming.communicate(timeout=60)
        assert watching.communicate(timeout=60)[1] == ""
        assert watching.returncode == 0
        reverted = (base / "outcome").is_dir()
        confirmed = confirming.returncode == 0
        assert confirmed != reverted, f"race {number}: confirm ended with {confirming.returncode}: {said!r}"
        assert confirmed or confirming.returncode == 76
        assert not armed.exists()
        won["revert" if reverted else "confirm"] += 1
        shutil.rmtree(base / "outcome", ignore_errors=True)
    assert min(won.values()) >= 5, f"no race at all: {won}"


def test_what_is_renamed_into_place_is_on_the_disk_before_and_after(place: Path, tmp_path: Path) -> None:
    """The loss of power leaves the old or the new, whole: contents are synced before a rename, the directory after."""
    log = tmp_path / "calls"
    env = shims(
        tmp_path / "bin",
        sync=f'echo "sync $*" >>{log}; exec $real "$@"',
        mv=f'echo "mv $*" >>{log}; exec $real "$@"',
    )
    lock, _ = host(place).lock("alice", "tag 1")
    own = place / ".reconciler"
    state = STATE.model_copy(update={"phase": Phase.STABLE}).model_dump_json().encode()
    commit = run("commit", place, len(state), "-", "-", "r1", env=env)
    assert commit.communicate(state, timeout=30)[1] == b""
    calls = log.read_text().splitlines()
    moved = calls.index(f"mv -f {own}/state.json.new {own}/state.json")
    linked = next(number for number, call in enumerate(calls) if call.endswith(f"{place}/current"))
    assert any(call.startswith("sync") and f"{own}/state.json.new" in call for call in calls[:moved])
    assert f"sync {own}" in calls[moved:linked], "the state is durable before the switch that it tells of"
    assert f"sync {place}" in calls[linked:]
    assert calls[0] == f"sync {own}/journal", "and what is about to be done is, before anything is"
    assert calls[-1] == f"sync {own}/journal"
    lock.release()
    log.write_text("")
    command = ["sh", "-c", script("lock"), "reconciler-lock", str(place), "bob", "tag 2", "refuse", "0"]
    subprocess.run(command, input=b"", env={**os.environ, **env}, capture_output=True, check=True, timeout=30)
    calls = log.read_text().splitlines()
    moved = calls.index(f"mv -f {own}/generation.new {own}/generation")
    assert f"sync {own}/generation.new" in calls[:moved]
    assert any(call.startswith("sync ") and call.split()[-1] == str(own) for call in calls[moved:])


def test_the_confirmation_goes_over_a_new_connection(place: Path) -> None:
    """The old one works and proves nothing: a release that closes the door would be confirmed through it."""
    made: list[LocalTransport] = []

    def connect() -> LocalTransport:
        made.append(LocalTransport())
        if len(made) > 1:
            made[-1].close()  # as a login that is refused
        return made[-1]

    settings = Settings("here", PurePosixPath(place), "app", "app", (), "unix:///none")
    ours = TargetHost(LocalTransport(), settings, connect)
    lock, _ = ours.lock("alice", "tag 1")
    ours.arm(lease(), in_keeper=False)
    ours.confirm("run1_alone", looks=60.0, lasts=3600.0, silence=Silence.KEEP)
    assert len(made) == 1
    assert "mode soak" in (place / ".reconciler" / "watchdog" / "lease" / "about").read_text()
    ours.arm(lease(), in_keeper=False)
    with pytest.raises(TargetUnreachable):
        ours.confirm("run1_alone", looks=None, lasts=0.0, silence=Silence.KEEP)
    assert (place / ".reconciler" / "watchdog" / "lease").is_dir()
    ours.disarm()
    assert not (place / ".reconciler" / "watchdog" / "lease").exists()
    lock.release()
