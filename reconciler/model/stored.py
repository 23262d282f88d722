"""What is kept on a target between passes: the manifest of a release and the state file.

Both are JSON, written by one controller and read by the next, perhaps of another version: unknown keys are ignored,
a newer `version` is refused by whoever reads it.
"""

from datetime import datetime
from enum import StrEnum

from pydantic import BaseModel, ConfigDict, Field

FORMAT = 1
"""The version of both files; raise it when an older controller could misread a new one."""


class Stored(BaseModel):
    """Frozen, and tolerant of keys that a newer controller added. Validators are built at the first use: a pass with
    nothing to do needs few of them, and counts its milliseconds."""

    model_config = ConfigDict(frozen=True, extra="ignore", defer_build=True)


class Condition(StrEnum):
    """When a dependant may start (Compose's `depends_on` conditions)."""

    STARTED = "service_started"
    HEALTHY = "service_healthy"
    COMPLETED = "service_completed_successfully"


class ServiceFacts(Stored):
    """What a release says of one service, without any value of an env key.

    `digest` is keyed (P9) and leaves out what doesn't change a container. `startup` is the longest time in seconds that
    its health check grants before the engine itself says unhealthy (start period + retries × (interval + timeout));
    `stop` is its stop grace period in seconds. `shares` are the services whose namespaces or volumes it is in: it has
    to be made anew when they are. `beside` are those and the ones it links to: Compose's hash of it is another one when
    they aren't named in the same command.
    """

    digest: str
    image: str
    image_id: str
    replicas: int = 1
    one_shot: bool = False
    has_health: bool = False
    startup: float = 0.0
    stop: float = 10.0
    depends_on: dict[str, Condition] = Field(default_factory=dict)
    shares: tuple[str, ...] = ()
    beside: tuple[str, ...] = ()


class Manifest(Stored):
    """One release, as it lies in `releases/<id>/manifest.json`."""

    version: int = FORMAT
    release: str
    tag: str
    app: str
    project: str
    digest: str
    public_digest: str
    created_at: datetime
    commit: str | None = None
    services: dict[str, ServiceFacts]
    files: tuple[str, ...] = ()
    networks: tuple[str, ...] = ()
    """External networks: Compose makes none of them, so they have to be there before a switch."""
    volumes: tuple[str, ...] = ()
    """External volumes, likewise."""
    adopted: bool = False
    runtime: bool = False
    """Whether the release lies on the target without its values (`env.delivery: runtime`)."""
    fingerprints: dict[str, str] = Field(default_factory=dict)
    """Env key → keyed fingerprint of its value, where the values aren't there."""
    inactive: tuple[str, ...] | None = None
    """Services of profiles that aren't active: a person may start them. None where Compose couldn't tell."""

    def image_ids(self) -> frozenset[str]:
        """Every image that the release needs to run."""
        return frozenset(service.image_id for service in self.services.values())


class Phase(StrEnum):
    """Where a target stands in the life of its release. Source: DESIGN, "One pass over one target"."""

    STABLE = "stable"
    STABILIZING = "stabilizing"
    HELD = "held"
    REVERTING = "reverting"
    ROLLED_BACK = "rolled_back"
    FAILED = "failed"
    SUSPENDED = "suspended"

    @property
    def is_measured(self) -> bool:
        """Whether a later pass goes on measuring the release, and may still revert it."""
        return self in {Phase.STABILIZING, Phase.HELD}


class Standing(StrEnum):
    """How far a release has proved itself."""

    UNVERIFIED = "unverified"
    VERIFIED = "verified"
    STABLE = "stable"


class Past(Stored):
    """What this target knows of a release that was switched to once."""

    tag: str
    switched_at: datetime
    verified_at: datetime | None = None
    stable_at: datetime | None = None

    @property
    def standing(self) -> Standing:
        """The furthest that it came."""
        if self.stable_at:
            return Standing.STABLE
        return Standing.VERIFIED if self.verified_at else Standing.UNVERIFIED


class Quarantine(Stored):
    """Why a release id isn't tried again until a person says `retry`."""

    tag: str
    at: datetime
    reason: str
    run: str


class Suspension(Stored):
    """A freeze set by a person."""

    at: datetime
    by: str
    message: str


