"""From desired and observed to ordered steps with reasons: a pure function, and the whole of the dry run."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

from reconciler.core.repairs import (
    Repair,
    file_repairs,
    foreign_repairs,
    keeper_repairs,
    live_repairs,
    mounting,
    service_repairs,
)
from reconciler.model.drift import Drift
from reconciler.model.observed import Observed
from reconciler.model.plan import (
    Action,
    Connect,
    Disconnect,
    Hold,
    Plan,
    Pull,
    PutBack,
    Remove,
    Restart,
    Stage,
    Start,
    Step,
    Switch,
    Up,
    Update,
)
from reconciler.model.stored import Manifest, Phase

SLOW_STOP = 5.0
"""Seconds of stop grace above which `plan` says what a service that ignores SIGTERM would cost."""

Treatment = Callable[[Drift], str | None]
"""What is done about drift: "" heals it, words say why it is left alone, None doesn't even look at it."""


def heal(_: Drift) -> str | None:
    """The treatment that heals everything."""
    return ""


def make_plan(
    desired: Manifest,
    observed: Observed,
    *,
    release_known: bool = True,
    treatment: Treatment = heal,
    ignore: Sequence[str] = (),
    directory: str = "",
) -> Plan:
    """The steps that bring `observed` to `desired`.

    `release_known` is False for a plan made before the images are on the target: its ids are stand-ins then.
    Where a release is entered, what its services need is no drift, and is done whatever `treatment` says. `ignore` are
    the patterns of files that don't count (`drift.ignore`), `directory` is the target's deploy_dir.
    """
    leaving, entering = observed.host.current, desired.release
    enters = _enters(desired, observed)
    named = entering if release_known else f"{desired.tag}-????????"
    steps: list[Step] = []
    if entering not in observed.host.releases:
        steps.append(Stage(named, "it isn't on the target yet"))
    if enters:
        steps.append(Switch(leaving, named, _switch_reason(desired, observed)))
    foreign, removals, notes = foreign_repairs(desired, observed)
    found = _Found(treatment)
    services = list(service_repairs(desired, observed))
    if enters:
        steps += [step for repair in services for step in repair.steps]
    else:
        # A container is made before it is started: between the two it looks stopped, and is not drift.
        steps += found.treated(services)
    busy = {step.service for step in steps if isinstance(step, Up)}
    steps += found.treated(live_repairs(desired, observed, busy=busy, ignore=ignore))
    files = file_repairs(desired, observed, directory=directory, ignore=ignore)
    steps += found.treated([*foreign, *keeper_repairs(observed), *files])
    anew = tuple(_lost_companions(desired, observed, steps))
    again = {step.service for step in anew}
    steps = [step for step in steps if not (isinstance(step, Start) and step.service in again)]
    steps = _ordered(_once([*steps, *anew, *removals]))
    notes += [
        f"{step.service} may take up to {step.stop_seconds:g} s to stop, if it ignores SIGTERM"
        for step in steps
        if isinstance(step, Up | Remove) and step.stop_seconds > SLOW_STOP
    ]
    return Plan(
        release=desired.release if release_known else None,
        tag=desired.tag,
        steps=tuple(steps),
        drift=tuple(found.drift),
        left=tuple(found.left),
        notes=tuple(notes),
    )


def with_restarts(plan: Plan, observed: Observed, places: Sequence[str]) -> Plan:
    """The plan that also restarts whatever has one of these paths of the host mounted: they are other files now."""
    reason = "a file that it has mounted was replaced"
    again = [Restart(each.service, each.id, each.name, reason) for each in mounting(observed, places)]
    return replace(plan, steps=tuple(_once([*plan.steps, *again])))


class _Found:
    """The drift that was looked at, sorted by what is done about it."""

    def __init__(self, treatment: Treatment) -> None:
        self._treatment = treatment
        self.drift: list[Drift] = []
        self.left: list[tuple[Drift, str]] = []

    def treated(self, repairs: Sequence[Repair] | Iterator[Repair]) -> list[Step]:
        """The steps of the repairs that are made."""
        steps: list[Step] = []
        for repair in repairs:
            why = self._treatment(repair.drift) if repair.drift else ""
            if why is None:
                continue
            if repair.drift:
                self.drift.append(repair.drift)
                why = repair.drift.why_not or why
                if why:
                    self.left.append((repair.drift, why))
            if not why:
                steps += repair.steps
        return steps


def _enters(desired: Manifest, observed: Observed) -> bool:
    """Whether another release is entered. A link that somebody pointed elsewhere is drift, and no release."""
    host, state = observed.host, observed.host.state
    if host.current == desired.release:
        return False
    if state is None or state.phase in {None, Phase.REVERTING}:
        return True  # a pass died between the state and the link
    return state.serving != desired.release or desired.release not in host.releases


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


def _once(steps: list[Step]) -> list[Step]:
    """Without what another step does: a container that is made anew needs no restart, and one restart is enough."""
    anew = {step.service for step in steps if isinstance(step, Up) and step.action is not Action.SCALE}
    gone = {step.container_id for step in steps if isinstance(step, Remove)}
    kept: list[Step] = []
    restarted: set[str] = set()
    for step in steps:
        if isinstance(step, Start | Restart | Update | Connect | Disconnect) and step.container_id in gone:
            continue
        if isinstance(step, Restart):
            if step.service in anew or step.container_id in restarted:
                continue
            restarted.add(step.container_id)
        kept.append(step)
    return kept


def _ordered(steps: list[Step]) -> list[Step]:
    """Our own files first: what follows is made from them. What has to go goes before anything comes up: it may hold a
    port that something new needs."""
    kinds = ((PutBack, Hold), (Pull, Stage, Switch), (Remove,))
    first = [step for kind in kinds for step in steps if isinstance(step, kind)]
    return [*first, *(step for step in steps if not any(isinstance(step, kind) for kind in kinds))]
