"""Whether a release may be switched to now: allowed and denied times, and when it is allowed next.

Deny wins. Without any `allow` everything that isn't denied is allowed. What isn't a switch that a commit asks for (a
revert, healing, a person's `rollback`) is never held back.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from reconciler.dataclass import dataclass

_MOST_STEPS = 200
"""Beginnings and ends that are looked at for the next opening; a calendar that needs more is told without one."""


class Recurring(Protocol):
    """A time that comes again and again."""

    @property
    def allows(self) -> bool:
        """Whether it allows; else it denies."""

    @property
    def text(self) -> str:
        """It, as a person wrote it."""

    def until(self, at: datetime) -> datetime | None:
        """When the one that lasts at `at` ends; None where none does."""

    def after(self, at: datetime) -> datetime | None:
        """When the next one begins, strictly after `at`; None: never."""


@dataclass(frozen=True, slots=True)
class Closed:
    """Why a release may not be switched to now, and when it may (None: not to be foreseen)."""

    reason: str
    opens: datetime | None


def closed(windows: Sequence[Recurring], at: datetime) -> Closed | None:
    """None where a release may be switched to."""
    reason = _reason(windows, at)
    return Closed(reason, _opening(windows, at)) if reason else None


def _reason(windows: Sequence[Recurring], at: datetime) -> str:
    for window in windows:
        if not window.allows and window.until(at) is not None:
            return f"denied by the window {window.text}"
    allowing = [window for window in windows if window.allows]
    if allowing and all(window.until(at) is None for window in allowing):
        return f"outside of the window {' and of '.join(window.text for window in allowing)}"
    return ""


def _opening(windows: Sequence[Recurring], at: datetime) -> datetime | None:
    """The first boundary at which nothing is in the way: it can only open where something begins or ends."""
    for _ in range(_MOST_STEPS):
        begins = [window.after(at) for window in windows if window.allows]
        ends = [window.until(at) for window in windows if not window.allows]
        boundaries = [each for each in (*begins, *ends) if each is not None and each > at]
        if not boundaries:
            return None
        at = min(boundaries)
        if not _reason(windows, at):
            return at
    return None