class Stabilization(Stored):
    """Passing time counted so far (seconds) and the limits' counters since the release was verified.

    `measured_at` is the last round if it passed, `looked_at` the last round whatever it said: what was seen then isn't
    counted again. `breached` counts for each gate that has a limit of its own.
    """

    covered: float = 0.0
    measured_at: datetime | None = None
    looked_at: datetime | None = None
    breaches: int = 0
    breached: dict[str, int] = Field(default_factory=dict)
    inconclusive: int = 0
    no_data: int = 0
    errors: int = 0


class Attachment(Stored):
    """A container's place on one network. Addresses are empty where the engine chose them."""

    aliases: tuple[str, ...] = ()
    ipv4: str = ""
    ipv6: str = ""


class Live(Stored):
    """What can be changed on a container without making it anew.

    `limits` are the fields of the Engine API's ContainerUpdate (`Memory` in bytes, `NanoCpus`, `RestartPolicy` as
    `name:maximum`), `networks` the attachments by the network's name. `layer` are the paths that differ from the image
    (`docker diff`), less mount points; None where they weren't read.
    """

    limits: dict[str, int | str] = Field(default_factory=dict)
    networks: dict[str, Attachment] = Field(default_factory=dict)
    layer: tuple[str, ...] | None = None


class Episode(Stored):
    """Drift of one thing that was repaired, or reported, until it stayed away. `core.episodes` says how.

    `run` names the record that tells it; `line` is the drift as it was seen first, masked. `repairs` is 0 for drift
    that is only reported; `step` is how far the waiting between repairs has come.
    """

    run: str
    opened_at: datetime
    last_at: datetime
    line: str
    repairs: int = 0
    step: int = 0
    closed_at: datetime | None = None


class Housekept(Stored):
    """The last look at temp/ and logs/: when, by which rules (`housekeeping` as deploy.yaml had it, as JSON), and what
    it warned of, masked: the warnings hold until the next look."""

    at: datetime
    rules: str
    warnings: tuple[str, ...] = ()


class PolicyCheck(Stored):
    """What the Compose policy (its digest) warned of in what these sources (their digest) rendered to, masked.

    Kept here and not in the manifest: a changed policy makes no other release.
    """

    source: str
    policy: str
    warnings: tuple[str, ...] = ()


class OpenPass(Stored):
    """A mutation that has begun: written before the first mutating step, gone when its record is written.

    A pass that finds one, holding the lock, knows that its author died.
    """

    run: str
    kind: str
    at: datetime
    by: str
    leaving: str | None
    entering: str | None
    plan: tuple[str, ...] = ()
    commit: str | None = None
    tag: str = ""
    generation: str = ""
    """The fencing generation that it had: its lines in the target's journal begin with it."""


class TargetState(Stored):
    """The state file `.reconciler/state.json`: what passes remember of one app on one target."""

    version: int = FORMAT
    app: str
    project: str
    serving: str | None = None
    previous: str | None = None
    phase: Phase | None = None
    since: datetime | None = None
    releases: dict[str, Past] = Field(default_factory=dict)
    quarantine: dict[str, Quarantine] = Field(default_factory=dict)
    stabilization: Stabilization | None = None
    suspended: Suspension | None = None
    completed: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    """One-shot service → digests of the definitions that succeeded, newest last: a revert runs none of them again."""
    accepted: dict[str, str] = Field(default_factory=dict)
    """Id of an adopted container → digest of the definition that it stands for."""
    sources: dict[str, str] = Field(default_factory=dict)
    """Keyed digest of sources → release id that they rendered to: spares rendering what is known."""
    checked: PolicyCheck | None = None
    """The judgement of the sources that the last pass converged to."""
    kept: tuple[str, ...] = ()
    """Image ids that keepers hold since the last pass that changed something."""
    seals: dict[str, str] = Field(default_factory=dict)
    """Release → sha256 of its seal, `.reconciler/sealed/<release>.seal`: what each of its files has to be."""
    tolerated: tuple[str, ...] = ()
    """Names at the top of deploy_dir that were there when it was adopted."""
    baseline: dict[str, Live] = Field(default_factory=dict)
    """Container id → how it was at the end of the pass that made it or proved it."""
    episodes: dict[str, Episode] = Field(default_factory=dict)
    """Vector and object of drift → its episode."""
    housekept: Housekept | None = None
    open: OpenPass | None = None

    @property
    def shown_phase(self) -> Phase | None:
        """The phase as people see it: a freeze covers whatever was there."""
        return Phase.SUSPENDED if self.suspended else self.phase
