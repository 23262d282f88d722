"""At most eight commands at a time on a connection: sshd allows ten sessions by default (MaxSessions)."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

SESSIONS = 8


class Sessions:
    """Counts the sessions that are in use. Forwarded sockets aren't counted, by sshd neither."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._in_use = 0
        self._ended = 0
        self._change = threading.Condition()

    def take(self, deadline: float) -> Callable[[], None]:
        """Takes a place; returns what gives it back (calling that twice does no harm).

        Raises TimeoutError at `deadline` (time.monotonic seconds).
        """
        with self._change:
            if not self._change.wait_for(lambda: self._in_use < self.limit, max(0.0, deadline - time.monotonic())):
                raise TimeoutError(f"{self.limit} commands are running on this connection already")
            self._in_use += 1
        given_back = threading.Event()

        def release() -> None:
            with self._change:
                if given_back.is_set():
                    return
                given_back.set()
                self._in_use -= 1
                self._ended += 1
                self._change.notify_all()

        return release

    def others(self) -> int:
        """How many are in use besides the caller's own."""
        with self._change:
            return self._in_use - 1

    def wait_for_an_end(self, seconds: float) -> None:
        """Returns when a session ends, or after `seconds`."""
        with self._change:
            ended = self._ended
            self._change.wait_for(lambda: self._ended != ended, seconds)
