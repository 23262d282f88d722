"""The dead man's lease that a pass leaves on a target (P8), and what the target did alone when nobody renewed it."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from reconciler.dataclass import dataclass
from reconciler.model.stored import Condition


class Mode(StrEnum):
    """What a lease is about."""

    SWITCH = "switch"
    """A release is being entered or left: silence makes the target go back."""
    SOAK = "soak"
    """A release is stabilizing: the target looks at its containers by itself."""


class Silence(StrEnum):
    """What a target does when it hears nothing any more and its containers are well."""

    REVERT = "revert"
    KEEP = "keep"


@dataclass(frozen=True, slots=True)
class Gone:
    """Remove the containers of a service that the way back doesn't have."""

    service: str


@dataclass(frozen=True, slots=True)
class Await:
    """Wait for a service, `seconds` at most; and go on then, for nobody is there to decide."""

    service: str
    condition: Condition
    seconds: float


@dataclass(frozen=True, slots=True)
class BringUp:
    """One `docker compose up` for these services."""

    services: tuple[str, ...]


Step = Gone | Await | BringUp


@dataclass(frozen=True, slots=True)
class Lease:
    """What the target needs to go back alone, besides what lies there already.

    `seconds` is the time from the last sign of life until it acts, `lasts` the time in seconds until it stops looking
    (`Mode.SOAK`).
    """

    id: str
    run: str
    entering: str
    back: str
    seconds: float
    silence: Silence
    steps: tuple[Step, ...]
    mode: Mode = Mode.SWITCH
    lasts: float = 0.0


@dataclass(frozen=True, slots=True)
class Armed:
    """A lease that lies on a target."""

    id: str
    mode: Mode
    entering: str


class Ended(StrEnum):
    """How a lease that ran out ended."""

    REVERTED = "reverted"
    REVERT_FAILED = "revert_failed"
    KEPT = "kept"
    ABANDONED = "abandoned"
    """The watchdog died on the way, and a pass found it before another could go on."""


@dataclass(frozen=True, slots=True)
class Alone:
    """What a target did without us. `sick` names the containers that weren't well when the lease ran out, `stuck` the
    ports for which its engine, and no release, is to blame for that; `told` is its own journal, a line for each step.
    """

    lease: str
    run: str
    entering: str
    back: str
    result: Ended
    at: datetime
    sick: str
    told: tuple[str, ...]
    stuck: str = ""

    @property
    def served_back(self) -> bool:
        """Whether the way back is what it left to serve, well or not."""
        return self.result is not Ended.KEPT
