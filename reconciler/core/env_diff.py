"""Which env keys differ between two sides, told by short keyed fingerprints: a value is on neither side of the answer.

A fingerprint is worth something only to who has the target's key (P9); two people who look at the same target can
compare theirs.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

from reconciler.core import digest
from reconciler.dataclass import dataclass
from reconciler.model.env_contract import RESERVED

LENGTH = 8
"""Hex digits: enough to tell two values apart, too few to find one by."""


class Change(StrEnum):
    """What became of a key, seen from the target: `added` is in the local values and not there."""

    ADDED = "added"
    REMOVED = "removed"
    CHANGED = "changed"


@dataclass(frozen=True, slots=True)
class KeyChange:
    """One key that differs. A fingerprint is None on the side that doesn't have the key, or where there is no key."""

    key: str
    change: Change
    local: str | None = None
    target: str | None = None


@dataclass(frozen=True, slots=True)
class Comparison:
    """The keys that differ, sorted, and how many are the same on both sides."""

    changes: tuple[KeyChange, ...]
    same: int


def fingerprints(key: bytes, values: Mapping[str, str]) -> dict[str, str]:
    """Env key → fingerprint of its value, keyed by the target's `key`. TAG isn't a value."""
    return {name: digest.keyed(key, ["env", name, value])[:LENGTH] for name, value in values.items() if _counts(name)}


def compare(local: Mapping[str, str], target: Mapping[str, str]) -> Comparison:
    """Two sides' fingerprints (env key → fingerprint), made with the same target's key."""
    changes: list[KeyChange] = []
    for name in sorted({*local, *target}):
        mine, theirs = local.get(name), target.get(name)
        if mine != theirs:
            change = Change.ADDED if theirs is None else Change.REMOVED if mine is None else Change.CHANGED
            changes.append(KeyChange(name, change, mine, theirs))
    return Comparison(tuple(changes), len({*local, *target}) - len(changes))


def all_added(names: tuple[str, ...]) -> Comparison:
    """What there is to say of a target that has no key yet: nothing is there."""
    return Comparison(tuple(KeyChange(name, Change.ADDED) for name in sorted(names) if _counts(name)), 0)


def _counts(name: str) -> bool:
    return name not in RESERVED
