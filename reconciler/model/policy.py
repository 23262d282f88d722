"""How a pass behaves: stabilization, rollback, drift, records, rollout and retention."""

from pathlib import PurePosixPath
from typing import Annotated, Literal

from pydantic import Field, Strict, WithJsonSchema

from reconciler.model.base import Listing, Model
from reconciler.model.daemon import BranchName
from reconciler.model.drift import ONLY_REPORTED, DriftPolicy, Vector
from reconciler.model.paths import InsidePath
from reconciler.model.quantities import Duration, PositiveDuration
from reconciler.model.text import Line, PlainName


class Stabilization(Model):
    """The time between verified and stable."""

    period: PositiveDuration = Field(24 * 3600.0, description="Measured time until a release is stable (a duration).")
    interval: PositiveDuration = Field(
        60.0, description="Time from one round of measurements to the next (a duration)."
    )
    on_silence: Literal["keep", "revert"] = Field(
        "keep",
        description="What the target does alone when nobody measures the release any more and its containers are well.",
    )
    breach_limit: int = Field(2, ge=0, description="How many breaches of a gate are endured; one more reverts.")


class Rollback(Model):
    """What a breach leads to."""

    on_breach: bool = Field(True, description="Whether a breach reverts to the way back.")
    write_back: bool = Field(False, description="Whether a rollback also commits the old tag to deploy.yaml.")
    deadline: PositiveDuration = Field(
        600.0, description="Longest time of a revert, its verification included (a duration)."
    )
    watchdog: PositiveDuration = Field(
        90.0,
        ge=1.0,
        description="The host's own deadline: so long without its controller, and it goes back alone (a duration).",
    )
    on_silence: Literal["revert", "keep"] = Field(
        "revert",
        description="What the target does then: `keep` stays with a release whose containers are well.",
    )


class Timeouts(Model):
    """How long a pass waits for what has no limit of its own. Connecting, commands and health checks have one."""

    pull: PositiveDuration = Field(1800.0, description="Longest pull of one image (a duration).")
    whole_pass: PositiveDuration = Field(
        7200.0,
        alias="pass",
        description="Longest pass over one target (a duration). After it the pass ends as if interrupted: before the"
        " switch nothing is changed, after it the target goes back.",
    )


class Drift(Model):
    """How often drift is looked for, and what is done about it."""

    every: PositiveDuration = Field(300.0, description="Time from one look to the next (a duration).")
    policy: Literal["heal", "alert"] = Field("heal", description="`heal` puts it back; `alert` only reports it.")
    vectors: Annotated[
        dict[Annotated[Vector, Strict(False)], Annotated[DriftPolicy, Strict(False)]],
        WithJsonSchema(
            {
                "type": "object",
                "propertyNames": {"enum": [vector.value for vector in Vector]},
                "additionalProperties": {"enum": [policy.value for policy in DriftPolicy]},
            }
        ),
    ] = Field(
        default_factory=dict,
        description="Another policy for single vectors: `heal`, `alert` or `ignore`. Left out: `policy`, but `alert`"
        " for `layer` and `attachment`.",
    )
    ignore: Listing[Line] = Field(
        (),
        description="Files that don't count: patterns of paths below deploy_dir (`notes/*.txt`), or in containers"
        " (`web:/var/cache/*`).",
    )

    def policy_of(self, vector: Vector) -> DriftPolicy:
        """What is done about drift of this vector."""
        if vector in self.vectors:
            return self.vectors[vector]
        return DriftPolicy.ALERT if vector in ONLY_REPORTED else DriftPolicy(self.policy)


class Records(Model):
    """The durable account of each mutating pass."""

    dir: InsidePath = Field(
        PurePosixPath("ops/run_records"), description="Directory of the records, relative to deploy.yaml."
    )
    commit: bool = Field(True, description="Whether a record is committed to git, where deploy.yaml is in git.")
    push: bool = Field(False, description="Whether records are pushed to the remote.")
    push_every: PositiveDuration = Field(
        60.0, description="Least time from one such commit of the daemon's to the next (a duration)."
    )
    branch: BranchName | None = Field(
        None, description="The branch that records and write-backs are pushed to; left out: the one that is followed."
    )


class Rollout(Model):
    """The order of several targets."""

    canary: Listing[PlainName] = Field((), description="Targets that go first.")
    max_parallel: int = Field(5, ge=1, description="Most targets at the same time.")
    pause: Duration = Field(30.0, description="Wait between waves (a duration).")
    on_failure: Literal["halt", "continue"] = Field("halt", description="What a target that failed does to the others.")


class Retention(Model):
    """What stays on a target. The way back, last good and the current release always stay."""

    releases: int = Field(5, ge=1, description="How many releases stay on a target.")
