"""One contract for the port `Host`: the target in memory keeps what the scripts do on a real directory."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import PurePosixPath

import pytest

from reconciler.adapters.host.scripts import Settings
from reconciler.adapters.host.target import TargetHost
from reconciler.adapters.transport.local import LocalTransport
from reconciler.core import history
from reconciler.model.errors import Locked, ReconcilerError, TakenOver
from reconciler.model.observed import HostView
from reconciler.model.stored import TargetState
from reconciler.model.watchdog import BringUp, Lease, Mode, Silence
from reconciler.ports import Host
from tests.fakes.adapters import Connection, FakeHost
from tests.fakes.target import Target
from tests.integration.placed import NEW, OLD, WRITABLE, Place, bundle, open_directory


class InMemory:
    """The fake, and what others do to it."""

    def __init__(self) -> None:
        self.target = Target()
        self.target.dock.keepers.add("sha256:some")

    def host(self) -> Host:
        return FakeHost(Connection(self.target), lambda tag: {})

    def claim(self) -> None:
        """What the watchdog does first with a lease that has run out."""
        assert self.target.lease is not None
        self.target.lease.until = 0
        assert self.target.watch(1)

    def until(self) -> float:
        """When the lease runs out, in seconds of whatever clock."""
        assert self.target.lease is not None
        return self.target.lease.until

    def waits(self) -> None:
        """Some seconds pass."""
        self.target.now += 2


@dataclass
class OnDisk:
    """The real scripts on a directory of their own. This process is the watchdog: it listens, and does nothing."""

    place: Place
    bell: int | None = None

    def host(self) -> Host:
        base = self.place.own / "watchdog"
        if self.bell is None and self.place.own.is_dir():
            base.mkdir()
            os.mkfifo(base / "bell")
            self.bell = os.open(base / "bell", os.O_RDWR)  # a reader, as long as it is open
        where = PurePosixPath(str(self.place.dir))
        return TargetHost(
            self.place.transport, Settings("here", where, "app", "app", WRITABLE, "unix:///none"), LocalTransport
        )

    def claim(self) -> None:
        base = self.place.own / "watchdog"
        (base / "lease").rename(base / "reverting")

    def until(self) -> float:
        return float((self.place.own / "watchdog" / "lease" / "until").read_text())

    def waits(self) -> None:
        path = self.place.own / "watchdog" / "lease" / "until"
        path.write_text(f"{int(path.read_text()) - 2}\n")  # as if it had been armed earlier


World = InMemory | OnDisk


@pytest.fixture(params=["memory", "disk"])
def world(request: pytest.FixtureRequest) -> Iterator[World]:
    if request.param == "memory":
        yield InMemory()
        return
    with open_directory() as directory:
        made = OnDisk(Place(directory, LocalTransport()))
        yield made
        if made.bell is not None:
            os.close(made.bell)


@contextmanager
def held(host: Host, who: str = "ann") -> Iterator[HostView]:
    """Under the lock; on a real directory the one before may take a moment to give it back."""
    lock, view = host.lock(who, "a test", patience=10)
    try:
        yield view
    finally:
        lock.release()


def installed(world: World) -> TargetState:
    """Two releases, the first one serving."""
    state = TargetState(app="app", project="app")
    with held(world.host()):
        pass
    host = world.host()
    with held(host):
        seals = {release: host.install(bundle(release)) for release in (OLD, NEW)}
        state = entered(state, OLD).model_copy(update={"seals": seals})
        host.switch(state, OLD)
        host.write_state(state, last_good=OLD, last_good_tag="20260101_000001")
    return state


def entered(state: TargetState, release: str) -> TargetState:
    return history.switched(state, entering=release, tag=release[:15], now=datetime(2026, 1, 1, tzinfo=UTC))


def lease(name: str = "run1_alone") -> Lease:
    return Lease(
        id=name,
        run="run1",
        entering=NEW,
        back=OLD,
        seconds=60,
        silence=Silence.REVERT,
        steps=(BringUp(("web",)),),
    )


def test_a_second_one_finds_it_locked_and_the_first_one_named(world: World) -> None:
    with held(world.host(), "ann"), pytest.raises(Locked, match="ann"):
        world.host().lock("bob", "a test")
    with held(world.host(), "bob") as view:
        assert view.holder is not None
        assert view.holder.startswith("bob")


def test_each_lock_brings_a_newer_generation(world: World) -> None:
    found = []
    for _ in range(3):
        host = world.host()
        assert host.generation is None
        with held(host):
            found.append(int(str(host.generation)))
    assert found == sorted(set(found))


def test_what_an_older_generation_sends_is_refused_and_changes_nothing(world: World) -> None:
    state = installed(world)
    old, new = world.host(), world.host()
    with held(old):
        pass
    with held(new):
        for change in (
            lambda: old.switch(entered(state, NEW), NEW),
            lambda: old.write_state(entered(state, NEW), last_good=NEW, last_good_tag="20260101_000002"),
            lambda: old.save_record("run1", "text"),
            lambda: old.arm(lease(), in_keeper=True),
            lambda: old.prune([NEW], []),
        ):
            with pytest.raises(TakenOver):
                change()
        view = new.observe()
        assert (view.current, view.last_good, view.state, view.lease) == (OLD, OLD, state, None)
        assert set(view.releases) == {OLD, NEW}
        assert new.read_record("run1") is None


def test_the_state_comes_back_as_it_was_written(world: World) -> None:
    state = installed(world)
    view = world.host().observe()
    assert view.state == state
    assert not view.copies.stale
    assert set(view.releases) == {OLD, NEW}
    assert set(view.sealed) >= {f"{OLD}.seal", f"{NEW}.seal"}
    assert (view.lease, view.alone) == (None, None)


def test_a_switch_moves_current_with_the_state_and_last_good_apart(world: World) -> None:
    state = entered(installed(world), NEW)
    host = world.host()
    with held(host):
        host.switch(state, NEW)
        view = host.observe()
        assert (view.current, view.last_good, view.state) == (NEW, OLD, state)
        assert view.manifest is not None
        assert view.manifest.release == NEW
        host.write_state(state, last_good=NEW, last_good_tag="20260101_000002")
        assert host.observe().last_good == NEW
        with pytest.raises(ReconcilerError, match="is gone"):
            host.switch(entered(state, "20260101_000009-cccccccc"), "20260101_000009-cccccccc")
        assert host.observe().current == NEW


def test_what_is_pruned_is_gone_and_nothing_else(world: World) -> None:
    installed(world)
    host = world.host()
    with held(host):
        host.prune([NEW], [])
        assert host.observe().releases == (OLD,)
        assert host.read_release(NEW) is None
        assert host.read_release(OLD) is not None


def test_a_lease_is_armed_renewed_by_the_next_lock_and_confirmed_once(world: World) -> None:
    installed(world)
    host = world.host()
    with held(host):
        assert host.arm(lease(), in_keeper=True)
        armed = host.observe().lease
        assert armed is not None
        assert (armed.id, armed.mode, armed.entering) == ("run1_alone", Mode.SWITCH, NEW)
        world.waits()
        before = world.until()
    host = world.host()
    with held(host) as view:
        assert view.lease == armed
        assert world.until() > before
        host.confirm("run1_alone", looks=90, lasts=600, silence=Silence.KEEP)
        soaking = host.observe().lease
        assert soaking is not None
        assert (soaking.id, soaking.mode) == ("run1_alone", Mode.SOAK)
        with pytest.raises(TakenOver):
            host.confirm("another", looks=None, lasts=0, silence=Silence.KEEP)
        host.disarm()
        assert host.observe().lease is None
        host.disarm()
        with pytest.raises(TakenOver):
            host.confirm("run1_alone", looks=90, lasts=600, silence=Silence.KEEP)


def test_a_later_lease_replaces_the_one_before(world: World) -> None:
    installed(world)
    host = world.host()
    with held(host):
        host.arm(lease("one"), in_keeper=True)
        host.arm(lease("two"), in_keeper=True)
        with pytest.raises(TakenOver):
            host.confirm("one", looks=None, lasts=0, silence=Silence.KEEP)
        host.confirm("two", looks=None, lasts=0, silence=Silence.KEEP)
        assert host.observe().lease is None


def test_a_claimed_lease_is_the_watchdogs_until_a_pass_finds_it_dead(world: World) -> None:
    installed(world)
    host = world.host()
    with held(host):
        host.arm(lease(), in_keeper=True)
        world.claim()
        with pytest.raises(TakenOver):
            host.confirm("run1_alone", looks=None, lasts=0, silence=Silence.KEEP)
        with pytest.raises(TakenOver):
            host.switch(TargetState(app="app", project="app"), NEW)
        with pytest.raises(TakenOver):
            host.disarm()
    if isinstance(world, InMemory):
        world.target.kill_watchdog()
    host = world.host()
    with held(host) as view:
        assert view.lease is None
        assert view.alone is not None
        assert (view.alone.lease, view.alone.back, view.alone.result) == ("run1_alone", OLD, "abandoned")
        host.acknowledge()
        assert host.observe().alone is None


def test_a_record_is_kept_as_it_was_written(world: World) -> None:
    host = world.host()
    with held(host):
        assert host.read_record("run1") is None
        host.save_record("run1", "first\n")
        host.save_record("run1", "second\n")
        assert host.read_record("run1") == "second\n"
