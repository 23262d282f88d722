"""One target's own thread: a connection, what happens there, and one pass at a time.

Everybody who has a reason asks for a pass; reasons that come together are one pass. What our own passes do in the
engine comes back as events, too: those are dropped, and what a person did meanwhile is found by the look that follows
each pass.
"""

from __future__ import annotations

import logging
import queue
import random
import threading
import time
from collections.abc import Callable
from contextlib import nullcontext
from enum import StrEnum
from typing import Protocol

from reconciler.core import episodes
from reconciler.cycle.carry_out import carry_out
from reconciler.cycle.context import TargetContext
from reconciler.cycle.reconcile import reconcile
from reconciler.cycle.result import PassResult
from reconciler.cycle.status import Status, Sync, status, unknown
from reconciler.daemon.revision import Connection, Revision
from reconciler.dataclass import dataclass
from reconciler.model.errors import ExitCode, ReconcilerError
from reconciler.model.target import Target
from reconciler.ports import Happening

log = logging.getLogger("reconciler.daemon")

QUIET = 0.2
"""Seconds without another event, and what happened is looked at: `docker restart` makes four of them."""
PATIENCE = 1.0
"""Seconds after which it is looked at although more keep coming."""
FIRST_PAUSE, LONGEST_PAUSE = 1.0, 60.0
"""Seconds from a lost connection to the next attempt; it doubles up to the longest. Each is varied by a quarter."""
LOCKED_PAUSE = 5.0
"""Seconds after which a target that another controller had is tried again."""
FIRST_RETRY = 2.0
"""Seconds after which a pass that failed is tried again; it doubles each time, up to `drift.every`."""


class Reason(StrEnum):
    """Why a pass is wanted."""

    CONNECTED = "connected"
    COMMIT = "commit"
    EVENT = "event"
    SCHEDULE = "schedule"
    STABILIZATION = "stabilization"
    RETRY = "retry"


class Report(Protocol):
    """Who is told what an agent sees. Called from the agent's thread; must not block, and must not raise."""

    def connected(self, target: str) -> None: ...

    def lost(self, target: str, why: str) -> None:
        """From now on nothing is known of the target (P6)."""

    def noticed(self, target: str, happening: Happening) -> None: ...

    def passed(
        self, target: str, revision: Revision, reasons: frozenset[Reason], result: PassResult, now: Status
    ) -> None:
        """A pass that wanted `revision` is over; by now another may be wanted."""

    def defect(self, target: str, error: Exception) -> None: ...


@dataclass(frozen=True, slots=True)
class _Lost:
    session: _Session
    why: str


class _Stop:
    pass


class _Session:
    """A connection with its stream of events; a thread of its own reads those."""

    def __init__(self, target: Target, connection: Connection) -> None:
        self.target, self.connection = target, connection

    def listen(self, name: str, tell: Callable[[Happening | _Lost], None]) -> None:
        def read() -> None:
            why = "the engine's event stream ended"
            try:
                for happening in self.connection.watch:
                    tell(happening)
            except ReconcilerError as error:
                why = str(error)
            except Exception as error:  # what is said there isn't ours; the connection is made anew
                log.exception("%s: an event can't be read", name)
                why = f"{type(error).__name__}: {error}"
            tell(_Lost(self, why))

        threading.Thread(target=read, name=f"events:{name}", daemon=True).start()

    def close(self) -> None:
        self.connection.close()


