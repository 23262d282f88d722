"""What a pass over one target came to, for people, scripts, records and metrics."""

from __future__ import annotations

from dataclasses import field

from reconciler.core.health import Health
from reconciler.dataclass import dataclass
from reconciler.model.errors import ExitCode
from reconciler.model.measure import Measurement
from reconciler.model.plan import Plan
from reconciler.model.stored import TargetState
from reconciler.model.watchdog import Ended, Mode


@dataclass(frozen=True, slots=True)
class PassResult:
    """The end of one pass.

    `result` is a short word for metrics: in_sync, deployed, healed, reverted, held, blocked, locked, pending,
    unreachable, failed, revert_failed, adopted, rolled_back. `message` is the sentence for people.
    `durations` are in seconds.
    """

    target: str
    exit_code: ExitCode
    result: str
    message: str
    tag: str
    release: str | None = None
    serving: str | None = None
    plan: Plan | None = None
    changes: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    state: TargetState | None = None
    measurements: tuple[Measurement, ...] = ()
    record: str | None = None
    durations: dict[str, float] = field(default_factory=dict)
    alone: Ended | None = None
    """What the target had done by itself before this pass."""
    health: Health | None = None
    """How what serves was found; None where nobody looked, or where measurements say more."""
    desired: str | None = None
    """The release that deploy.yaml asks for, where the pass came to know it; `release` is what the pass was about."""
    lease: Mode | None = None
    """What the watchdog's lease is about that lies on the target at the pass's end, as far as the pass knows."""
