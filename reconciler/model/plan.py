"""The ordered steps from observed to desired, each with its reason. Making a plan changes nothing."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Action(StrEnum):
    """What happens to a service's containers."""

    CREATE = "create"
    RECREATE = "recreate"
    SCALE = "scale"
    RUN = "run"
    """A one-shot runs (again)."""


@dataclass(frozen=True, slots=True)
class Pull:
    """An image comes to the target."""

    reference: str
    reason: str


@dataclass(frozen=True, slots=True)
class Stage:
    """A release's files come to the target, beside the others."""

    release: str
    reason: str


@dataclass(frozen=True, slots=True)
class Switch:
    """`current` points at another release."""

    leaving: str | None
    entering: str
    reason: str


@dataclass(frozen=True, slots=True)
class Up:
    """Compose brings a service to its definition; `stop_seconds` is what stopping may cost at most."""

    service: str
    action: Action
    reason: str
    stop_seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Start:
    """A container that is right but stopped or paused runs again: nothing is recreated."""

    service: str
    container_id: str
    container: str
    reason: str


@dataclass(frozen=True, slots=True)
class Remove:
    """A container of a service that the release doesn't have goes; its volumes stay."""

    service: str
    container_id: str
    container: str
    reason: str
    stop_seconds: float = 0.0


Step = Pull | Stage | Switch | Up | Start | Remove


@dataclass(frozen=True, slots=True)
class Plan:
    """What a pass would do. `release` is None where its images must be on the target before its id can be known.

    `drift` names what differs although no commit asked for it, as (vector, what was expected and found); `notes` are
    for people: what is left alone, and what will take long.
    """

    release: str | None
    tag: str
    steps: tuple[Step, ...]
    drift: tuple[tuple[str, str], ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def is_empty(self) -> bool:
        """Nothing to do."""
        return not self.steps

    @property
    def switches(self) -> bool:
        """Whether another release is entered, which is a deployment and not a repair."""
        return any(isinstance(step, Switch) for step in self.steps)
