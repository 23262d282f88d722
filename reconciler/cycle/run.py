"""One mutating pass in the making: what it did and saw, until its record is written exactly once (P11)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import field
from datetime import datetime

from reconciler.core.account import drift_lines, masked, plan_lines, recorded
from reconciler.cycle import guard
from reconciler.cycle.context import TargetContext
from reconciler.cycle.result import PassResult
from reconciler.cycle.state import save_state
from reconciler.dataclass import dataclass
from reconciler.model.errors import ExitCode, ReconcilerError, TargetUnreachable
from reconciler.model.measure import Verification
from reconciler.model.plan import Plan
from reconciler.model.record import RecordKind, RunRecord
from reconciler.model.stored import Manifest, OpenPass, TargetState


@dataclass(slots=True)
class Run:
    """The account of a pass while it runs. `leaving` served when it began."""

    ctx: TargetContext
    id: str
    kind: RecordKind
    started_at: datetime
    tag: str
    release: str | None
    digest: str | None
    leaving: str | None
    plan: Plan | None = None
    judged: list[Verification] = field(default_factory=list)
    """The windows and rounds of this pass, in order."""
    durations: dict[str, float] = field(default_factory=dict)
    changes: tuple[str, ...] = ()
    evidence: str | None = None
    quarantined: str | None = None
    verdict: str = "go"
    switched: TargetState | None = None
    """What was written with the switch to the way back: what follows from its failure goes on from there."""

    @contextmanager
    def timed(self, part: str) -> Iterator[None]:
        """Adds the seconds of the block to `durations[part]`."""
        begin = self.ctx.clock.monotonic()
        try:
            yield
        finally:
            spent = self.ctx.clock.monotonic() - begin
            self.durations[part] = round(self.durations.get(part, 0.0) + spent, 3)

    def opened(self, entering: str | None) -> OpenPass:
        """The journal's entry, to be written before the first mutating step."""
        return OpenPass(
            run=self.id,
            kind=self.kind.value,
            at=self.started_at,
            by=self.ctx.who,
            leaving=self.leaving,
            entering=entering,
            plan=tuple(self.ctx.mask.text(line) for line in plan_lines(self.plan)) if self.plan else (),
            commit=self.ctx.commit(),
            tag=self.tag,
            generation=self.ctx.host.generation or "",
        )

    def finish(self, state: TargetState, *, exit_code: ExitCode, result: str, reason: str) -> PassResult:
        """Writes the record on this side and on the target, then closes the journal. Gives the result of the pass."""
        mask = self.ctx.mask.text
        plan = masked(self.plan, mask) if self.plan else None
        measurements, judgements = recorded(self.judged, mask)
        record = RunRecord(
            run=self.id,
            kind=self.kind,
            app=self.ctx.deploy.app,
            target=self.ctx.name,
            project=self.ctx.project,
            controller=self.ctx.who,
            started_at=self.started_at,
            finished_at=self.ctx.clock.now(),
            commit=self.ctx.commit(),
            tag=self.tag,
            release=self.release,
            digest=self.digest,
            from_release=self.leaving,
            to_release=state.serving,
            plan=plan_lines(plan) if plan else (),
            changes=tuple(mask(line) for line in self.changes),
            measurements=measurements,
            judgements=judgements,
            verdict=self.verdict,
            reason=mask(reason),
            quarantined=self.quarantined,
            evidence=self.evidence,
            durations=self.durations,
            exit_code=int(exit_code),
            superseded=self.ctx.superseded if self.kind is RecordKind.DEPLOY else (),
            drift=drift_lines(plan) if plan else (),
        )
        try:
            # There first: whoever goes on after us collects it then, and writes no other of the same pass.
            self.ctx.host.save_record(self.id, self.ctx.records.text(record))
        except TargetUnreachable:
            raise
        except ReconcilerError:
            self.ctx.records.save(record)  # a full disk there: the next pass takes this one
            raise
        path, _ = self.ctx.records.save(record)
        return self._closed(state, exit_code=exit_code, result=result, reason=reason, record=path)

    def absorbed(self, state: TargetState, *, exit_code: ExitCode, result: str, reason: str) -> PassResult:
        """Closes the journal without a record of its own: the episode that this repair belongs to has one."""
        return self._closed(state, exit_code=exit_code, result=result, reason=reason, record=None)

    def _closed(
        self, state: TargetState, *, exit_code: ExitCode, result: str, reason: str, record: str | None
    ) -> PassResult:
        state, mask = state.model_copy(update={"open": None}), self.ctx.mask.text
        guard.stand_down(self.ctx, state)
        save_state(self.ctx, state)
        return PassResult(
            target=self.ctx.name,
            exit_code=exit_code,
            result=result,
            message=mask(reason),
            tag=self.tag,
            release=self.release,
            serving=state.serving,
            plan=masked(self.plan, mask) if self.plan else None,
            changes=tuple(mask(line) for line in self.changes),
            state=state,
            measurements=tuple(taken for window in self.judged for taken in window.measurements),
            record=record,
            durations=self.durations,
        )


def begin(ctx: TargetContext, kind: RecordKind, state: TargetState, *, tag: str, manifest: Manifest | None) -> Run:
    """A new account for a pass that is about to change something."""
    return Run(
        ctx=ctx,
        id=ctx.run_id(),
        kind=kind,
        started_at=ctx.clock.now(),
        tag=tag,
        release=manifest.release if manifest else None,
        digest=manifest.digest if manifest else None,
        leaving=state.serving,
    )
