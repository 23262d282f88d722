"""The steps of a plan on our own part of the target: files, links, the state, keepers."""

from __future__ import annotations

from reconciler.core.file_audit import findings
from reconciler.cycle.context import TargetContext
from reconciler.cycle.run import Run
from reconciler.model.audit import Reseal, Restore, SetMode
from reconciler.model.observed import HostView
from reconciler.model.plan import Hold, Plan, PutBack


def put_back(ctx: TargetContext, run: Run, plan: Plan) -> tuple[str, ...]:
    """Carries them out. What is changed or in the way is set aside under the run's id, never deleted.

    Gives the paths that are other files now: a container that has one mounted sees the old one until it is restarted.
    Raises PreflightFailed naming what could not be put back.
    """
    moved: tuple[str, ...] = ()
    steps = [step for step in plan.steps if isinstance(step, PutBack)]
    if steps:
        ctx.say(f"putting back {', '.join(step.object for step in steps[:3])}{' …' if len(steps) > 3 else ''}")
        moved = ctx.host.put_back(run.id, [step.action for step in steps])
    held = frozenset(step.image_id for step in plan.steps if isinstance(step, Hold))
    if held:
        ctx.engine.add_keepers(ctx.project, ctx.deploy.app, held)
    return moved


def make_whole(ctx: TargetContext, run: Run, view: HostView, release: str) -> None:
    """Puts back what somebody changed in a retained release, and in the managed files, before it is entered.

    Raises PreflightFailed naming what can't be put back.
    """
    places = (f"releases/{release}/", ".reconciler/files/")
    actions = [
        finding.action
        for finding in findings(view, ignore=ctx.deploy.drift.ignore)
        if (isinstance(finding.action, Restore | SetMode) and f"{finding.action.path}/".startswith(places))
        or (isinstance(finding.action, Reseal) and finding.action.release == release)
    ]
    if actions:
        ctx.host.put_back(run.id, actions)
