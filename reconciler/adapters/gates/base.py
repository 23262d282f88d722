"""What every gate needs: the engine as gates see it, and how a reading becomes a masked measurement."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Protocol

from reconciler.dataclass import dataclass
from reconciler.model.errors import TargetTimeout
from reconciler.model.measure import GateKind, GateLimits, Measurement, Outcome
from reconciler.model.observed import ContainerFacts
from reconciler.ports import Clock, Transport, Usage

LONGEST_QUOTE = 200
"""Characters of foreign text (a body, a health probe's output) in one measurement."""
ALIVE_SECONDS = 10.0


class GateEngine(Protocol):
    """The part of the engine that gates read. Everything raises TargetUnreachable where the answer is unknown."""

    def containers(self, project: str, *, details: bool) -> tuple[ContainerFacts, ...]: ...

    def usage(self, container_id: str) -> Usage: ...

    def disk_root(self) -> str: ...

    def stamped_logs(self, container_id: str, *, since: datetime, limit: int) -> bytes | None:
        """Output since `since` (the engine's clock), RFC 3339 time first in each line, at most its last `limit` bytes.

        b"" for a container that is gone; None where its log driver keeps nothing to read.
        """

    def health_output(self, container_id: str) -> str:
        """What the newest failed health probe printed; "" where there is none."""

    def last_exit_code(self, container_id: str) -> int | None:
        """How it ended the last time, though it runs again; None where the engine doesn't remember."""

    def now(self) -> datetime:
        """The engine's own clock."""


@dataclass(frozen=True, slots=True)
class Reporter:
    """Makes the measurements of one gate; everything shown goes through `redact` first (P9)."""

    gate: str
    kind: GateKind
    query: str
    clock: Clock
    redact: Callable[[str], str]

    @property
    def limits(self) -> GateLimits:
        """Those of a gate that sets none of its own."""
        return GateLimits(self.gate, self.kind)

    def say(
        self,
        outcome: Outcome,
        seen: str,
        *,
        value: float | None = None,
        fatal: bool = False,
        container: str | None = None,
    ) -> Measurement:
        """One measurement, as of now. `seen` is one line by us; what it quotes went through `quote`."""
        return Measurement(
            gate=self.gate,
            kind=self.kind,
            outcome=outcome,
            at=self.clock.now(),
            query=self.redact(self.query),
            seen=self.redact(seen),
            value=value,
            fatal=fatal,
            container=container,
        )

    def quote(self, text: str) -> str:
        """The first line of foreign text that isn't blank: masked (before any cut), printable and short."""
        lines = (line.strip() for line in self.redact(text).splitlines())
        first = next((line for line in lines if line), "")
        shown = "".join(character if character.isprintable() else "�" for character in first)
        return shown if len(shown) <= LONGEST_QUOTE else shown[: LONGEST_QUOTE - 1] + "…"


def confirm_alive(transport: Transport) -> None:
    """Raises TargetUnreachable unless the connection to the target carries a command: else nothing is known (P6)."""
    transport.run(["true"], timeout=ALIVE_SECONDS)


def is_only_slow(transport: Transport, error: TargetTimeout) -> bool:
    """True where one command was slow on a live connection. Raises TargetUnreachable from `error` otherwise."""
    try:
        confirm_alive(transport)
    except TargetTimeout as second:
        raise error from second
    return True
