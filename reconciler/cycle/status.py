"""What is there now, in words: sync, health and phase. Changes nothing and takes no lock."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from reconciler.core import history
from reconciler.core.account import masked
from reconciler.core.health import Health, health_of
from reconciler.cycle.context import TargetContext
from reconciler.cycle.desired import source_digest
from reconciler.cycle.observe import observe, plan_by_policy
from reconciler.cycle.state import known
from reconciler.dataclass import dataclass
from reconciler.model.errors import TargetUnreachable
from reconciler.model.observed import Observed
from reconciler.model.plan import Plan
from reconciler.model.stored import Phase, TargetState


class Sync(StrEnum):
    """Whether what runs is what is asked for."""

    IN_SYNC = "in_sync"
    OUT_OF_SYNC = "out_of_sync"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Status:
    """One target's standing. `reason` says why it isn't plainly in sync and healthy."""

    target: str
    sync: Sync
    health: Health
    phase: Phase | None
    desired_tag: str
    serving: str | None
    last_good: str | None
    since: datetime | None
    quarantine: tuple[str, ...]
    reason: str
    plan: Plan | None = None
    """What a pass would do now, masked; None where another release is asked for: only a pass can tell then."""


def status(ctx: TargetContext) -> Status:
    """Observes one target. Out of reach is a status, too: unknown."""
    try:
        view = ctx.host.observe()
        ctx.mask.learn(*view.env_files)
        state = known(ctx, view)
        observed = observe(ctx, view, state)
    except TargetUnreachable as error:
        return unknown(ctx, str(error))
    sync, reason, plan = _sync(ctx, observed, state)
    health, ailment = health_of(view.manifest, observed)
    if state.suspended:
        reason = f"suspended by {state.suspended.by}: {state.suspended.message}"
    quarantine = tuple(
        f"{release}: {entry.reason} (record {entry.run})" for release, entry in sorted(state.quarantine.items())
    )
    return Status(
        target=ctx.name,
        sync=sync,
        health=Health.PROGRESSING if state.open and health is Health.HEALTHY else health,
        phase=state.shown_phase,
        desired_tag=ctx.deploy.tag,
        serving=view.current,
        last_good=history.last_good(state),
        since=state.since,
        quarantine=tuple(ctx.mask.text(line) for line in quarantine),
        reason=ctx.mask.text("; ".join(part for part in (reason, ailment) if part)),
        plan=masked(plan, ctx.mask.text) if plan else None,
    )


def unknown(ctx: TargetContext, why: str) -> Status:
    """Nobody could look (P6)."""
    return Status(
        target=ctx.name,
        sync=Sync.UNKNOWN,
        health=Health.UNKNOWN,
        phase=None,
        desired_tag=ctx.deploy.tag,
        serving=None,
        last_good=None,
        since=None,
        quarantine=(),
        reason=ctx.mask.text(why),
    )


def _sync(ctx: TargetContext, observed: Observed, state: TargetState) -> tuple[Sync, str, Plan | None]:
    view = observed.host
    if view.key is None or view.manifest is None:
        return Sync.OUT_OF_SYNC, "no release of this app is on the target", None
    wanted = state.sources.get(source_digest(ctx, view.key, ctx.sources()))
    if wanted != view.manifest.release:
        asked = wanted or f"a release of {ctx.deploy.tag}"
        quarantined = ", and quarantined" if wanted in state.quarantine else ""
        return Sync.OUT_OF_SYNC, f"{asked} is asked for{quarantined}", None
    plan = plan_by_policy(ctx, view.manifest, observed, state)
    if plan.is_empty and not plan.drift:
        return Sync.IN_SYNC, "", plan
    reason = "; ".join(f"{drift.vector}: {drift.line}" for drift in plan.drift) or "changes pending"
    return Sync.OUT_OF_SYNC, reason, plan
