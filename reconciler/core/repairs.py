"""What differs from the release, thing by thing, each with the least that puts it back."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence

from reconciler.core.file_audit import findings
from reconciler.core.live import live_drift, step_back
from reconciler.dataclass import dataclass
from reconciler.model.audit import Restore
from reconciler.model.drift import Drift, Vector
from reconciler.model.observed import LABEL_APP, ContainerFacts, Observed
from reconciler.model.plan import Action, Disconnect, Hold, PutBack, Remove, Restart, Start, Step, Stop, Up
from reconciler.model.stored import Manifest, ServiceFacts, TargetState


@dataclass(frozen=True, slots=True)
class Repair:
    """A difference, and the steps that end it. `drift` is None for what nobody did: a one-shot that hasn't run."""

    steps: tuple[Step, ...]
    drift: Drift | None = None


def service_repairs(desired: Manifest, observed: Observed) -> Iterator[Repair]:
    """What the containers of the release's services need."""
    for name, facts in desired.services.items():
        yield from _service(name, facts, observed, observed.host.state)


def foreign_repairs(desired: Manifest, observed: Observed) -> tuple[list[Repair], list[Remove], list[str]]:
    """Containers of the project that no desired service explains: (repairs, removals of what was ours, notes).

    Ours go. One that a person started runs in our project and on its networks: it is stopped, never removed. One-off
    runs, and services of a profile that isn't active, are a person's right: they are only noted.
    """
    state = observed.host.state
    before = observed.host.manifest.services if observed.host.manifest else {}
    repairs: list[Repair] = []
    removals: list[Remove] = []
    notes: list[str] = []
    for container in observed.containers:
        if container.service in desired.services and not container.one_off:
            continue
        ours = container.digest is not None or (state is not None and container.id in state.accepted)
        if ours and not container.one_off:
            stop = before[container.service].stop if container.service in before else 10.0
            reason = f"{container.service}: the release has no such service"
            removals.append(Remove(container.service, container.id, container.name, reason, stop))
        elif container.one_off:
            notes.append(f"{container.name} is a one-off run: left alone")
        elif desired.inactive is None:
            notes.append(f"{container.name} is not ours (no label {LABEL_APP}): left alone")
        elif container.service in desired.inactive:
            notes.append(f"{container.name} is of a profile that isn't active: left alone")
        elif not container.runs:
            notes.append(f"{container.name} is not of this release, and doesn't run: left alone")
        else:
            drift = Drift(Vector.FOREIGN_CONTAINER, container.name, "no such container", "one that no release started")
            repairs.append(Repair((Stop(container.service, container.id, container.name, drift.line),), drift))
    return repairs, removals, notes


def keeper_repairs(observed: Observed) -> Iterator[Repair]:
    """Keepers that somebody stopped or removed: the next prune may come before the next deploy."""
    for image_id in sorted(observed.unheld):
        thing = f"keeper of {short(image_id)}"
        if image_id in observed.lost:
            why = "its image is gone: pull or load it again, or give that way back up (`reconcile rollback --forget`)"
            yield Repair((), Drift(Vector.KEEPER, thing, "running", "stopped or removed", why_not=why))
            continue
        drift = Drift(Vector.KEEPER, thing, "running", "stopped or removed")
        yield Repair((Hold(image_id, drift.line),), drift)


def remade(service: str, facts: ServiceFacts, containers: tuple[ContainerFacts, ...], reason: str) -> tuple[Step, ...]:
    """Steps that make these containers of a service anew, though Compose sees nothing that changed."""
    gone = tuple(Remove(service, each.id, each.name, reason, facts.stop) for each in containers)
    return (*gone, Up(service, Action.RECREATE, reason))


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


def short(image_id: str) -> str:
    """The first 12 hex digits of an image's id, as Docker shows it."""
    return image_id.removeprefix("sha256:")[:12]


def _service(name: str, facts: ServiceFacts, observed: Observed, state: TargetState | None) -> Iterator[Repair]:
    containers = observed.of(name)
    good = tuple(container for container in containers if matches(container, facts, state))
    stop = facts.stop if containers else 0.0
    if facts.one_shot:
        if not finished(name, facts, observed) and not any(container.runs for container in good):
            yield Repair((Up(name, Action.RUN, _one_shot_reason(name, good, containers)),))
    elif len(good) < len(containers):
        odd = next(container for container in containers if container not in good)
        reason, drift = _difference(name, odd, facts, state)
        yield Repair((Up(name, Action.RECREATE, reason, stop),), drift)
    elif len(containers) != facts.replicas:
        action = Action.SCALE if containers else Action.CREATE
        expected, found = _containers(facts.replicas), str(len(containers) or "none")
        drift = Drift(Vector.CONTAINER, name, expected, found)
        stop = stop if len(containers) > facts.replicas else 0.0
        yield Repair((Up(name, action, drift.line, stop),), drift)
    else:
        measured = state is not None and state.phase is not None and state.phase.is_measured
        for container in containers:
            # A crash loop while the release still proves itself is a breach, and the gates' business.
            if not container.runs and not (measured and container.state == "restarting"):
                yield from _state(name, facts, container)


