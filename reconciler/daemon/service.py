"""The daemon: one loop that follows the desired state, one agent for each target, and whoever is told."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Protocol

from reconciler.cycle.result import PassResult
from reconciler.cycle.status import Status
from reconciler.daemon.agent import Agent, Reason
from reconciler.daemon.board import Board, SourceView
from reconciler.daemon.revision import Revision
from reconciler.daemon.schedule import Schedule
from reconciler.daemon.source import Source
from reconciler.model.deploy import Deploy
from reconciler.model.errors import DesiredStateError, EnvError, ReconcilerError
from reconciler.ports import Happening

log = logging.getLogger("reconciler.daemon")

PUSH_SOON = 1.0
"""Seconds from a record to its push, where the last one is long ago: what one commit did goes together."""
SLOWEST_BEAT = 3
"""Intervals without a sign of life after which a loop counts as stalled."""


class Listener(Protocol):
    """Who is told what happens: metrics, notifications. Must not block. What it raises is logged and goes no
    further."""

    def started(self, loop: str, every: float) -> None:
        """A loop has begun that is due every so many seconds."""

    def turned(self, loop: str) -> None:
        """A loop ended a round."""

    def expected(self, revision: Revision) -> None:
        """These are the targets and gates from now on."""

    def asked(self, view: SourceView, *, ok: bool) -> None:
        """The source was asked for the desired state; `ok`: and gave it."""

    def connection(self, target: str, *, up: bool, why: str) -> None: ...

    def noticed(self, target: str, happening: Happening) -> None: ...

    def passed(self, revision: Revision, result: PassResult, now: Status) -> None: ...

    def pushed(self, *, ok: bool, why: str) -> None:
        """Records were pushed, or couldn't be."""


class Outbox(Protocol):
    """The records that no remote is known to have, and write-backs that belong to them."""

    def is_empty(self) -> bool: ...

    def push(self) -> None:
        """Pushes everything that waits, by one commit. Raises a ReconcilerError: then it waits on."""

    def pending(self) -> Mapping[str, int]:
        """How many records wait, for each target that has some."""

    def reverted(self, deploy: Deploy, result: PassResult) -> None:
        """No target serves the tag any more from which this one went back by itself: where that is wanted, deploy.yaml
        goes back, too."""


