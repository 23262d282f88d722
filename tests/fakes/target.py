"""A target in memory: the files that the scripts of `reconciler/remote/` keep there, and its watchdog as an actor.

Each script is a generator that mirrors the one of its name (said in its docstring): what lies between two of its steps
is where it can be killed. The fence (`fenced.sh`), the lock (`lock.sh`) and the watchdog (`watch.sh`) are mirrored as
they exclude each other. Not in it: file contents and modes below `releases/` (a release is whole or gone), bytes that
arrive in halves, and a disk that fills up.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, field
from typing import Any

from reconciler.model.errors import CommandFailed, Locked, TakenOver
from reconciler.model.release import Bundle
from tests.fakes.dock import Dock

BEAT, SILENCE = 5, 30
"""Seconds from one sign of life to the next, and until the lock's holder ends (`lock.sh`)."""
KEY = bytes(range(32))
Steps = Generator[None, None, None]


@dataclass(frozen=True)
class Message:
    """A script that changes something, on its way to the target with the generation of its pass."""

    name: str
    generation: int
    steps: Callable[[], Steps]
    words: tuple[Any, ...] = ()


@dataclass
class Lease:
    """`watchdog/lease`: `about` as the adapters read it, and what the script keeps beside it."""

    about: dict[str, str]
    steps: tuple[tuple[str, ...], ...]
    until: float
    ends: float
    boot: int
    told: list[str] = field(default_factory=list)

    @property
    def text(self) -> bytes:
        return "".join(f"{name} {value}\n" for name, value in self.about.items()).encode()


@dataclass(eq=False)
class Held:
    """`.reconciler/lock` in the hands of a holder; `beats` says whether its heartbeat arrives."""

    who: str
    heard: float
    beats: bool = True


