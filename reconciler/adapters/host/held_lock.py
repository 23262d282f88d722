"""The lock on a target while we hold it: a process there, and a heartbeat from here."""

from __future__ import annotations

import threading
from contextlib import suppress

from reconciler.model.errors import TargetUnreachable
from reconciler.ports import RemoteProcess

LONGEST_BEAT = 5.0
"""Seconds from one sign of life to the next, at most. The holder on the target ends 30 s after the last one
(`remote/lock.sh`): a few may be late, and a controller that sleeps or is cut off keeps nobody waiting for longer."""

RELEASE_SECONDS = 5.0


class ProcessLock:
    """Implements `ports.HeldLock`. The heartbeat has a thread of its own: what the pass waits for doesn't stop it."""

    def __init__(self, process: RemoteProcess, every: float) -> None:
        self._process = process
        self._every = every
        self._over = threading.Event()
        threading.Thread(target=self._beat, name="lock-heartbeat", daemon=True).start()

    def release(self) -> None:
        """Returns when it is really free: whoever comes next isn't refused because of us."""
        self._over.set()
        with suppress(TargetUnreachable):
            self._process.wait(RELEASE_SECONDS)
        self._process.close()

    def _beat(self) -> None:
        # Without it the lock goes; and whatever this pass still sends, the fence judges.
        with suppress(TargetUnreachable):
            while not self._over.wait(self._every):
                self._process.write(b"\n")
