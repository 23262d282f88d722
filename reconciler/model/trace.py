"""What a target remembers of who changed it."""

from __future__ import annotations

from datetime import datetime

from reconciler.dataclass import dataclass


@dataclass(frozen=True, slots=True)
class Change:
    """Something that was done to a container, by the engine's clock. `network` is set where it was (un)plugged."""

    container: str
    action: str
    at: datetime
    network: str = ""


@dataclass(frozen=True, slots=True)
class Login:
    """A session of a person on the target. `where` is the terminal, with the address that it came from."""

    user: str
    where: str
