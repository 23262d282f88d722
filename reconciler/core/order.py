"""The order in which changed services come up: dependencies first, with the conditions that have to be awaited."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from reconciler.model.stored import Condition, ServiceFacts


@dataclass(frozen=True, slots=True)
class Batch:
    """Services that one Compose command brings up; before it, each `waits` condition has to hold."""

    services: tuple[str, ...]
    waits: tuple[tuple[str, Condition], ...] = ()


def batches(services: Mapping[str, ServiceFacts], changed: Collection[str]) -> tuple[Batch, ...]:
    """Groups `changed` so that as few commands as possible run, each after what its services wait for.

    A dependency that isn't changed is up already and waited for by nobody. `service_started` needs no command of its
    own: Compose starts a command's services together. A cycle can't be: Compose refuses to render one.
    """
    levels = {name: 0 for name in changed}
    for _ in changed:
        for name in changed:
            for dependency, condition in services[name].depends_on.items():
                if dependency in levels:
                    step = 0 if condition is Condition.STARTED else 1
                    levels[name] = max(levels[name], levels[dependency] + step)
    result = []
    for level in sorted(set(levels.values())):
        members = tuple(sorted(name for name in changed if levels[name] == level))
        waits = {
            (dependency, condition)
            for name in members
            for dependency, condition in services[name].depends_on.items()
            if dependency in levels and condition is not Condition.STARTED
        }
        result.append(Batch(members, tuple(sorted(waits))))
    return tuple(result)
