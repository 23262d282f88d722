"""The machine that this runs on: its clock, its signals, its name."""

from __future__ import annotations

import getpass
import math
import os
import platform
import threading
import time
from dataclasses import field
from datetime import UTC, datetime
from functools import cache

from reconciler.dataclass import dataclass


@dataclass(slots=True)
class Interrupt:
    """Whether a person asked to end (Ctrl-C, SIGTERM)."""

    event: threading.Event = field(default_factory=threading.Event)

    def __call__(self) -> bool:
        return self.event.is_set()


@dataclass(slots=True)
class TargetInterrupt:
    """Implements `cycle.context.Interruption`: each target answers a request for itself.

    A pass that isn't over after `longest` seconds is ended as if a person had asked for it.
    """

    asked: Interrupt
    longest: float = math.inf
    is_answered: bool = False
    began: float = field(default_factory=time.monotonic)

    def __call__(self) -> bool:
        return not self.is_answered and (self.asked() or self._left() <= 0)

    @property
    def why(self) -> str:
        if self.asked():
            return "interrupted by a person"
        return f"not over after {self.longest:g} s (timeouts.pass)"

    def answered(self) -> None:
        self.is_answered = True

    def wait(self, seconds: float) -> None:
        """Sleeps, and ends early at a request that isn't answered yet."""
        if self.is_answered:
            time.sleep(seconds)
        else:
            self.asked.event.wait(min(seconds, max(0.0, self._left())))

    def _left(self) -> float:
        return self.began + self.longest - time.monotonic()


class SystemClock:
    """Real time. A sleep ends early at an interrupt."""

    def __init__(self, interrupt: TargetInterrupt) -> None:
        self._interrupt = interrupt

    def now(self) -> datetime:
        return datetime.now(UTC)

    def monotonic(self) -> float:
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        self._interrupt.wait(seconds)


@cache
def controller() -> str:
    """Who runs this and from where, for locks and records."""
    try:
        user = getpass.getuser()
    except (ImportError, KeyError, OSError):
        user = "?"
    return f"{user}@{platform.node() or '?'} (process {os.getpid()})"
