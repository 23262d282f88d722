"""The way to an engine for what changes something: through a script on the target that judges whether we may."""

from __future__ import annotations

from typing import Protocol

from reconciler.ports import RemoteProcess, Stream


class Fence(Protocol):
    """Lets requests through as long as nobody has taken the target over (`remote/fenced.sh`)."""

    def dial_engine(self, what: str, timeout: float) -> Stream:
        """A stream to the engine's socket; `what` is for the target's journal. It raises TakenOver when it is used."""

    def start_pull(self, reference: str) -> RemoteProcess:
        """`docker pull` on the target, with the login of its user."""
