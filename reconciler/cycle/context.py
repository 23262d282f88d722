"""Everything that a pass over one target is given. Nothing else reaches the outside world."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import field
from datetime import datetime
from typing import TYPE_CHECKING, Protocol

from reconciler.core.render import Place
from reconciler.dataclass import dataclass
from reconciler.model.deploy import Deploy
from reconciler.model.env import EnvValues
from reconciler.model.measure import Subject
from reconciler.model.sources import SourceTree
from reconciler.model.stored import ServiceFacts, TargetState
from reconciler.model.target import Target
from reconciler.model.watchdog import Ended, Mode
from reconciler.ports import Clock, Credentials, Engine, Gate, Host

if TYPE_CHECKING:
    from reconciler.core.windows import Recurring
    from reconciler.model.record import RunRecord


class Masker(Protocol):
    """Hides env values in whatever is shown or written."""

    def text(self, text: str) -> str:
        """`text` with every known value masked."""

    def quoted(self, text: str) -> str:
        """The same for what a program said that takes values apart (Compose): pieces of values are masked, too."""

    def learn(self, *env: bytes) -> None:
        """Also masks the values of these dotenv files (those of releases on the target)."""

    def know(self, values: Mapping[str, str]) -> None:
        """Also masks these values (env key → value)."""


class RecordStore(Protocol):
    """Where run records go on the controller's side."""

    def text(self, record: RunRecord) -> str:
        """What `save` would write, or did for this run."""

    def save(self, record: RunRecord) -> tuple[str, str]:
        """Writes one record (and commits it where that is on). Gives its path and its text; a second save of the same
        run changes nothing."""

    def collect(self, text: str) -> None:
        """Stores a record that another controller wrote and the target kept, unless it is here already."""

    def close(self, text: str, *, at: datetime, repairs: int) -> str:
        """Says in the record of an episode (its text) when it ended, after how many repairs. Gives the new text."""


class Interrupted(Exception):
    """A person wants the pass to end (Ctrl-C, SIGTERM)."""


class Interruption(Protocol):
    """Whether a person asked this target's pass to end, or its time is up, and it hasn't begun to go back yet."""

    @property
    def why(self) -> str:
        """Who or what asked for it, for a sentence: `interrupted by a person`."""

    def __call__(self) -> bool:
        """True from the request until `answered`."""

    def answered(self) -> None:
        """The pass goes back, which is what was asked for: from here on it isn't interrupted, and may wait again."""


@dataclass(slots=True)
class Guard:
    """The lease that lies on the target during a pass (`cycle.guard`), and what the target did alone before it."""

    lease: str | None = None
    mode: Mode | None = None
    ended: Ended | None = None
    told: str = ""


@dataclass(frozen=True, slots=True)
class TargetContext:
    """One target, and the means to reach it. `gates` makes the gates for a release's services, what they report since
    a moment by `clock`, and what is judged; `say` shows progress; `delivered` gives the dotenv file of the values for a
    tag; `who` names this controller to others."""

    name: str
    deploy: Deploy
    target: Target
    sources: Callable[[], SourceTree]
    env: EnvValues
    delivered: Callable[[str], bytes]
    commit: Callable[[], str | None]
    host: Host
    engine: Engine
    gates: Callable[[Mapping[str, ServiceFacts], datetime, Subject], Sequence[Gate]]
    credentials: Credentials | None
    clock: Clock
    mask: Masker
    records: RecordStore
    say: Callable[[str], None]
    interrupted: Interruption
    who: str
    superseded: tuple[str, ...] = ()
    """Tags that were asked for since the commit before, and replaced before they ran."""
    windows: Sequence[Recurring] = ()
    """When a release may be switched to."""
    patience: float = 0.0
    """Seconds to wait for another pass that has the target."""
    linked: dict[str, str | None] = field(default_factory=dict)
    """What `last_good` names since this pass began (`cycle.state`)."""
    guard: Guard = field(default_factory=Guard)
    recalled: dict[str, Mapping[str, str]] = field(default_factory=dict, repr=False)
    """Release → values that were read off its containers before they were replaced (`cycle.runtime`)."""

    @property
    def project(self) -> str:
        """The Compose project name here."""
        return self.deploy.project_of(self.name)

    def place(self, key: bytes) -> Place:
        """Where releases go on this target."""
        return Place(
            deploy_dir=self.target.deploy_dir,
            app=self.deploy.app,
            project=self.project,
            writable=self.deploy.writable,
            key=key,
            keeps_values=self.keeps_values,
        )

    @property
    def keeps_values(self) -> bool:
        """Whether releases lie on the target with their env values (`env.delivery: file`)."""
        return self.deploy.env.delivery == "file"

    @property
    def secret_values(self) -> dict[str, str]:
        """The same without the keys that the template marks public."""
        return {key: value for key, value in self.values.items() if key not in self.env.public}

    @property
    def values(self) -> dict[str, str]:
        """Env key → value (secret)."""
        return {entry.key: entry.value.get_secret_value() for entry in self.env.entries}

    def fresh_state(self) -> TargetState:
        """The state of a target that no pass has touched."""
        return TargetState(app=self.deploy.app, project=self.project)

    def run_id(self) -> str:
        """A new pass's name: `YYYYMMDD_HHMMSS_xxxx`, UTC; it sorts by time."""
        return f"{self.clock.now():%Y%m%d_%H%M%S}_{secrets.token_hex(2)}"

    def check_interrupt(self) -> None:
        """Raises Interrupted when a person asked to end."""
        if self.interrupted():
            raise Interrupted
