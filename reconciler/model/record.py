"""The run record: the durable account of one mutating pass (P11). It holds no value of an env key and no log line."""

from datetime import datetime
from enum import StrEnum

from pydantic import Field

from reconciler.model.measure import GateKind, OnSilence, Outcome, VerdictKind
from reconciler.model.stored import FORMAT, Stabilization, Stored


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
    fatal: bool = Field(False, description="Whether it ended the window at once.")
    omitted: int = Field(0, description="How many passes of this gate followed that the record leaves out.")


class RecordedLimits(Stored):
    """How the measurements of one gate were judged."""

    gate: str = Field(description="The gate's name.")
    kind: GateKind = Field(description="The gate's kind.")
    breach_limit: int | None = Field(None, description="The gate's own limit; none: that of the judgement.")
    min_samples: int = Field(1, description="Least measurements in a window that say something of the app.")
    due: datetime | None = Field(None, description="From when on it was measured, UTC.")
    skipped: str = Field("", description="Why it wasn't measured at all.")
    on_no_data: OnSilence = Field(OnSilence.HOLD, description="What no data led to.")
    on_error: OnSilence = Field(OnSilence.HOLD, description="What an error led to.")


class Judgement(Stored):
    """A verdict over one window, or one round of stabilization, with everything that it follows from."""

    release: str = Field(description="The release that was judged.")
    at: datetime = Field(description="When, UTC.")
    verdict: VerdictKind = Field(description="go, hold or no_go.")
    reason: str = Field(description="Why, in one sentence.")
    measurements: int = Field(description="How many of the record's measurements are its own, in their order.")
    gates: tuple[RecordedLimits, ...] = Field((), description="The limits of each gate.")
    breach_limit: int = Field(description="Breaches that were endured of a gate without a limit of its own.")
    error_limit: int = Field(description="Errors in a row that a window's verdict held for.")
    before: Stabilization | None = Field(None, description="For a round of stabilization: what was counted before it.")
    period: float | None = Field(None, description="For a round: seconds until a release is stable.")
    interval: float | None = Field(None, description="For a round: seconds from one to the next.")


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
    judgements: tuple[Judgement, ...] = Field((), description="What they amounted to, window by window.")
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
