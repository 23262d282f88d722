"""What was seen on a target. Present, absent and unknown are three values, never two (P6)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from datetime import datetime

from reconciler.dataclass import dataclass
from reconciler.model.audit import FileAudit, StateCopies
from reconciler.model.stored import Live, Manifest, TargetState
from reconciler.model.watchdog import Alone, Armed

LABEL_APP = "io.reconciler.app"
"""On every container of ours: the app it belongs to."""
LABEL_DIGEST = "io.reconciler.digest"
"""On every service container of ours: the keyed digest of the definition that it was made from."""
LABEL_KEEPER = "io.reconciler.keeper"
"""On keepers: the Compose project whose way back they hold."""
LABEL_WATCHDOG = "io.reconciler.watchdog"
"""On keepers: the version of the watchdog that they were made for, and whether they run it (`on` or `off`)."""


@dataclass(frozen=True, slots=True)
class ContainerFacts:
    """One container of the Compose project, as the engine tells it.

    `health` is None where the image and the service define no check. `restarts` counts the engine's own restarts.
    `restarts` and `live` are None where only the list was read and not the container's details.
    """

    id: str
    name: str
    service: str
    image_id: str
    state: str
    digest: str | None = None
    health: str | None = None
    exit_code: int | None = None
    restarts: int | None = None
    one_off: bool = False
    started_at: datetime | None = None
    finished_at: datetime | None = None
    oom_killed: bool = False
    live: Live | None = None
    mounts: tuple[str, ...] = ()
    """Paths of the host that it has mounted; only where its details were read."""

    @property
    def runs(self) -> bool:
        """Running and not paused."""
        return self.state == "running"


@dataclass(frozen=True, slots=True)
class HostView:
    """What the target's files say, read in one round trip.

    `key` is the target's digest key, None before the first pass. `foreign` names what is in the way when the directory
    isn't ours. `env` is the raw `.env` of the release at `current`: secret, only for masking and comparing.
    `disk_free` and `disk_size` are bytes of the file system of `deploy_dir`; `holder` tells who has the lock.
    `sealed` are the names in the store of sealed copies; `copies` tells how the state file was found; `audit` what the
    managed files are like, None where it wasn't asked for; `env_files` are all dotenv files that came with it, `env`
    among them: to be masked.
    """

    ours: bool
    key: bytes | None = None
    current: str | None = None
    last_good: str | None = None
    releases: tuple[str, ...] = ()
    state: TargetState | None = None
    manifest: Manifest | None = None
    foreign: tuple[str, ...] = ()
    env: bytes = field(default=b"", repr=False)
    disk_free: int | None = None
    disk_size: int | None = None
    holder: str | None = None
    copies: StateCopies = field(default_factory=StateCopies)
    sealed: tuple[str, ...] = ()
    audit: FileAudit | None = None
    env_files: tuple[bytes, ...] = field(default=(), repr=False)
    journal: tuple[str, ...] = ()
    """What the scripts of the last passes have begun and done: generation, seconds since boot, begin or end, script."""
    lease: Armed | None = None
    alone: Alone | None = None
    """What the target did by itself since the last pass."""


@dataclass(frozen=True, slots=True)
class Observed:
    """The whole observation of one target: its files and its containers."""

    host: HostView
    containers: tuple[ContainerFacts, ...]
    images: Mapping[str, str] = field(default_factory=dict)
    """Image reference → id, for the references that were looked up and are present."""
    unheld: frozenset[str] = frozenset()
    """Images that a keeper has to hold, and none does."""
    lost: frozenset[str] = frozenset()
    """Those of them that are gone from the target: nothing can hold them."""

    def of(self, service: str) -> tuple[ContainerFacts, ...]:
        """The containers of one service; one-off runs are never among them."""
        return tuple(c for c in self.containers if c.service == service and not c.one_off)
