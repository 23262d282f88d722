"""Something that waits to be sent, in a thread of its own: whoever hands it over goes on at once.

What can't be sent is tried again, ever more slowly, and given up after a day, with a line in the log. At least once: a
daemon that is killed between sending and writing that down sends again.
"""

from __future__ import annotations

import logging
import random
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final, Generic, Protocol, TypeVar

from reconciler.ports.telling import Sent

log = logging.getLogger("reconciler.notify")

MOST_WAITING: Final = 200
"""Older ones are given up for newer ones beyond it."""
BATCH: Final = 20
FIRST_PAUSE, LONGEST_PAUSE = 2.0, 300.0
"""Seconds from a failure to the next attempt; it doubles up to the longest. Each is varied by a quarter."""
TIMEOUT: Final = 20.0
"""Seconds for one attempt."""
GIVEN_UP: Final = timedelta(days=1)
"""Older ones aren't sent any more."""


class Dated(Protocol):
    """What is sent knows when it came to be."""

    @property
    def at(self) -> datetime: ...


T = TypeVar("T", bound=Dated)


class Courier(Generic[T]):
    """`send(items, timeout)` sends them in order; `name` is for the log, and no secret. `changed` is called when fewer
    wait, `outcome` with each that went out (True) or couldn't in an attempt (False); both from its thread."""

    def __init__(
        self,
        name: str,
        send: Callable[[Sequence[T], float], Sent],
        *,
        changed: Callable[[], None] = lambda: None,
        outcome: Callable[[T, bool], None] = lambda _item, _ok: None,
    ) -> None:
        self._name = name
        self._send = send
        self._changed = changed
        self._outcome = outcome
        self._pause = FIRST_PAUSE
        self._items: deque[T] = deque()
        self._wake = threading.Condition()
        self._not_before = 0.0
        self._is_stopping = False
        self._said = ""
        self._thread = threading.Thread(target=self._run, name=f"notify:{name}", daemon=True)

    def start(self) -> None:
        """Begins to send."""
        self._thread.start()

    def put(self, items: Iterable[T]) -> None:
        """Hands over. From any thread; never waits."""
        with self._wake:
            self._items += items
            dropped = max(0, len(self._items) - MOST_WAITING)
            for _ in range(dropped):
                self._items.popleft()
            self._wake.notify_all()
        if dropped:
            log.warning("%s: %d more wait than can be kept: the oldest are given up", self._name, dropped)

    def waiting(self) -> tuple[T, ...]:
        """What hasn't gone out."""
        with self._wake:
            return tuple(self._items)

    def stop(self) -> None:
        """One more attempt, and then it ends. `join` waits for it."""
        with self._wake:
            self._is_stopping = True
            self._wake.notify_all()

    def join(self, timeout: float) -> None:
        """Waits for its end, `timeout` seconds at most."""
        self._thread.join(timeout)

    def attempt(self, timeout: float) -> None:
        """Sends what waits, as far as that goes now. Never raises."""
        with self._wake:
            batch = tuple(self._items)[:BATCH]
        if not batch:
            return
        try:
            sent = self._send(batch, timeout)
        except Exception as error:  # noqa: BLE001 - a notifier's defect must not be the end of what comes later
            log.error("%s: a defect of this program: %s", self._name, type(error).__name__)
            sent = Sent(0, "a defect of this program")
        self._take_off(batch[: sent.count])
        for each in batch[: sent.count]:
            self._outcome(each, True)
        if sent.count < len(batch):
            self._failed(batch[sent.count], sent)
        else:
            self._said, self._pause = "", FIRST_PAUSE
        self._changed()

    def _failed(self, item: T, sent: Sent) -> None:
        self._outcome(item, False)
        is_old = datetime.now(UTC) - item.at > GIVEN_UP
        if is_old or sent.is_final:
            self._take_off((item,))
        what = "given up" if is_old or sent.is_final else "tried again"
        if sent.why != self._said:  # once, and not at each attempt
            log.warning("%s: can't be sent, and is %s: %s", self._name, what, sent.why)
            self._said = sent.why
        if sent.count:
            self._pause = FIRST_PAUSE
        with self._wake:
            wait = 0.0 if sent.is_final else self._pause * random.uniform(0.75, 1.25)  # noqa: S311 - no secret
            self._not_before = time.monotonic() + wait
            self._pause = min(LONGEST_PAUSE, self._pause * 2)

    def _take_off(self, items: Sequence[T]) -> None:
        with self._wake:
            for each in items:
                if each in self._items:  # unless it was given up for a newer one meanwhile
                    self._items.remove(each)

    def _run(self) -> None:
        while True:
            with self._wake:
                while not self._is_stopping and (not self._items or time.monotonic() < self._not_before):
                    self._wake.wait(max(0.0, self._not_before - time.monotonic()) if self._items else None)
                is_last = self._is_stopping
            self.attempt(TIMEOUT)
            if is_last:
                return
