"""A Go/No-Go check."""

from __future__ import annotations

from typing import Protocol

from reconciler.model.measure import GateKind, GateLimits, Measurement


class Gate(Protocol):
    """One Go/No-Go check. It measures; `core.verdict` judges."""

    @property
    def name(self) -> str:
        """As in deploy.yaml, or the kind."""

    @property
    def kind(self) -> GateKind:
        """Which rules apply."""

    @property
    def limits(self) -> GateLimits:
        """How its measurements are judged, and from when on it is measured."""

    def measure(self) -> Measurement:
        """One reading, with its own time-out. A gate that can't measure says so by its outcome.

        Raises TargetUnreachable when the connection to the target is lost: then nothing is known.
        """