class Service:
    """`every` and `grace` in seconds, as `git.every` and `git.grace`. Two pushes are at least `push_every` seconds
    apart, however much is healed (`records.push_every`)."""

    def __init__(
        self,
        source: Source,
        outbox: Outbox | None,
        *,
        every: float,
        grace: float,
        push_every: float,
        listeners: tuple[Listener, ...] = (),
    ) -> None:
        self.board = Board()
        self._source = source
        self._outbox = outbox
        self._every = every
        self._grace = grace
        self._push_every = push_every
        self._listeners = listeners
        self._schedule = Schedule()
        self._lock = threading.Lock()
        self._polling = threading.Lock()
        self._revision: Revision | None = None
        self._agents: dict[str, Agent] = {}
        self._began = time.monotonic()
        self._polled = self._began
        self._pushed: float | None = None
        self._is_stopping = False
        self._slots: threading.Semaphore | None = None

    def start(self) -> None:
        """Goes on from what was deployed last, and begins to follow."""
        try:
            if revision := self._source.resume():
                self._take(revision, asked=False)
        except ReconcilerError as error:
            log.warning("what was deployed last can't be read, so the source is asked first: %s", error)
        self._schedule.start()
        self._begin("source", self._every, self.poll)
        if self._outbox is not None:
            self._begin("records", self._push_every, self._push)

    def _begin(self, loop: str, every: float, job: Callable[[], None]) -> None:
        def turn() -> None:
            job()
            self._tell(lambda listener: listener.turned(loop))

        self._tell(lambda listener: listener.started(loop, every))
        self._schedule.every(loop, every, turn, at_once=True)

    def stop(self, timeout: float | None = None) -> bool:
        """Ends after the passes that are under way; records get one more chance. Whether it has ended in time."""
        with self._lock:
            self._is_stopping = True
            agents = list(self._agents.values())
        for agent in agents:
            agent.stop()
        end = None if timeout is None else time.monotonic() + timeout
        ended = [agent.join(None if end is None else max(0.0, end - time.monotonic())) for agent in agents]
        self._schedule.stop()
        self._pushed = None
        self._push()
        return all(ended)

    def wake(self, seconds: float) -> None:
        """Asks the source after so many seconds: somebody says that there is something new."""
        self._schedule.once("source/now", seconds, self.poll)

    def poll(self) -> None:
        """Asks the source for the desired state, and takes what is new in it."""
        with self._polling:
            try:
                revision = self._source.poll()
            except (DesiredStateError, EnvError) as error:
                self._refused(error, is_answer=True)
            except ReconcilerError as error:
                self._refused(error, is_answer=False)
            else:
                self._take(revision, asked=True)
            self._polled = time.monotonic()

    def is_alive(self) -> bool:
        """Whether the loop that asks the source still turns, and no agent's thread has ended."""
        with self._lock:
            agents = list(self._agents.values())
        late = time.monotonic() - self._polled > SLOWEST_BEAT * self._every + self._grace
        return not late and not any(agent.join(0) for agent in agents)

    def is_ready(self) -> bool:
        """Whether a desired state is known."""
        return self._revision is not None

    def serves(self, tag: str, *, besides: str) -> bool:
        """Whether another target is known to serve a release of this tag."""
        others = (view.last for name, view in self.board.targets().items() if name != besides)
        return any(last and last.serving and last.serving.startswith(f"{tag}-") for last in others)

    def _take(self, revision: Revision, *, asked: bool) -> None:
        with self._lock:
            before = self._revision
            is_new = before is None or before.fingerprint != revision.fingerprint
            if is_new:
                self._revision = revision
        now, known = datetime.now(UTC), self.board.source
        view = SourceView(
            app=revision.deploy.app,
            tag=revision.deploy.tag,
            commit=revision.commit,
            since=now if is_new else known.since,
            asked_at=now if asked else known.asked_at,
            period=revision.deploy.stabilization.period,
        )
        self.board.desired(view)
        if is_new:
            log.info("desired: %s at %s", revision.deploy.tag, revision.commit or "no commit")
            self._set_out(revision)
        if asked:
            self._tell(lambda listener: listener.asked(view, ok=True))
            if known.is_blind and not is_new:  # what was unknown for want of it is looked at again
                self._ask_all(tuple(revision.deploy.targets), Reason.SCHEDULE)

    def _refused(self, error: ReconcilerError, *, is_answer: bool) -> None:
        """Goes on with the desired state as it was known; for how long nobody could say what it is now is counted."""
        known, now = self.board.source, datetime.now(UTC)
        asked_at = now if is_answer else known.asked_at
        silent = (now - asked_at).total_seconds() if asked_at else time.monotonic() - self._began
        text = str(error)
        if known.trouble != text:
            log.warning("the desired state stays as it was: %s", text)
        is_blind, refused = silent > self._grace, self._source.refused
        view = replace(known, asked_at=asked_at, trouble=text, is_blind=is_blind, refused=refused)
        self.board.desired(view)
        self._tell(lambda listener: listener.asked(view, ok=False))

    def _set_out(self, revision: Revision) -> None:
        """Gives every target an agent, and ends those of targets that are no longer there: what runs there stays."""
        names = tuple(revision.deploy.targets)
        self._slots = threading.Semaphore(revision.deploy.rollout.max_parallel)
        self.board.expect(names)
        self._tell(lambda listener: listener.expected(revision))
        with self._lock:
            if self._is_stopping:
                return
            gone = [self._agents.pop(name) for name in list(self._agents) if name not in names]
            fresh = {name: self._agent(name) for name in names if name not in self._agents}
            going_on = list(self._agents.values())
            self._agents |= fresh
        for agent in gone:
            self._schedule.drop(f"{agent.name}/")
            agent.stop()
        for name in names:
            self._schedule.every(f"{name}/drift", revision.deploy.drift.every, self._asker(name, Reason.SCHEDULE))
        for agent in fresh.values():
            agent.start()
        for agent in going_on:
            agent.ask(Reason.COMMIT)

    def _ask_all(self, names: tuple[str, ...], reason: Reason) -> None:
        for name in names:
            self._asker(name, reason)()

    def _agent(self, name: str) -> Agent:
        def later(seconds: float, reason: Reason) -> None:
            self._schedule.once(f"{name}/{reason}", seconds, self._asker(name, reason))

        return Agent(name, desired=lambda: self._revision, report=_Hub(self), later=later, slots=lambda: self._slots)

    def _asker(self, name: str, reason: Reason) -> Callable[[], None]:
        def ask() -> None:
            with self._lock:
                agent = self._agents.get(name)
            if agent is not None:
                agent.ask(reason)

        return ask

    def _push(self) -> None:
        if self._outbox is None or self._outbox.is_empty():
            return
        now = time.monotonic()
        if self._pushed is not None and now - self._pushed < self._push_every:
            self._has_records()
            return
        self._pushed = now
        try:
            self._outbox.push()
        except (ReconcilerError, OSError) as error:
            why = str(error)
            log.warning("records wait to be pushed: %s", why)
            self._tell(lambda listener: listener.pushed(ok=False, why=why))
        else:
            self._tell(lambda listener: listener.pushed(ok=True, why=""))

    def _has_records(self) -> None:
        since = self._push_every if self._pushed is None else time.monotonic() - self._pushed
        self._schedule.once("records/now", max(PUSH_SOON, self._push_every - since), self._push)

    def _tell(self, tell: Callable[[Listener], None]) -> None:
        for listener in self._listeners:
            try:
                tell(listener)
            except Exception:  # who listens must not be able to end what it listens to
                log.exception("%s: a defect of this program", type(listener).__name__)


