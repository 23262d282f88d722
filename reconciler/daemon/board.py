"""What the daemon knows of every target and of its own work, for whoever asks: the status page, `/readyz`, metrics."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime

from reconciler.core.health import Health
from reconciler.cycle.result import PassResult
from reconciler.cycle.status import Status, Sync
from reconciler.daemon.measured import MeasuredGate, with_round
from reconciler.dataclass import dataclass
from reconciler.model.stored import TargetState

REMEMBERED = 20
"""Passes of a target that are remembered, those with nothing to tell left out."""


@dataclass(frozen=True, slots=True)
class Passed:
    """A pass that is over: when, and what it came to. Of the result only its words are kept: no state, no plan, no
    measurements."""

    at: datetime
    result: PassResult


@dataclass(frozen=True, slots=True)
class Seen:
    """A look that saw something: when, and what."""

    at: datetime
    status: Status


@dataclass(frozen=True, slots=True)
class Memory:
    """What the target's state file said, and when that was read."""

    at: datetime
    state: TargetState


@dataclass(frozen=True, slots=True)
class TargetView:
    """What is known of one target. `status` is None, and so unknown, while there is no connection: `trouble` says why.

    `last` is the last pass, also one that found nothing to do. `seen`, `memory` and `measured` are what was known last:
    they stay when the connection goes, and say how old they are.
    """

    name: str
    status: Status | None = None
    trouble: str = ""
    since: datetime | None = None
    looked_at: datetime | None = None
    last: PassResult | None = None
    told: tuple[Passed, ...] = ()
    seen: Seen | None = None
    memory: Memory | None = None
    measured: tuple[MeasuredGate, ...] = ()

    @property
    def sync(self) -> Sync:
        return self.status.sync if self.status else Sync.UNKNOWN

    @property
    def health(self) -> Health:
        return self.status.health if self.status else Health.UNKNOWN


@dataclass(frozen=True, slots=True)
class SourceView:
    """The desired state: at which commit, since when, and what is wrong with what came after it (empty: nothing).

    `asked_at` is when it was last known to be the newest. `is_blind` says that this is longer ago than `git.grace`.
    `period` is `stabilization.period`, in seconds.
    `refused` is the commit that isn't deployed, where the trouble is about one.
    """

    app: str = ""
    tag: str = ""
    commit: str | None = None
    since: datetime | None = None
    asked_at: datetime | None = None
    trouble: str = ""
    is_blind: bool = False
    period: float = 0.0
    refused: str | None = None


class Board:
    """Thread-safe. What it gives is a picture of one moment."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._targets: dict[str, TargetView] = {}
        self._told: dict[str, deque[Passed]] = {}
        self._source = SourceView()

    @property
    def source(self) -> SourceView:
        """The desired state."""
        with self._lock:
            return self._source

    def targets(self) -> Mapping[str, TargetView]:
        """Every target by name, in the order of deploy.yaml."""
        with self._lock:
            return dict(self._targets)

    def expect(self, names: tuple[str, ...]) -> None:
        """These are the targets; what was known of others is forgotten."""
        with self._lock:
            self._targets = {name: self._targets.get(name) or TargetView(name, since=_now()) for name in names}
            self._told = {name: self._told.get(name) or deque(maxlen=REMEMBERED) for name in names}

    def desired(self, source: SourceView) -> None:
        """The desired state is this now."""
        with self._lock:
            self._source = source

    def lost(self, name: str, why: str) -> None:
        """Nothing is known of the target any more."""
        with self._lock:
            known = self._targets.get(name)
            if known is not None:
                since = known.since if known.status is None and known.trouble else _now()
                self._targets[name] = replace(known, status=None, trouble=why, since=since)

    def passed(self, name: str, result: PassResult, now: Status) -> None:
        """A pass is over, and this is how it stands since."""
        at = _now()
        with self._lock:
            known = self._targets.get(name)
            if known is None:
                return
            if result.record is not None or result.exit_code != 0:
                self._remember(name, Passed(at, replace(result, state=None, plan=None, measurements=())))
            same = known.status is not None and (known.sync, known.health) == (now.sync, now.health)
            self._targets[name] = replace(
                known,
                status=now,
                trouble="",
                since=known.since if same else at,
                looked_at=at,
                last=result,
                told=tuple(self._told[name]),
                seen=known.seen if now.sync is Sync.UNKNOWN else Seen(at, now),
                memory=known.memory if result.state is None else Memory(at, result.state),
                measured=with_round(known.measured, result.measurements),
            )

    def _remember(self, name: str, passed: Passed) -> None:
        """What repeats itself word for word (a quarantine, pass after pass) is one entry."""
        told = self._told[name]
        if told and told[-1].result.record is None and told[-1].result.message == passed.result.message:
            told.pop()
        told.append(passed)


def _now() -> datetime:
    return datetime.now(UTC)