def _state(name: str, facts: ServiceFacts, container: ContainerFacts) -> Iterator[Repair]:
    """What one container of the right definition needs, that doesn't run as it should."""
    found = f"exited with code {container.exit_code}" if container.state == "exited" else container.state
    drift = Drift(Vector.CONTAINER, container.name, "running", found)
    if container.state in {"exited", "created", "paused"}:
        yield Repair((Start(name, container.id, container.name, drift.line),), drift)
    else:  # dead, removing, restarting: started again it would be the same
        yield Repair(remade(name, facts, (container,), drift.line), drift)


def _difference(
    name: str, container: ContainerFacts, facts: ServiceFacts, state: TargetState | None
) -> tuple[str, Drift]:
    if container.image_id != facts.image_id:
        expected, found = f"{short(facts.image_id)} ({facts.image})", short(container.image_id)
        reason = f"{name}: image {found} → {expected}"
        return reason, Drift(Vector.IMAGE, container.name, f"image {expected}", f"image {found}")
    accepted = state.accepted.get(container.id) if state else None
    foreign = container.digest is None and accepted is None
    found = "one that no release of this app started" if foreign else "other definitions"
    reason = f"{name}: {container.name} was not started by a release of this app" if foreign else ""
    drift = Drift(Vector.DEFINITION, container.name, "the release's definitions", found)
    return reason or f"{name}: its definition changed", drift


def _one_shot_reason(name: str, good: tuple[ContainerFacts, ...], containers: tuple[ContainerFacts, ...]) -> str:
    if good:
        if good[0].state != "exited":
            return f"{name}: its container is {good[0].state}"
        return f"{name}: it ended with code {good[0].exit_code}"
    return f"{name}: its definition changed" if containers else f"{name}: it hasn't run yet"


def _containers(count: int) -> str:
    return "1 container" if count == 1 else f"{count} containers"


def live_repairs(
    desired: Manifest, observed: Observed, *, busy: Collection[str], ignore: Sequence[str]
) -> Iterator[Repair]:
    """What was changed on containers that run on; those of `busy` services are made anew anyway.

    Where nothing else ends it, the container is made anew.
    """
    state = observed.host.state
    for container in observed.containers if state else ():
        facts = desired.services.get(container.service)
        baseline = state.baseline.get(container.id) if state else None
        if facts is None or baseline is None or facts.one_shot or container.one_off or container.service in busy:
            continue
        if not matches(container, facts, state) or container.live is None:
            continue
        found = [
            (drift, step_back(drift, container, baseline)) for drift in live_drift(container, baseline, ignore=ignore)
        ]
        # A container that belongs to no network can't go back to that while it is on another.
        for drift, step in sorted(found, key=lambda pair: not isinstance(pair[1], Disconnect)):
            steps = (step,) if step else remade(container.service, facts, (container,), drift.line)
            yield Repair(steps, drift)


def file_repairs(desired: Manifest, observed: Observed, *, directory: str, ignore: Sequence[str]) -> Iterator[Repair]:
    """What was changed in the managed part of deploy_dir (`directory`).

    A container that was started since then has read what was there: it is started again once the file is put back.
    """
    mounted = {source for container in observed.containers for source in container.mounts}
    for finding in findings(observed.host, ignore=ignore, mounted=mounted):
        drift, action = finding.drift, finding.action
        steps: list[Step] = [] if action is None else [PutBack(drift.object, action, drift.line)]
        if isinstance(action, Restore) and drift.at is not None:
            steps += [
                Restart(container.service, container.id, container.name, drift.line, facts.stop)
                for container in mounting(observed, [f"{directory}/{action.path}"])
                if (facts := desired.services.get(container.service)) is not None
                and container.started_at is not None
                and container.started_at > drift.at
            ]
        yield Repair(tuple(steps), drift)


def mounting(observed: Observed, places: Collection[str]) -> tuple[ContainerFacts, ...]:
    """The running containers that have one of these paths of the host mounted, or something above or below it."""

    def touches(source: str) -> bool:
        return any(f"{source}/".startswith(f"{place}/") or f"{place}/".startswith(f"{source}/") for place in places)

    return tuple(each for each in observed.containers if each.runs and any(touches(source) for source in each.mounts))