@dataclass
class Target:
    """`now` is in seconds since the epoch, and the uptime as well. `watchers` are called before a change is made."""

    dock: Dock = field(default_factory=Dock)
    now: float = 1_767_225_600.0
    boot: int = 1
    made: bool = False
    releases: dict[str, Bundle] = field(default_factory=dict)
    seals: dict[str, str] = field(default_factory=dict)
    state: bytes | None = None
    backup: bytes | None = None
    current: str | None = None
    last_good: str | None = None
    last_good_tag: str | None = None
    records: dict[str, str] = field(default_factory=dict)
    journal: list[str] = field(default_factory=list)
    holder: str = ""
    held: Held | None = None
    generation: int = 0
    user_data: dict[str, bytes] = field(default_factory=lambda: {"archives/data": b"precious"})
    lease: Lease | None = None
    reverting: Lease | None = None
    outcome: Lease | None = None
    busy: bool = False
    fence: bool = False
    detached: bool = False
    watchers: list[Callable[[str, int, tuple[Any, ...]], None]] = field(default_factory=list)
    _watch: Steps | None = None

    # The fence

    def run(self, message: Message, *, killed_after: int | None = None) -> None:
        """`fenced.sh`: waits for whoever has the fence alone, refuses what an older pass sent, and runs the rest.

        `killed_after` so many of its steps the script is killed. Raises TakenOver.
        """
        if self.fence:
            self.watch_on()
        if message.generation != self.generation:
            raise TakenOver(f"prod: another has taken over ({self.holder}); nothing was done")
        if self.reverting is not None:
            raise TakenOver("prod: the target's own watchdog is going back; nothing was done")
        self.journal.append(f"{message.generation} {self.now:.0f} begin {message.name}")
        self.tell(message.name, message.generation, *message.words)
        steps = message.steps()
        for count, _ in enumerate(steps, 1):
            if count == killed_after:
                return
        self.journal.append(f"{message.generation} {self.now:.0f} end {message.name} 0")

    def tell(self, name: str, generation: int, *words: Any) -> None:
        """A change is about to be made."""
        for watcher in self.watchers:
            watcher(name, generation, words)

    def next_generation(self) -> int:
        """`next_generation` of lib.sh: what still runs has ended, and from here on it is refused."""
        if self.fence:
            self.watch_on()
        self.generation += 1
        return self.generation

    # The lock

    def take(self, who: str) -> Held:
        """The first lines of `lock.sh`. Raises Locked."""
        if self.held is not None:
            raise Locked(f"prod: another pass is at work here: {self.holder}")
        self.held = Held(who, self.now)
        return self.held

    def drop(self, held: Held) -> None:
        """The kernel gives the lock back."""
        if self.held is held:
            self.held = None

    def refuse_to_disturb(self) -> bool:
        """Whether the watchdog died on its way back (`lock.sh`). Raises Locked where it is at work."""
        if self.reverting is None:
            return False
        if self.busy:
            raise Locked("prod: the target's own watchdog, which is going back after a pass that gave no sign of life")
        return True

    def abandon(self) -> None:
        """What a dead watchdog left is what it came to (`lock.sh`)."""
        if self.reverting is not None:
            self.reverting.about |= {"result": "abandoned", "at": f"{self.now:.0f}"}
            self.outcome, self.reverting = self.reverting, None

    def renew(self) -> None:
        """`renew` of lib.sh: a sign of life."""
        if self.lease is not None:
            self.lease.until = self.now + float(self.lease.about["seconds"]) + 1

    def pass_time(self, seconds: float, *, is_silent: bool = False) -> None:
        """Time for everybody. While `is_silent` no heartbeat arrives: lids are closed, or the network is gone."""
        end = self.now + seconds
        while self.now < end:
            self.now = min(end, self.now + BEAT)
            if self.held is not None and self.held.beats and not is_silent:
                self.held.heard = self.now
                self.renew()
            elif self.held is not None and self.now - self.held.heard > SILENCE:
                self.held = None

    # The scripts

    def commit(self, data: bytes, good: str | None, good_tag: str | None, current: str | None) -> Steps:
        """`commit.sh`."""
        self.state = data
        yield
        self.backup = data
        yield
        if good is not None:
            self.last_good = good
            yield
            self.last_good_tag = good_tag
            yield
        if current is not None:
            if current not in self.releases:
                raise CommandFailed(f"releases/{current} is gone", status=70)
            self.current = current

    def relink(self, serving: str | None, good: str | None, good_tag: str | None) -> Steps:
        """`relink.sh`."""
        if serving is not None:
            self.current = serving
            yield
        if good is not None:
            self.last_good = good
            yield
            self.last_good_tag = good_tag

    def install(self, bundle: Bundle, seal: str) -> Steps:
        """`install.sh`: the seal first, then the release by one rename."""
        self.seals[bundle.manifest.release] = seal
        yield
        self.releases[bundle.manifest.release] = bundle

    def seal(self, release: str, seal: str) -> Steps:
        """`seal.sh`."""
        self.seals[release] = seal
        yield

    def prune(self, releases: Sequence[str]) -> Steps:
        """`prune.sh`: the seals go first."""
        for release in releases:
            self.seals.pop(release, None)
        for release in releases:
            yield
            self.releases.pop(release, None)

    def up(self, services: Sequence[str], said: list[str]) -> Steps:
        """`up.sh`, on the release that `current` points at."""
        bundle = self.releases.get(self.current or "")
        if bundle is None or bundle.model is None:
            said.append("no configuration file provided: not found")
            return
        yield from self.dock.up(bundle.model, services, said)

    def arm(self, lease: Lease, *, in_keeper: bool) -> Steps:
        """`arm.sh`: an older lease is moved away before the new one comes."""
        if lease.about["back"] not in self.releases:
            raise CommandFailed(f"releases/{lease.about['back']} is gone", status=70)
        lease.until = self.now + float(lease.about["seconds"]) + 1
        lease.boot = self.boot
        yield
        self.lease = None
        yield
        self.lease = lease
        if not (in_keeper and self.dock.keepers):
            self.detached = True

    def confirm(self, lease: str, soak: dict[str, str] | None, lasts: float) -> Steps:
        """`confirm.sh`."""
        if self.lease is None:
            if soak is not None:
                raise TakenOver("prod: the target's own watchdog went back")
            return
        if lease not in {"any", self.lease.about["lease"]}:
            raise TakenOver("prod: another pass has put its own lease on the target")
        confirmed, self.lease = self.lease, None
        yield
        if soak is not None:
            confirmed.about |= {"mode": "soak", **soak}
            confirmed.until = self.now + float(confirmed.about["seconds"]) + 1
            confirmed.ends = self.now + lasts
            self.lease = confirmed

    def evidence(self) -> Steps:
        """`evidence.sh`: logs and inspections aren't in the model."""
        yield

    def record(self, run: str, text: str) -> Steps:
        """`record.sh`."""
        self.records[run] = text
        yield

    def acknowledge(self) -> Steps:
        """`acknowledge.sh`."""
        self.outcome = None
        yield

    # The watchdog

    def watch(self, steps: int) -> bool:
        """Lets the watchdog do so many steps; False where it sleeps, or there is none."""
        for _ in range(steps):
            if self._watch is None:
                if not self.dock.keepers and not self.detached:
                    return False
                self._watch = self._round()
            if next(self._watch, "over") == "over":
                is_idle = self.reverting is None and not self._is_due()
                self._watch = None
                if is_idle:
                    return False
        return True

    def watch_on(self) -> None:
        """Lets it go on until it sleeps."""
        while self.watch(1):
            pass

    def kill_watchdog(self) -> None:
        """As SIGKILL: what it holds is given back. In a keeper the engine starts it again."""
        if self._watch is not None:
            self._watch.close()
            self._watch = None

    def reboot(self) -> None:
        """All processes die, and the engine starts its keepers again."""
        self.kill_watchdog()
        self.held, self.detached, self.boot = None, False, self.boot + 1

    def _is_due(self) -> bool:
        return self.lease is not None and (self.lease.boot != self.boot or self.now >= self.lease.until)

    def _round(self) -> Steps:
        """The loop of `watch.sh`, once."""
        if self.reverting is None:
            if self.lease is None:
                self.detached = False
                return
            if not self._is_due():
                return
            if self.lease.about["mode"] == "soak":
                if self.now >= self.lease.ends:
                    self.lease = None
                    return
                sick = self.dock.sick()
                if sick:
                    yield  # it sleeps for 5 s and looks again
                    sick = self.dock.sick()
                    if not self._is_due():
                        return  # a pass came meanwhile
                if not sick and self.lease is not None and self.lease.about["silence"] == "keep":
                    self.renew()
                    return
            if self.lease is not None:
                self.tell("claim", self.generation, self.lease)
                self.reverting, self.lease = self.lease, None
            yield
        yield from self._go_back()

    def _go_back(self) -> Steps:
        """`go_back` of `watch.sh`."""
        self.busy = True
        try:
            yield
            if self.reverting is None:
                return
            mine = self.next_generation()
            yield
            self.fence = True
            if mine == self.generation:
                yield from self._revert(self.reverting, mine)
        finally:
            self.busy = self.fence = False

    def _revert(self, lease: Lease, mine: int) -> Steps:
        sick, stuck, back = self.dock.sick(), self.dock.stuck(), lease.about["back"]
        lease.told.append(f"{self.now:.0f} no sign of life; {sick or 'every container is well'}")
        yield
        if not sick and lease.about["silence"] == "keep":
            result = "kept"
        else:
            self.tell("back", mine, back)
            self.current = back
            yield
            said: list[str] = []
            yield from self._follow(lease, mine, said)
            result = "revert_failed" if said or self.dock.sick() else "reverted"
        self.tell("outcome", mine, lease)
        lease.about |= {"result": result, "sick": sick, "stuck": stuck, "at": f"{self.now:.0f}"}
        self.outcome = None
        yield
        self.outcome, self.reverting = lease, None

    def _follow(self, lease: Lease, mine: int, said: list[str]) -> Steps:
        for what, *services in lease.steps:
            if what == "gone":
                for box in [box for box in self.dock.boxes.values() if box.service in services]:
                    self.tell("gone", mine, box.service)
                    del self.dock.boxes[box.id]
                    yield
            if what == "up":
                self.tell("up alone", mine, *services)
                yield from self.up(services, said)
                if said:
                    return
