"""The order in which changed services come up: dependencies first, with the conditions that have to be awaited."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from reconciler.dataclass import dataclass
from reconciler.model.stored import Condition, ServiceFacts


@dataclass(frozen=True, slots=True)
class Batch:
    """Services that one Compose command brings up; before it, each `waits` condition has to hold."""

    services: tuple[str, ...]
    waits: tuple[tuple[str, Condition], ...] = ()


def batches(services: Mapping[str, ServiceFacts], changed: Collection[str]) -> tuple[Batch, ...]:
    """Groups `changed` so that as few commands as possible run, each after what its services wait for.

    A dependency that isn't changed is up already and waited for by nobody; what it depends on counts in its place.
    `service_started` is awaited by nobody either, and yet needs a command before: a release has no `depends_on`, so
    Compose starts the services of one command in any order. A cycle can't be: Compose refuses to render one.
    """
    levels = dict.fromkeys(changed, 0)
    needs = {name: _needs(services, name, frozenset(changed)) for name in changed}
    for _ in changed:
        for name in changed:
            levels[name] = max([levels[name], *(levels[dependency] + 1 for dependency, _ in needs[name])])
    result = []
    for level in sorted(set(levels.values())):
        members = tuple(sorted(name for name in changed if levels[name] == level))
        waits = {need for name in members for need in needs[name] if need[1] is not Condition.STARTED}
        result.append(Batch(members, tuple(sorted(waits))))
    return tuple(result)


def with_companions(services: Mapping[str, ServiceFacts], changed: Collection[str]) -> tuple[str, ...]:
    """`changed` and the services that Compose has to be told of with them, which it finds running and leaves alone.

    Never a one-shot: Compose would run it again.
    """
    named: set[str] = set()
    pending = set(changed)
    while pending:
        name = pending.pop()
        named.add(name)
        beside = services[name].beside if name in services else ()
        pending |= {peer for peer in beside if peer in services and not services[peer].one_shot} - named
    return tuple(sorted(named))


def _needs(
    services: Mapping[str, ServiceFacts], name: str, changed: frozenset[str]
) -> frozenset[tuple[str, Condition]]:
    """The changed services that `name` waits for, itself or through services that aren't changed."""
    found: set[tuple[str, Condition]] = set()
    seen, pending = {name}, [name]
    while pending:
        for dependency, condition in services[pending.pop()].depends_on.items():
            if dependency in changed:
                found.add((dependency, condition))
            elif dependency in services and dependency not in seen:
                seen.add(dependency)
                pending.append(dependency)
    return frozenset(found)
