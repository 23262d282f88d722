"""`deploy.yaml`, whole: what should run, where, and how a pass behaves. The contract is DESIGN's "deploy.yaml"."""

from pathlib import PurePosixPath
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from reconciler.model.base import Listing, Model, OneOrMany, refused, wrong
from reconciler.model.compose_policy import ComposePolicy
from reconciler.model.daemon import Daemon, Git
from reconciler.model.env_files import EnvFiles
from reconciler.model.gates import Gates
from reconciler.model.housekeeping import Housekeeping
from reconciler.model.image import Image
from reconciler.model.notify import Notify
from reconciler.model.paths import InsidePath, RepoPath
from reconciler.model.policy import Drift, Records, Retention, Rollback, Rollout, Stabilization, Timeouts
from reconciler.model.quantities import Tag
from reconciler.model.target import Target
from reconciler.model.text import ComposeName, PlainName
from reconciler.model.windows import Window

MANAGED_NAMES = frozenset({"releases", "current", "last_good", "last_good_tag", "compose.yaml", ".env", ".reconciler"})
"""What the reconciler itself keeps in deploy_dir. Source: DESIGN, "On the target"."""


def _app_owned(path: PurePosixPath) -> PurePosixPath:
    if path.parts[0] in MANAGED_NAMES:
        raise wrong("a directory of the app", f"`{path.parts[0]}` is the reconciler's own")
    return path


class Deploy(Model):
    """The desired state of one app on all its targets."""

    api_version: Literal["reconciler/v1"] = Field(
        alias="apiVersion", description="The version of this file's contract: `reconciler/v1`."
    )
    app: ComposeName = Field(description="The app's name, and its Compose project name.")
    tag: Tag = Field(description="The release's tag, YYYYMMDD_HHMMSS: the line that a release changes.")
    compose: OneOrMany[RepoPath] = Field(
        min_length=1, description="The Compose file, or a list (base, then overrides), relative to deploy.yaml."
    )
    image: Image = Field(
        default_factory=Image.model_construct, description="Which images carry the tag, and how they reach a target."
    )
    env: EnvFiles = Field(
        default_factory=EnvFiles.model_construct, description="Where the app's environment comes from."
    )
    targets: dict[PlainName, Target] = Field(min_length=1, description="Where the app runs, by name.")
    writable: Listing[Annotated[InsidePath, AfterValidator(_app_owned)]] = Field(
        (), description="Directories in deploy_dir that the app writes; never written, moved or removed by a pass."
    )
    policy: ComposePolicy = Field(
        default_factory=ComposePolicy.model_construct, description="How strictly the Compose model is judged."
    )
    gates: Gates = Field(default_factory=Gates.model_construct, description="The Go/No-Go checks of a release.")
    stabilization: Stabilization = Field(
        default_factory=Stabilization.model_construct, description="The time between verified and stable."
    )
    rollback: Rollback = Field(default_factory=Rollback.model_construct, description="What a breach leads to.")
    timeouts: Timeouts = Field(default_factory=Timeouts.model_construct, description="How long a pass waits.")
    drift: Drift = Field(default_factory=Drift.model_construct, description="How drift is looked for and treated.")
    windows: Listing[Window] = Field((), description="When a release may be switched to; left out: always.")
    records: Records = Field(default_factory=Records.model_construct, description="The account of each mutating pass.")
    rollout: Rollout = Field(default_factory=Rollout.model_construct, description="The order of several targets.")
    retention: Retention = Field(default_factory=Retention.model_construct, description="What stays on a target.")
    housekeeping: Housekeeping = Field(
        default_factory=Housekeeping.model_construct, description="The sweep of temp/ and the watch over logs/."
    )
    git: Git = Field(default_factory=Git.model_construct, description="The repository that the daemon follows.")
    daemon: Daemon = Field(default_factory=Daemon.model_construct, description="The daemon's own settings.")
    notify: Notify = Field(default_factory=Notify.model_construct, description="Who is told what happens.")

    def project_of(self, target: str) -> str:
        """The Compose project name on `target`. Raises KeyError when there is no such target."""
        return self.targets[target].project or self.app

    @model_validator(mode="after")
    def _nothing_twice(self) -> Self:
        for name in ("compose", "writable"):
            paths: tuple[PurePosixPath, ...] = getattr(self, name)
            for position, path in enumerate(paths):
                if path in paths[:position]:
                    raise refused(f"is listed twice: {path}", at=(name, position))
        return self

    @model_validator(mode="after")
    def _sweeps_only_what_is_writable(self) -> Self:
        if conflict := self.housekeeping.conflict(self.writable):
            what, hint, at = conflict
            raise refused(what, hint, at=("housekeeping", *at))
        return self

    @model_validator(mode="after")
    def _signs_what_it_writes(self) -> Self:
        if self.git.require_signed and self.rollback.write_back and self.records.branch in {None, self.git.branch}:
            hint = "name another `records.branch`, and merge it by a signed commit"
            raise refused(
                "would put unsigned commits where only signed ones count", hint, at=("rollback", "write_back")
            )
        return self

    @model_validator(mode="after")
    def _targets_apart(self) -> Self:
        directories: dict[object, str] = {}
        projects: dict[object, str] = {}
        for name, target in self.targets.items():
            other = directories.setdefault((target.host, target.port, target.deploy_dir), name)
            if other != name:
                raise refused(f"is the directory of target {other}, too", at=("targets", name, "deploy_dir"))
            engine = (target.host, target.port, target.docker_host)
            other = projects.setdefault((engine, self.project_of(name)), name)
            if other != name:
                hint = "two instances on one host need two names"
                raise refused(f"is the Compose project of target {other}, too", hint, at=("targets", name, "project"))
        return self
