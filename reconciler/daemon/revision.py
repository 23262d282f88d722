"""What the daemon asks of the desired state at one moment. The wiring makes it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from reconciler.cycle.context import TargetContext
from reconciler.model.deploy import Deploy
from reconciler.ports import Watch


class Connection(Protocol):
    """A way to a target that many passes use, one after the other. One that is lost stays lost."""

    @property
    def watch(self) -> Watch:
        """What happens to the app's containers."""

    def close(self) -> None:
        """Ends it with everything that uses it. Never raises."""


class Revision(Protocol):
    """One desired state, checked, with its env values. `commit` is None outside of git.

    Two with the same `fingerprint` ask for the same; it is kept in memory only (values are in it).
    """

    @property
    def commit(self) -> str | None: ...

    @property
    def deploy(self) -> Deploy: ...

    @property
    def fingerprint(self) -> str: ...

    def connect(self, name: str) -> Connection:
        """A connection to the target, and what happens there from now on.

        Raises a ReconcilerError where there is none to be had; then nothing is left open.
        """

    def on(self, name: str, connection: Connection, say: Callable[[str], None]) -> TargetContext:
        """What one pass over the target `name` is given. Raises KeyError where there is no such target."""
