"""Who is told: services that notify people, and forges that show how far a commit has come."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from reconciler.dataclass import dataclass
from reconciler.model.notice import CommitMark, Notice


@dataclass(frozen=True, slots=True)
class Sent:
    """How far sending came: so many of the first went out; then, unless it was all of them, `why` (masked).

    `is_final`: sending the next one again can't help.
    """

    count: int
    why: str = ""
    is_final: bool = False


class Messenger(Protocol):
    """A way to one service."""

    def send(self, notices: Sequence[Notice], *, timeout: float) -> Sent:
        """Sends them in their order, within `timeout` seconds. Never raises."""


class Forge(Protocol):
    """Where commits have statuses."""

    def mark(self, marks: Sequence[CommitMark], *, timeout: float) -> Sent:
        """Sets them in their order, within about `timeout` seconds for each. Never raises."""
