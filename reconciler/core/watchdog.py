"""What a target has to know to go back alone, and what its having done so means. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from reconciler.core import history
from reconciler.core.order import batches, with_companions
from reconciler.model.stored import Manifest, Phase, TargetState
from reconciler.model.watchdog import Alone, Await, BringUp, Ended, Gone, Step

WAIT_SLACK = 5.0
"""Seconds beyond what a health check grants."""
LONGEST_WAIT = 600.0
"""Seconds for a service whose health check says nothing of its time, as a one-shot."""


def steps_back(entering: Manifest, back: Manifest, completed: Mapping[str, tuple[str, ...]]) -> tuple[Step, ...]:
    """From whatever a pass between the two left to `back`: only what differs, and no one-shot that succeeded."""
    changed = [
        name
        for name, facts in back.services.items()
        if (name not in entering.services or entering.services[name].digest != facts.digest)
        and not (facts.one_shot and facts.digest in completed.get(name, ()))
    ]
    steps: list[Step] = [Gone(name) for name in sorted(entering.services.keys() - back.services.keys())]
    for batch in batches(back.services, changed):
        for service, condition in batch.waits:
            startup = back.services[service].startup
            steps.append(Await(service, condition, startup + WAIT_SLACK if startup else LONGEST_WAIT))
        steps.append(BringUp(with_companions(back.services, batch.services)))
    return tuple(steps)


def absorbed(state: TargetState, alone: Alone) -> TargetState:
    """The state with what the target did alone in it, as if a pass had done it. Doing it twice changes nothing more.

    A release whose containers weren't well is quarantined; one that only lost its pass, or whose engine couldn't start
    it for a port that nobody has, is not: the next may try it.
    """
    if not alone.served_back:
        return _looked(state)
    if alone.sick and not alone.stuck and alone.entering in state.releases:
        reason = f"its pass gave no sign of life, and not every container was well: {alone.sick}"
        state = history.concluded(
            state, history.Outcome.REVERTED, release=alone.entering, now=alone.at, reason=reason, run=alone.lease
        )
    phase = {
        Ended.REVERTED: Phase.ROLLED_BACK,
        Ended.REVERT_FAILED: Phase.REVERTING,
        Ended.ABANDONED: Phase.REVERTING,
    }[alone.result]
    return state.model_copy(
        update={
            "serving": alone.back,
            "previous": None,
            "phase": phase,
            "since": alone.at,
            "stabilization": None,
        }
    )


def _looked(state: TargetState) -> TargetState:
    if state.phase is None or state.stabilization is None:
        return state
    return state.model_copy(update={"stabilization": state.stabilization.model_copy(update={"measured_at": None})})
