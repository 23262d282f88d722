"""Measurements of gates, and what they amount to."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from reconciler.dataclass import dataclass


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
