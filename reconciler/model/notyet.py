"""What deploy.yaml may say one day and not yet. Later work deletes its lines here; nothing is ignored silently.

The rules look at the file as it was read, before the models do: they may name what no model knows.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from reconciler.dataclass import dataclass
from reconciler.model.base import Location

LATER_SECTIONS = ("pipeline", "approvals", "migrations", "language")
"""Whole sections that come with the work that needs them. Source: DESIGN, "deploy.yaml"."""


@dataclass(frozen=True, slots=True)
class NotYet:
    """`path` (dots between keys) may not hold a value that is `refused`; `instead` is the way out."""

    path: str
    refused: Callable[[object], bool]
    instead: str


def _other_than(default: object) -> Callable[[object], bool]:
    return lambda value: value != default


def _equal(later: object) -> Callable[[object], bool]:
    return lambda value: value == later


NOT_YET = (
    NotYet("image.delivery", _equal("archive"), "leave it out or set it to `registry`"),
    NotYet("gates.scenarios", bool, "leave it out"),
    NotYet("rollout.canary", bool, "leave it out"),
    NotYet("rollout.max_parallel", _other_than(5), "leave it out or set it to `5`"),
    NotYet("rollout.pause", _other_than("30s"), "leave it out or set it to `30s`"),
    NotYet("rollout.on_failure", _other_than("halt"), "leave it out or set it to `halt`"),
)

NOT_YET_IN_A_TARGET = (NotYet("engine", _equal("swarm"), "leave it out or set it to `compose`"),)
"""The same, with paths below `targets.<name>`."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """A value that this version doesn't have yet: where it is, what to say, and the hint."""

    location: Location
    what: str
    hint: str


def not_yet(data: Mapping[str, object]) -> list[Refusal]:
    """Everything in `data` (deploy.yaml as read) that only a later version can do."""
    found = [Refusal((name,), "comes with a later version", "leave it out") for name in LATER_SECTIONS if name in data]
    found += _refusals(data, (), NOT_YET)
    targets = data.get("targets")
    if isinstance(targets, Mapping):
        for name, target in targets.items():
            found += _refusals(target, ("targets", name), NOT_YET_IN_A_TARGET)
    return found


def _refusals(section: object, prefix: Location, rules: tuple[NotYet, ...]) -> list[Refusal]:
    found = []
    for rule in rules:
        value, keys = section, tuple(rule.path.split("."))
        for key in keys:
            value = value.get(key) if isinstance(value, Mapping) else None
        if value is not None and rule.refused(value):
            found.append(Refusal(prefix + keys, "isn't available in this version yet", rule.instead))
    return found
