"""From desired and observed to ordered steps with reasons: a pure function, and the whole of the dry run."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from reconciler.model.observed import LABEL_APP, ContainerFacts, Observed
from reconciler.model.plan import Action, Plan, Pull, Remove, Stage, Start, Step, Switch, Up
from reconciler.model.stored import Manifest, ServiceFacts, TargetState

SLOW_STOP = 5.0
"""Seconds of stop grace above which `plan` says what a service that ignores SIGTERM would cost."""


def make_plan(desired: Manifest, observed: Observed, *, release_known: bool = True) -> Plan:
    """The steps that bring `observed` to `desired`.

    `release_known` is False for a plan made before the images are on the target: its ids are stand-ins then.
    """
    state = observed.host.state
    steps: list[Step] = []
    leaving, entering = observed.host.current, desired.release
    enters = leaving != entering
    named = entering if release_known else f"{desired.tag}-????????"
    if entering not in observed.host.releases:
        steps.append(Stage(named, "it isn't on the target yet"))
    if enters:
        steps.append(Switch(leaving, named, _switch_reason(desired, observed)))
    drift: list[tuple[str, str]] = []
    for name, facts in desired.services.items():
        for step, vector in _service_steps(name, facts, observed, state):
            steps.append(step)
            # A container is made before it is started: between the two it looks stopped, and is not drift.
            if not enters and vector:
                drift.append((vector, step.reason))
    anew = tuple(_lost_companions(desired, observed, steps))
    again = {step.service for step in anew}
    drift += [("container", step.reason) for step in anew if not enters and isinstance(step, Up)]
    removals, notes = _others(desired, observed, state)
    steps = [step for step in steps if not (isinstance(step, Start) and step.service in again)]
    steps = _removals_first([*steps, *anew, *removals])
    notes += [
        f"{step.service} may take up to {step.stop_seconds:g} s to stop, if it ignores SIGTERM"
        for step in steps
        if isinstance(step, Up | Remove) and step.stop_seconds > SLOW_STOP
    ]
    return Plan(
        release=desired.release if release_known else None,
        tag=desired.tag,
        steps=tuple(steps),
        drift=tuple(drift),
        notes=tuple(notes),
    )


def finished(name: str, facts: ServiceFacts, observed: Observed) -> bool:
    """Whether this one-shot, as it is defined now, has succeeded once: it never runs again, even when it is gone."""
    state = observed.host.state
    if state is not None and facts.digest in state.completed.get(name, ()):
        return True
    return any(
        matches(container, facts, state) and container.state == "exited" and container.exit_code == 0
        for container in observed.of(name)
    )


def matches(container: ContainerFacts, facts: ServiceFacts, state: TargetState | None) -> bool:
    """Whether a container was made from this definition and this image."""
    accepted = state.accepted.get(container.id) if state else None
    return (container.digest or accepted) == facts.digest and container.image_id == facts.image_id


def _switch_reason(desired: Manifest, observed: Observed) -> str:
    before = observed.host.manifest
    if before is None:
        return "first release on this target"
    if before.tag != desired.tag:
        return f"tag {before.tag} → {desired.tag}"
    changed = sorted(
        name
        for name in desired.services.keys() | before.services.keys()
        if desired.services.get(name) != before.services.get(name)
    )
    return f"same tag, other definitions or env ({', '.join(changed) or 'no service'})"


def _service_steps(
    name: str, facts: ServiceFacts, observed: Observed, state: TargetState | None
) -> Iterator[tuple[Up | Start, str]]:
    containers = observed.of(name)
    good = [container for container in containers if matches(container, facts, state)]
    stop = facts.stop if containers else 0.0
    if facts.one_shot:
        if not finished(name, facts, observed) and not any(container.runs for container in good):
            yield Up(name, Action.RUN, _one_shot_reason(name, good, containers), 0.0), ""
        return
    if len(good) < len(containers):
        odd = next(container for container in containers if container not in good)
        vector = "image" if odd.image_id != facts.image_id else "definition"
        yield Up(name, Action.RECREATE, _difference(name, odd, facts, state), stop), vector
    elif len(containers) != facts.replicas:
        action = Action.SCALE if containers else Action.CREATE
        what = f"{name}: expected {_containers(facts.replicas)}, found {len(containers) or 'none'}"
        yield Up(name, action, what, stop if len(containers) > facts.replicas else 0.0), "container"
    elif any(container.state in {"dead", "removing"} for container in containers):
        yield Up(name, Action.RECREATE, f"{name}: its container is {containers[0].state}", stop), "container"
    else:
        for container in containers:
            if container.state in {"exited", "created", "paused"}:
                reason = f"{container.name}: expected running, found {_state(container)}"
                yield Start(name, container.id, container.name, reason), "container"


def _lost_companions(desired: Manifest, observed: Observed, steps: Sequence[Step]) -> Iterator[Remove | Up]:
    """A container in the namespaces of one that is made or started anew has lost them, though it runs and matches.

    Where a definition changed this finds nothing more: a digest covers those of what a service shares.
    """
    made = {step.service for step in steps if isinstance(step, Up) and step.action is not Action.SCALE}
    anew = made | {step.service for step in steps if isinstance(step, Start)}
    pending = dict(desired.services)
    while lost := [name for name, facts in pending.items() if anew.intersection(facts.shares)]:
        for name in lost:
            facts = pending.pop(name)
            if facts.one_shot or name in made:
                continue
            anew.add(name)
            reason = f"{name}: it is in the namespaces of {', '.join(sorted(anew.intersection(facts.shares)))}"
            for container in observed.of(name):
                yield Remove(name, container.id, container.name, reason, facts.stop)
            yield Up(name, Action.RECREATE, reason)


def _removals_first(steps: list[Step]) -> list[Step]:
    """What has to go goes before anything comes up: it may hold a port that something new needs."""
    before = [step for step in steps if isinstance(step, Pull | Stage | Switch)]
    removals = [step for step in steps if isinstance(step, Remove)]
    return [*before, *removals, *(step for step in steps if isinstance(step, Up | Start))]


def _one_shot_reason(name: str, good: list[ContainerFacts], containers: tuple[ContainerFacts, ...]) -> str:
    if good:
        if good[0].state != "exited":
            return f"{name}: its container is {good[0].state}"
        return f"{name}: it ended with code {good[0].exit_code}"
    return f"{name}: its definition changed" if containers else f"{name}: it hasn't run yet"


def _difference(name: str, container: ContainerFacts, facts: ServiceFacts, state: TargetState | None) -> str:
    if container.image_id != facts.image_id:
        return f"{name}: image {_short(container.image_id)} → {_short(facts.image_id)} ({facts.image})"
    accepted = state.accepted.get(container.id) if state else None
    if container.digest is None and accepted is None:
        return f"{name}: {container.name} was not started by a release of this app"
    return f"{name}: its definition changed"


def _others(desired: Manifest, observed: Observed, state: TargetState | None) -> tuple[list[Remove], list[str]]:
    """Containers of the project that no desired service explains: ours go, others are reported and left alone."""
    removals, notes = [], []
    before = observed.host.manifest.services if observed.host.manifest else {}
    for container in observed.containers:
        if container.service in desired.services and not container.one_off:
            continue
        ours = container.digest is not None or (state is not None and container.id in state.accepted)
        if ours and not container.one_off:
            stop = before[container.service].stop if container.service in before else 10.0
            reason = f"{container.service}: the release has no such service"
            removals.append(Remove(container.service, container.id, container.name, reason, stop))
        else:
            kind = "a one-off run" if container.one_off else f"not ours (no label {LABEL_APP})"
            notes.append(f"{container.name} is {kind}: left alone")
    return removals, notes


def _containers(count: int) -> str:
    return "1 container" if count == 1 else f"{count} containers"


def _state(container: ContainerFacts) -> str:
    return f"exited with code {container.exit_code}" if container.state == "exited" else container.state


def _short(image_id: str) -> str:
    return image_id.removeprefix("sha256:")[:12]
