"""The faults: what each does at the index, and how the world is brought back."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from tests.faults.lab import PASS_SECONDS, Lab
from tests.faults.passes import Pass

DAY = 86400
ENGINE_OFF_SECONDS = 1.0
"""How long the engine stays dead while the controller goes on."""
BOTH = ("local", "ssh")
Action = Callable[[Lab], None]


@dataclass(frozen=True)
class Pace:
    """How long the slow faults last, in seconds: how long sshd stands still, and after how long of silence the
    controller takes its peer for dead (None: the product's own time)."""

    stopped: float
    dead_peer: int | None


WHOLE = Pace(stopped=60.0, dead_peer=None)
SAMPLE = Pace(stopped=6.0, dead_peer=3)
"""As short as still exceeds the time-out."""


def _nothing(lab: Lab) -> None:
    return


@dataclass(frozen=True)
class Fault:
    """`inflict` while the controller stands at its index; `back` while it goes on (None: once it has ended)."""

    name: str
    transports: tuple[str, ...]
    inflict: Action = _nothing
    back: Action = _nothing
    lasts: Callable[[Pace], float | None] = lambda _: None
    kills: bool = False
    """The controller dies by its own hand."""
    alone: bool = False
    """Nobody comes back until the target's own watchdog has done what it does (P8)."""

    def play(self, lab: Lab, running: Pass, pace: Pace) -> None:
        """From the index on until the controller may be waited for; afterwards the world is whole again."""
        self.inflict(lab)
        try:
            running.go_on()
            seconds = self.lasts(pace)
            if seconds is None:
                running.wait(seconds=PASS_SECONDS)
            else:
                running.wait(seconds=seconds, quietly=True)
        finally:
            self.back(lab)


def _cut(lab: Lab) -> None:
    assert lab.sshd is not None
    lab.sshd.cut_connections()


def _firewall(what: str) -> Action:
    def rules(lab: Lab) -> None:
        assert lab.sshd is not None
        for side in ("--dport", "--sport"):
            port = str(lab.sshd.port)
            lab.server.run("iptables", "--wait", what, "INPUT", "-p", "tcp", side, port, "-j", "DROP")

    return rules


def _signal_sshd(number: signal.Signals) -> Action:
    def signal_all(lab: Lab) -> None:
        assert lab.sshd is not None
        for pid in (lab.sshd.pid, *sshd_below(lab.sshd.pid)):
            with suppress(ProcessLookupError):
                os.kill(pid, number)

    return signal_all


def sshd_below(pid: int) -> Iterator[int]:
    """Every sshd process that the listener has made."""
    for task in Path(f"/proc/{pid}/task").glob("*"):
        for child in (task / "children").read_text().split():
            with suppress(OSError):
                if (Path("/proc") / child / "comm").read_text().startswith("sshd"):
                    yield int(child)
                    yield from sshd_below(int(child))


def _clock(seconds: int) -> Action:
    def move(lab: Lab) -> None:
        lab.clock.write_text(str(seconds))

    return move


def _boot(lab: Lab) -> None:
    lab.server.power_on()
    lab.server.start()
    lab.connect()


FAULTS = {
    fault.name: fault
    for fault in (
        Fault("kill", BOTH, kills=True),
        Fault("alone", BOTH, kills=True, alone=True),
        Fault("reset", ("ssh",), _cut),
        Fault("drop", ("ssh",), _firewall("--insert"), _firewall("--delete")),
        Fault(
            "engine", BOTH, lambda lab: lab.server.kill(), lambda lab: lab.server.start(), lambda _: ENGINE_OFF_SECONDS
        ),
        Fault("disk", BOTH, lambda lab: lab.fill_disk(), lambda lab: lab.free_disk()),
        Fault("day-ahead", BOTH, _clock(DAY), _clock(0)),
        Fault("day-behind", BOTH, _clock(-DAY), _clock(0)),
        Fault("stop", ("ssh",), _signal_sshd(signal.SIGSTOP), _signal_sshd(signal.SIGCONT), lambda pace: pace.stopped),
        Fault("reboot", BOTH, lambda lab: lab.server.power_off(), _boot, lambda _: 0.0),
        Fault("reboot-alone", BOTH, lambda lab: lab.server.power_off(), _boot, lambda _: 0.0, alone=True),
    )
}
