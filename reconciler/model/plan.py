"""The ordered steps from observed to desired, each with its reason. Making a plan changes nothing."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

from reconciler.dataclass import dataclass
from reconciler.model.audit import Action as Putting
from reconciler.model.drift import Drift, Vector
from reconciler.model.stored import Attachment


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


@dataclass(frozen=True, slots=True)
class Restart:
    """A container that runs is started again, so that it sees the file that was put back under its mount."""

    service: str
    container_id: str
    container: str
    reason: str
    stop_seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Stop:
    """A container that no release explains is stopped, and left there: what it holds isn't ours to remove."""

    service: str
    container_id: str
    container: str
    reason: str


@dataclass(frozen=True, slots=True)
class Update:
    """A container's limits and restart policy are what they were (`Live.limits`); it runs on."""

    service: str
    container_id: str
    container: str
    limits: Mapping[str, int | str]
    reason: str


@dataclass(frozen=True, slots=True)
class Connect:
    """A container comes back to one of its networks; it runs on."""

    service: str
    container_id: str
    container: str
    network: str
    attachment: Attachment
    reason: str


@dataclass(frozen=True, slots=True)
class Disconnect:
    """A container leaves a network that isn't one of its own; it runs on."""

    service: str
    container_id: str
    container: str
    network: str
    reason: str


@dataclass(frozen=True, slots=True)
class PutBack:
    """Something of ours in deploy_dir is what it was: a file, a link, the state."""

    object: str
    action: Putting
    reason: str


@dataclass(frozen=True, slots=True)
class Hold:
    """A keeper runs again, so that a prune can't take the image of the way back."""

    image_id: str
    reason: str


Step = Pull | Stage | Switch | Up | Start | Restart | Remove | Stop | Update | Connect | Disconnect | PutBack | Hold


@dataclass(frozen=True, slots=True)
class Plan:
    """What a pass would do. `release` is None where its images must be on the target before its id can be known.

    `drift` is what differs although no commit asked for it, `left` the part of it that no step puts back, each with
    why; `notes` are for people: what else is left alone, and what will take long.
    """

    release: str | None
    tag: str
    steps: tuple[Step, ...]
    drift: tuple[Drift, ...] = ()
    left: tuple[tuple[Drift, str], ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def is_empty(self) -> bool:
        """Nothing to do."""
        return not self.steps

    @property
    def repairs_files_only(self) -> bool:
        """Whether no service's container is touched: there is nothing to measure afterwards."""
        return bool(self.steps) and all(isinstance(step, PutBack | Hold) for step in self.steps)

    @property
    def leaves_containers(self) -> bool:
        """Whether a container that isn't as it should be is left so: then measuring the release says nothing of it."""
        vectors = {Vector.CONTAINER, Vector.IMAGE, Vector.DEFINITION}
        return any(drift.vector in vectors for drift, _ in self.left)

    @property
    def switches(self) -> bool:
        """Whether another release is entered, which is a deployment and not a repair."""
        return any(isinstance(step, Switch) for step in self.steps)
