"""Measurements of gates, and what they amount to."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING

from reconciler.dataclass import dataclass

if TYPE_CHECKING:
    from reconciler.model.stored import Stabilization


class Outcome(StrEnum):
    """What one measurement says. No data and errors say nothing of the app (DESIGN, "Measuring and judging")."""

    PASS = "pass"  # noqa: S105 - the outcome's name
    BREACH = "breach"
    INCONCLUSIVE = "inconclusive"
    NO_DATA = "no_data"
    ERROR = "error"


class GateKind(StrEnum):
    """The kinds of gates. Containers and HTTP must pass at the end of a window."""

    CONTAINERS = "containers"
    HTTP = "http"
    LOGS = "logs"
    RESOURCES = "resources"
    NETWORK = "network"
    METRICS = "metrics"
    JSON = "json"
    COMMANDS = "commands"

    @property
    def must_pass_at_end(self) -> bool:
        """Whether its last measurement has to be a pass, even for a hold."""
        return self in {GateKind.CONTAINERS, GateKind.HTTP}


@dataclass(frozen=True, slots=True)
class Measurement:
    """One reading of one gate.

    `seen` says what was really there (status and first line of a body, pattern and count, exit code), masked before it
    is shown. `value` is the number behind it where there is one, in the unit that `query` names. `fatal` ends the
    window at once (a crash loop needs no full window); `container` names the one to blame, whose evidence is
    then saved.
    """

    gate: str
    kind: GateKind
    outcome: Outcome
    at: datetime
    query: str
    seen: str
    value: float | None = None
    fatal: bool = False
    container: str | None = None


class OnSilence(StrEnum):
    """What no data, or an error, of a measuring system leads to."""

    HOLD = "hold"
    ROLLBACK = "rollback"


@dataclass(frozen=True, slots=True)
class GateLimits:
    """How the measurements of one gate are judged.

    Nothing is measured before `due`; and never where `skipped` says why the gate doesn't apply. `breach_limit` and
    `min_samples` are those of the gate itself; None: the one that holds for all.
    """

    gate: str
    kind: GateKind
    breach_limit: int | None = None
    min_samples: int = 1
    due: datetime | None = None
    skipped: str = ""
    on_no_data: OnSilence = OnSilence.HOLD
    on_error: OnSilence = OnSilence.HOLD

    def is_due(self, now: datetime) -> bool:
        """Whether it has to be measured by `now`."""
        return not self.skipped and not self.waits(now)

    def waits(self, now: datetime) -> bool:
        """Whether it will be measured, and not yet."""
        return not self.skipped and self.due is not None and now < self.due


@dataclass(frozen=True, slots=True)
class Served:
    """A release that served from `since` until the switch."""

    tag: str
    since: datetime


@dataclass(frozen=True, slots=True)
class Subject:
    """The release that is judged: nothing from before `switched_at` counts. `before` is the one to compare it with."""

    tag: str
    switched_at: datetime
    before: Served | None = None


class VerdictKind(StrEnum):
    """What a window of measurements amounts to."""

    GO = "go"
    HOLD = "hold"
    NO_GO = "no_go"


@dataclass(frozen=True, slots=True)
class Verdict:
    """The judgement of a window, with the measurement that decided it (None for a go)."""

    kind: VerdictKind
    reason: str
    decisive: Measurement | None = None


@dataclass(frozen=True, slots=True)
class RoundRules:
    """What a round of stabilization is judged by besides its measurements; `period` and `interval` are seconds."""

    before: Stabilization
    period: float
    interval: float
    breach_limit: int


@dataclass(frozen=True, slots=True)
class Verification:
    """A verdict over `release` at the time `at`, with every measurement and limit behind it, in order.

    A window's, or where there are `rules` a round's of stabilization.
    """

    release: str
    at: datetime
    verdict: Verdict
    measurements: tuple[Measurement, ...]
    gates: tuple[GateLimits, ...]
    rules: RoundRules | None = None