class Agent:
    """`later(seconds, reason)` asks again after a time; `desired` is what is wanted now (None: nothing known yet);
    `slots` limit how many targets take a new commit at the same time."""

    def __init__(
        self,
        name: str,
        *,
        desired: Callable[[], Revision | None],
        report: Report,
        later: Callable[[float, Reason], None],
        slots: Callable[[], threading.Semaphore | None] = lambda: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.name = name
        self._desired = desired
        self._report = report
        self._later = later
        self._slots = slots
        self._clock = clock
        self._mailbox: queue.SimpleQueue[Reason | Happening | _Lost | _Stop] = queue.SimpleQueue()
        self._session: _Session | None = None
        self._stopping = False
        self._pause = FIRST_PAUSE
        self._retry = FIRST_RETRY
        self._thread = threading.Thread(target=self._run, name=f"target:{name}", daemon=True)

    def start(self) -> None:
        """Begins; the first pass follows the first connection."""
        self._thread.start()

    def ask(self, reason: Reason) -> None:
        """Wants a pass soon. From any thread."""
        self._mailbox.put(reason)

    def stop(self) -> None:
        """Ends after the pass that is under way. From any thread; `join` waits for it."""
        self._mailbox.put(_Stop())

    def join(self, timeout: float | None = None) -> bool:
        """Whether it has ended, after at most `timeout` seconds."""
        self._thread.join(timeout)
        return not self._thread.is_alive()

    def _run(self) -> None:
        while not self._stopping:
            try:
                self._turn()
            except Exception as error:  # one target's defect must not silence the daemon; it is told, and paced
                log.exception("%s: a defect of this program", self.name)
                self._report.defect(self.name, error)
                self._drop("a defect of this program; the log has it")
        self._hang_up()

    def _turn(self) -> None:
        revision = self._desired()
        if revision is None or self.name not in revision.deploy.targets:
            self._wait(None)
            return
        if self._session is not None and self._session.target != revision.deploy.targets[self.name]:
            self._hang_up()
        if self._session is None:
            self._connect(revision)
            return
        reasons = self._wait(None)
        if reasons and self._session is not None:
            self._pass(frozenset(reasons))

    def _wait(self, timeout: float | None) -> set[Reason]:
        """What a pass is wanted for; empty after `timeout` seconds, or where the connection or the daemon ended."""
        reasons: set[Reason] = set()
        end, quiet = (None if timeout is None else self._clock() + timeout), None
        while True:
            try:
                message = self._mailbox.get(timeout=_left(end if quiet is None else quiet, self._clock()))
            except queue.Empty:
                return reasons
            match message:
                case _Stop():
                    self._stopping = True
                    return set()
                case _Lost():
                    if message.session is self._session:
                        self._drop(message.why)
                        return set()
                case Happening():
                    self._report.noticed(self.name, message)
                    if not reasons:
                        end = self._clock() + PATIENCE
                    reasons.add(Reason.EVENT)
                    quiet = min(self._clock() + QUIET, end or 0.0)
                case Reason():
                    reasons.add(message)
                    quiet = quiet or self._clock()  # what else has been asked for by now is the same pass

    def _connect(self, revision: Revision) -> None:
        try:
            connection = revision.connect(self.name)
        except ReconcilerError as error:
            self._drop(str(error))
            return
        self._session = _Session(revision.deploy.targets[self.name], connection)
        self._session.listen(self.name, self._mailbox.put)
        self._pause = FIRST_PAUSE
        self._report.connected(self.name)
        self.ask(Reason.CONNECTED)

    def _drop(self, why: str) -> None:
        """Nothing is known from here on; a moment later, or when somebody asks, it is tried again."""
        self._hang_up()
        self._report.lost(self.name, why)
        pause = self._pause * random.uniform(0.75, 1.25)  # noqa: S311 - so that a fleet doesn't come back as one
        self._pause = min(LONGEST_PAUSE, self._pause * 2)
        self._wait(pause)

    def _hang_up(self) -> None:
        if self._session is not None:
            self._session.close()
            self._session = None

    def _pass(self, reasons: frozenset[Reason]) -> None:
        revision, session = self._desired(), self._session
        if revision is None or session is None or self.name not in revision.deploy.targets:
            return
        with (self._slots() if Reason.COMMIT in reasons else None) or nullcontext():
            ctx = revision.on(self.name, session.connection, self._say)
            result = carry_out(reconcile, ctx)
            self._forget_our_own()
            now = _look(ctx)
        self._report.passed(self.name, revision, reasons, result, now)
        if result.exit_code is ExitCode.UNREACHABLE:
            self._drop(result.message)
            return
        self._follow_up(ctx, reasons, result, now)

    def _follow_up(self, ctx: TargetContext, reasons: frozenset[Reason], result: PassResult, now: Status) -> None:
        left_blameless = result.exit_code is ExitCode.REVERTED and not _is_quarantined(result)
        if result.exit_code is ExitCode.ERROR or left_blameless:
            self._later(min(self._retry, ctx.deploy.drift.every), Reason.RETRY)
            self._retry = min(self._retry * 2, ctx.deploy.drift.every)
        else:
            self._retry = FIRST_RETRY
        if result.exit_code is ExitCode.LOCKED:
            self._later(LOCKED_PAUSE, Reason.RETRY)
        elif result.exit_code is ExitCode.OK and now.sync is Sync.OUT_OF_SYNC and reasons != {Reason.RETRY}:
            self.ask(Reason.RETRY)  # somebody did something while we were at it
        state = result.state
        if state is None:
            return
        if state.phase is not None and state.phase.is_measured and not state.suspended:
            self._later(ctx.deploy.stabilization.interval, Reason.STABILIZATION)
        at = ctx.clock.now()
        waits = [until for each in state.episodes.values() if (until := episodes.waits_until(each, at))]
        if waits and result.plan is not None and result.plan.left:
            self._later(max(0.0, (min(waits) - at).total_seconds()), Reason.RETRY)

    def _forget_our_own(self) -> None:
        """Takes the events of our own pass out of the mailbox; what else is in there stays, in its order."""
        kept: list[Reason | _Lost | _Stop] = []
        while True:
            try:
                message = self._mailbox.get_nowait()
            except queue.Empty:
                break
            if not isinstance(message, Happening):
                kept.append(message)
        for message in kept:
            self._mailbox.put(message)

    def _say(self, text: str) -> None:
        log.info("%s: %s", self.name, text)


def _look(ctx: TargetContext) -> Status:
    try:
        return status(ctx)
    except ReconcilerError as error:
        return unknown(ctx, str(error))


def _is_quarantined(result: PassResult) -> bool:
    return result.state is None or result.desired is None or result.desired in result.state.quarantine


def _left(end: float | None, now: float) -> float | None:
    return None if end is None else max(0.0, end - now)