class _Hub:
    """Implements `agent.Report`: the board first, then everybody else."""

    def __init__(self, service: Service) -> None:
        self._service = service

    def connected(self, target: str) -> None:
        log.info("%s: connected", target)
        self._service._tell(lambda listener: listener.connection(target, up=True, why=""))

    def lost(self, target: str, why: str) -> None:
        known = self._service.board.targets().get(target)
        if known is None or known.trouble != why:
            log.warning("%s: nothing is known: %s", target, why)
        self._service.board.lost(target, why)
        self._service._tell(lambda listener: listener.connection(target, up=False, why=why))

    def noticed(self, target: str, happening: Happening) -> None:
        log.debug("%s: %s %s", target, happening.name, happening.action)
        self._service._tell(lambda listener: listener.noticed(target, happening))

    def passed(
        self, target: str, revision: Revision, reasons: frozenset[Reason], result: PassResult, now: Status
    ) -> None:
        service = self._service
        why = ", ".join(sorted(reasons))
        quiet = result.record is None and int(result.exit_code) == 0
        log.log(logging.DEBUG if quiet else logging.INFO, "%s: %s (%s)", target, result.message, why)
        service.board.passed(target, result, now)
        if service._outbox is not None:
            if result.result == "reverted" and not service.serves(result.tag, besides=target):
                service._outbox.reverted(revision.deploy, result)
            if not service._outbox.is_empty():
                service._has_records()
        service._tell(lambda listener: listener.passed(revision, result, now))

    def defect(self, target: str, error: Exception) -> None:
        self._service.board.lost(target, f"a defect of this program: {type(error).__name__}; the log has it")
