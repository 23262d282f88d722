"""Drift: what differs from what the last pass left, although no commit asked for it. Source: DESIGN, "Drift"."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from reconciler.dataclass import dataclass


class Vector(StrEnum):
    """The ways in which a target drifts. The values stand in deploy.yaml, plans, records and metrics."""

    CONTAINER = "container"
    """A container is missing, stopped, paused or dead."""
    FOREIGN_CONTAINER = "foreign_container"
    """A container in the project that no release of the app explains."""
    IMAGE = "image"
    """A container runs another image than the release's."""
    DEFINITION = "definition"
    """A container was made from other definitions than the release's."""
    LIMITS = "limits"
    """`docker update`: resource limits or the restart policy of a container."""
    NETWORK = "network"
    """A container was detached from one of its networks, or its names there were changed."""
    ATTACHMENT = "attachment"
    """A container was attached to a network that isn't one of its own."""
    LAYER = "layer"
    """Files that were written in a container outside its mounts."""
    FILE = "file"
    """A file in the managed part of deploy_dir was changed, added, removed or given other permissions."""
    ENV = "env"
    """The env values of a release on the target: a key added or removed, a value changed."""
    LINK = "link"
    """`current`, `last_good`, `last_good_tag`, `compose.yaml` or `.env` points elsewhere."""
    STATE = "state"
    """The state file was edited or removed."""
    KEEPER = "keeper"
    """A keeper, which holds an image of the way back, was stopped or removed."""


class DriftPolicy(StrEnum):
    """What is done about drift."""

    HEAL = "heal"
    """It is put back, with the least action."""
    ALERT = "alert"
    """It is reported: exit code 2, metric, record."""
    IGNORE = "ignore"
    """It isn't looked at."""


ONLY_REPORTED = frozenset({Vector.ATTACHMENT, Vector.LAYER})
"""`alert` unless deploy.yaml says `heal`: what programs do by themselves, and what others may have meant to do."""


@dataclass(frozen=True, slots=True)
class Drift:
    """One difference. `object` is what drifted: a container, a path below deploy_dir, an env key.

    `expected` and `found` hold no value of an env key. `at` and `hint` say when and by whom, where the target can tell;
    `why_not` why it can't be put back, although the policy would.
    """

    vector: Vector
    object: str
    expected: str
    found: str
    at: datetime | None = None
    hint: str = ""
    why_not: str = ""

    @property
    def key(self) -> str:
        """What an episode of drift is known by, however often it comes back."""
        return f"{self.vector}:{self.object}"

    @property
    def line(self) -> str:
        """One line for people: `object: expected …, found …`."""
        since = f", since {self.at:%Y-%m-%d %H:%M:%S} UTC" if self.at else ""
        by = f" ({self.hint})" if self.hint else ""
        return f"{self.object}: expected {self.expected}, found {self.found}{since}{by}"
