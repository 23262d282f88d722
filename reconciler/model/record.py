"""The run record: the durable account of one mutating pass (P11). It holds no value of an env key and no log line."""

from datetime import datetime
from enum import StrEnum

from pydantic import Field

from reconciler.model.measure import GateKind, Outcome
from reconciler.model.stored import FORMAT, Stored


class RecordKind(StrEnum):
    """The kinds of records. Source: DESIGN, "Run records and the operating loop"."""

    DEPLOY = "deploy"
    ROLLBACK = "rollback"
    HEAL = "heal"
    ADOPT = "adopt"
    SWEEP = "sweep"
    WATCHDOG = "watchdog"


class RecordedMeasurement(Stored):
    """One measurement, masked."""

    gate: str = Field(description="The gate's name.")
    kind: GateKind = Field(description="The gate's kind.")
    outcome: Outcome = Field(description="What it said.")
    at: datetime = Field(description="When, UTC.")
    query: str = Field(description="What was asked.")
    seen: str = Field(description="What was really there, masked.")
    value: float | None = Field(None, description="The number behind it, in the unit of the query.")


class RunRecord(Stored):
    """What one pass did to one target, why, and how it ended."""

    version: int = Field(FORMAT, description="The version of this format.")
    run: str = Field(description="The pass: YYYYMMDD_HHMMSS_xxxx, UTC.")
    kind: RecordKind = Field(description="What kind of pass it was.")
    app: str = Field(description="The app.")
    target: str = Field(description="The target's name in deploy.yaml.")
    project: str = Field(description="The Compose project.")
    controller: str = Field(description="Who ran it, and from where.")
    started_at: datetime = Field(description="When it began, UTC.")
    finished_at: datetime = Field(description="When it ended, UTC.")
    commit: str | None = Field(None, description="The desired state's git commit, if there is one.")
    tag: str = Field(description="The tag that was asked for.")
    release: str | None = Field(None, description="The release that was asked for.")
    digest: str | None = Field(None, description="Its full digest, keyed by the target.")
    from_release: str | None = Field(None, description="What served before.")
    to_release: str | None = Field(None, description="What serves after it.")
    decision: str | None = Field(None, description="The decision document that this follows from.")
    parent: str | None = Field(None, description="The record or document that this follows from.")
    superseded: tuple[str, ...] = Field((), description="Tags that were superseded before they ran.")
    plan: tuple[str, ...] = Field((), description="The steps, each with its reason.")
    changes: tuple[str, ...] = Field((), description="The fields that differ between the two releases.")
    measurements: tuple[RecordedMeasurement, ...] = Field((), description="What the gates saw.")
    verdict: str = Field(description="go, hold, no_go, interrupted or failed.")
    reason: str = Field(description="Why, in one sentence.")
    quarantined: str | None = Field(None, description="The release that won't be tried again without a person.")
    evidence: str | None = Field(None, description="Where on the target logs and inspections are.")
    durations: dict[str, float] = Field(default_factory=dict, description="Seconds for each part of the pass.")
    exit_code: int = Field(description="The exit code of the pass.")
    drift: tuple[str, ...] = Field((), description="What differed though no commit asked for it, and was it put back.")
    closed_at: datetime | None = Field(None, description="For an episode of drift: when it was over, UTC.")
    journal: tuple[str, ...] = Field((), description="What the target noted of a pass that couldn't tell it itself.")
    repairs: int = Field(0, description="For an episode of drift that is over: how many repairs it took.")

    @property
    def name(self) -> str:
        """The file's name without its ending."""
        return f"{self.kind}_{self.run}"
