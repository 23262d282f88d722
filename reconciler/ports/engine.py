"""The target's Docker Engine, and what it tells."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Protocol

from reconciler.dataclass import dataclass
from reconciler.model.observed import ContainerFacts
from reconciler.model.stored import Attachment
from reconciler.model.trace import Change


@dataclass(frozen=True, slots=True)
class Usage:
    """What a container uses: `cpu` in percent of all the host's cores, `memory` and `memory_limit` in bytes.

    `cpu` is None at the first reading: it takes two.
    """

    cpu: float | None
    memory: int
    memory_limit: int


@dataclass(frozen=True, slots=True)
class Credentials:
    """A login for a registry. Lives in memory only."""

    username: str
    password: Callable[[], str]


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a Compose project was started from, as its containers' labels tell: paths on the target."""

    working_dir: str
    config_files: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Survey:
    """What an engine has of one project, seen at one moment: its containers in detail, and the images that no sound
    keeper holds although one should."""

    containers: tuple[ContainerFacts, ...]
    unheld: frozenset[str]


class Events(Protocol):
    """The engine's events of one project, from before the first thing that can happen."""

    def next(self, timeout: float) -> str | None:
        """The service-container id that the next event is about; None after `timeout` seconds without one.

        Raises TargetUnreachable when the stream is lost.
        """

    def close(self) -> None:
        """Ends the stream. Never raises."""


@dataclass(frozen=True, slots=True)
class Happening:
    """Something was done to a container of a project, or became of it: when by the engine's clock, the engine's word
    for it (`die`, `update`, `health_status: unhealthy` …), and the container's name (or the network's)."""

    at: datetime
    action: str
    name: str


class Watch(Protocol):
    """What happens to the containers of one project, one-off runs left out."""

    def __iter__(self) -> Iterator[Happening]:
        """Waits for each; ends after `close`. Raises TargetUnreachable when the stream is lost."""

    def close(self) -> None:
        """Ends it, from any thread. Never raises."""


class Engine(Protocol):
    """The target's Docker Engine. Reading raises TargetUnreachable where the answer is unknown, never an empty list.

    What changes something needs the lock, and raises TakenOver once another has taken the target over.
    """

    def containers(self, project: str, *, details: bool) -> tuple[ContainerFacts, ...]:
        """Every container with the project's label, stopped ones too; `details` adds what only an inspection tells."""

    def survey(self, project: str, *, layers: bool, kept: frozenset[str]) -> Survey:
        """Every container with the project's label in detail, with `layers` what it wrote outside of its mounts, too.

        A layer is the sorted paths that it adds, changes or deletes: no mount points, nor directories that only hold
        what is listed; there may be many (`core.live.baseline_of` makes a list that can be kept). `kept` are the images
        that keepers should hold. Two round trips for 15 containers, and one more for each 16 of the others.
        """

    def origin(self, project: str) -> Origin | None:
        """Where the project's containers were started from; None where there are none, or they don't agree."""

    def image_id(self, reference: str) -> str | None:
        """The id of an image on the target; None where it is absent."""

    def missing(self, *, networks: Sequence[str], volumes: Sequence[str]) -> tuple[str, ...]:
        """Those of these networks and volumes that aren't there, as `network x` and `volume y`."""

    def pull(
        self, reference: str, credentials: Credentials | None, progress: Callable[[str], None], *, timeout: float
    ) -> None:
        """Pulls one image within `timeout` seconds. Raises PreflightFailed with the registry's own reason."""

    def remove_image(self, image_id: str) -> None:
        """Removes an image that no container uses; one in use stays, without an error."""

    def logs(self, container_id: str, *, since: datetime, limit: int) -> bytes:
        """The container's output since `since`, at most its last `limit` bytes."""

    def usage(self, container_id: str) -> Usage:
        """What the container uses now; CPU since the last call for the same container."""

    def events(self, project: str) -> Events:
        """Starts listening."""

    def start(self, container_id: str) -> None:
        """Starts a stopped container, or unpauses a paused one."""

    def remove(self, container_id: str, *, stop_timeout: float) -> None:
        """Stops and removes a container; its volumes stay. One that is gone already is fine."""

    def stop(self, container_id: str) -> None:
        """Stops a container with its own grace period, and leaves it there."""

    def update(self, container_id: str, limits: Mapping[str, int | str]) -> None:
        """Gives a container exactly these limits (`Live.limits`) while it runs on.

        Raises CannotUpdate where the engine can't: `core.live.updatable` knows most of that in advance.
        """

    def connect(self, container_id: str, network: str, attachment: Attachment) -> None:
        """Attaches a container to a network (by name) as described, also where it is attached otherwise.

        Raises CannotUpdate where the network is gone or takes it no more.
        """

    def disconnect(self, container_id: str, network: str) -> None:
        """Detaches a container from a network; one that isn't there is fine. Raises CannotUpdate."""

    def changes(self, since: datetime) -> tuple[Change, ...]:
        """What was done to containers since then, by the engine's clock: what it still remembers, oldest first."""

    def keep(self, project: str, app: str, image_ids: frozenset[str]) -> None:
        """Makes sure of one running keeper for each image, and of none for any other image of this project."""

    def guards(self, project: str) -> bool:
        """Whether a keeper of the project runs the watchdog (`remote/watch.sh`)."""

    def add_keepers(self, project: str, app: str, image_ids: frozenset[str]) -> None:
        """Makes sure of one running keeper for each image, and removes none."""

    def holders(self, port: int) -> tuple[str, ...]:
        """Names of the containers, of any project, that have this port of the host or take it when they start again:
        none that is stopped."""

    def environments(self, project: str) -> Mapping[str, tuple[Mapping[str, str], ...]]:
        """Service → the environment of each of its containers (secret)."""

    def disk_root(self) -> str:
        """The engine's data root on the target."""
