"""What somebody does to the app's containers while a release is measured says nothing of the release."""

from __future__ import annotations

from reconciler.cycle.context import TargetContext
from reconciler.model.errors import Meddled
from reconciler.model.measure import GateKind, Measurement, Outcome
from reconciler.model.stored import Manifest


def refuse_meddling(ctx: TargetContext, manifest: Manifest, decisive: Measurement | None) -> None:
    """Raises Meddled where `decisive`, a breach, is the work of somebody on the target and not of the release.

    A container can't remove itself; and where a process ends by itself, the engine tells of no `kill` since its start
    (`docker stop`, `docker kill` and `docker restart` make one). Raises TargetUnreachable.
    """
    if decisive is None or decisive.kind is not GateKind.CONTAINERS or decisive.outcome is not Outcome.BREACH:
        return
    containers = ctx.engine.containers(ctx.project, details=True)
    if decisive.container is None:
        there = [c.service for c in containers if not c.one_off]
        removed = any(
            there.count(name) < facts.replicas for name, facts in manifest.services.items() if not facts.one_shot
        )
    else:
        removed = all(c.id != decisive.container for c in containers)
    if removed:
        raise Meddled(f"somebody removed a container while it was measured ({decisive.seen})")
    found = next((c for c in containers if c.id == decisive.container), None)
    if found is None or found.runs or found.started_at is None:
        return
    changes = ctx.engine.changes(found.started_at)
    if any(change.container == found.id and change.action == "kill" for change in changes):
        raise Meddled(f"somebody stopped {found.name} while it was measured ({decisive.seen})")
