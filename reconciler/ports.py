"""Protocols between decisions and the outside world. `cycle` calls them, `adapters` implement them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from reconciler.model.measure import GateKind, Measurement
from reconciler.model.observed import ContainerFacts, HostView
from reconciler.model.release import Bundle, Rendering
from reconciler.model.sources import SourceFile, SourceTree
from reconciler.model.stored import TargetState


@dataclass(frozen=True, slots=True)
class Completed:
    """A command that ran to its end on a target.

    `status` is its exit status (128 + n where signal n ended it); `stdout` and `stderr` are as they came: they may
    quote env values, so whoever shows them redacts them first.
    """

    status: int
    stdout: bytes
    stderr: bytes


class RemoteProcess(Protocol):
    """A command that is still running on a target, its standard input open."""

    def read_line(self, timeout: float) -> bytes:
        """The next line of its standard output, without the newline; b"" at its end.

        Raises TargetTimeout after `timeout` seconds, TargetUnreachable when the connection is lost.
        """

    def wait(self, timeout: float) -> Completed:
        """Closes its standard input and waits for its end; the output is what `read_line` has not taken."""

    def close(self) -> None:
        """Drops it: its standard input ends and its output is read no more. Never raises."""


class Stream(Protocol):
    """The part of a connected socket that HTTP clients need (socket.socket and a paramiko Channel both have it)."""

    def sendall(self, data: bytes, /) -> None: ...
    def recv(self, size: int, /) -> bytes: ...
    def settimeout(self, seconds: float | None, /) -> None: ...
    def close(self) -> None: ...


class Transport(Protocol):
    """One authenticated way to one target. Commands are lists and are quoted here, once.

    Every method raises TargetUnreachable when the target is out of reach or the connection is lost, and
    TargetTimeout when a deadline (seconds) passes. Connecting happens at the first use and may raise LoginRefused.
    A connection that is lost stays lost, and so does a closed one: a pass whose lock went with its connection must not
    go on over another (P7). Thread-safe; at most 8 commands run at a time on one connection, more wait.
    """

    @property
    def name(self) -> str:
        """For messages: `local`, or `user@host:port`."""

    def run(
        self,
        command: Sequence[str],
        *,
        stdin: bytes = b"",
        env: Mapping[str, str] | None = None,
        timeout: float = 60.0,
    ) -> Completed:
        """Runs `command` to its end, in the home directory of the login.

        `env` adds to its environment (never secrets: they go by `stdin`). A command that can't be found ends with 127,
        as in a shell. One that outlives `timeout` seconds raises TargetTimeout; it is killed where that can be done.
        Raises ValueError for a NUL in an argument.
        """

    def start(self, command: Sequence[str]) -> RemoteProcess:
        """Starts `command` and returns while it runs."""

    def connect_unix(self, path: str, *, timeout: float = 10.0) -> Stream:
        """A stream to the Unix socket `path` on the target (the Docker API).

        Falls back to `docker system dial-stdio` where the server forbids forwarding or `sudo` is on. A socket that
        can't be opened raises FileNotFoundError, PermissionError, ConnectionRefusedError or another OSError: here, or
        from the first `recv` where the fallback finds it out.
        """

    def connect_tcp(self, host: str, port: int, *, timeout: float = 10.0) -> Stream:
        """A stream to `host:port` as the target sees it (127.0.0.1 is the target).

        Raises ConnectionRefusedError, TimeoutError or OSError when the target could not connect, PermissionError when
        its sshd forbids forwarding, and TargetUnreachable when our own connection is lost.
        """

    def close(self) -> None:
        """Ends the connection. Never raises."""


class Clock(Protocol):
    """Time as an argument."""

    def now(self) -> datetime:
        """The wall clock, aware, UTC."""

    def monotonic(self) -> float:
        """Seconds that only go forward."""

    def sleep(self, seconds: float) -> None:
        """Waits `seconds`; a fake moves its own time instead."""


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


class Events(Protocol):
    """The engine's events of one project, from before the first thing that can happen."""

    def next(self, timeout: float) -> str | None:
        """The service-container id that the next event is about; None after `timeout` seconds without one.

        Raises TargetUnreachable when the stream is lost.
        """

    def close(self) -> None:
        """Ends the stream. Never raises."""


class Engine(Protocol):
    """The target's Docker Engine. Reading raises TargetUnreachable where the answer is unknown, never an empty list."""

    def containers(self, project: str, *, details: bool) -> tuple[ContainerFacts, ...]:
        """Every container with the project's label, stopped ones too; `details` adds restarts and exit codes."""

    def origin(self, project: str) -> Origin | None:
        """Where the project's containers were started from; None where there are none, or they don't agree."""

    def image_id(self, reference: str) -> str | None:
        """The id of an image on the target; None where it is absent."""

    def missing(self, *, networks: Sequence[str], volumes: Sequence[str]) -> tuple[str, ...]:
        """Those of these networks and volumes that aren't there, as `network x` and `volume y`."""

    def pull(self, reference: str, credentials: Credentials | None, progress: Callable[[str], None]) -> None:
        """Pulls one image. Raises PreflightFailed with the registry's own reason."""

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

    def keep(self, project: str, app: str, image_ids: frozenset[str]) -> None:
        """Makes sure of one running keeper for each image, and of none for any other image of this project."""

    def add_keepers(self, project: str, app: str, image_ids: frozenset[str]) -> None:
        """Makes sure of one running keeper for each image, and removes none."""

    def disk_root(self) -> str:
        """The engine's data root on the target."""


class Gate(Protocol):
    """One Go/No-Go check. It measures; `core.verdict` judges."""

    @property
    def name(self) -> str:
        """As in deploy.yaml, or the kind."""

    @property
    def kind(self) -> GateKind:
        """Which limits apply."""

    def measure(self) -> Measurement:
        """One reading, with its own time-out. A gate that can't measure says so by its outcome.

        Raises TargetUnreachable when the connection to the target is lost: then nothing is known.
        """


class HeldLock(Protocol):
    """The target's lock while we hold it; the kernel gives it back when we die."""

    def release(self) -> None:
        """Gives it back. Never raises."""


class Host(Protocol):
    """The part of a target's file system that is ours (DESIGN, "On the target")."""

    def observe(self) -> HostView:
        """Reads our files without a lock and without changing anything."""

    def lock(self, who: str, *, takeover: bool = False) -> tuple[HeldLock, HostView]:
        """Takes the lock and observes, in one round trip.

        Raises Locked naming the holder and, without `takeover`, NotOurs naming what is in the way.
        """

    def render(self, tree: SourceTree, env: bytes, tag: str) -> Rendering:
        """The Compose model of the sources, resolved by the target's own Compose in a private, short-lived directory.

        Raises PreflightFailed with Compose's own message, TargetUnfit where Compose v2 is missing.
        """

    def install(self, bundle: Bundle) -> None:
        """Puts a release under `releases/` and its managed files under `.reconciler/files/`; only adds."""

    def read_release(self, release: str) -> Bundle | None:
        """A release as it lies on the target; None where it, or a file that it needs, is missing."""

    def write_state(self, state: TargetState, *, last_good: str | None, last_good_tag: str | None) -> None:
        """Replaces the state file, and points `last_good` and `last_good_tag`."""

    def switch(self, state: TargetState, release: str) -> None:
        """Writes the state, then points `current` at the release by one atomic rename."""

    def compose_up(self, services: Sequence[str], *, timeout: float) -> Completed:
        """`docker compose up -d --no-deps` of the release at `current`, for these services."""

    def save_evidence(self, run: str, containers: Sequence[ContainerFacts]) -> str:
        """Saves logs and inspection of containers under `.reconciler/evidence/<run>/`; its path on the target."""

    def save_record(self, run: str, text: str) -> None:
        """Keeps a run record on the target until a remote has it."""

    def read_record(self, run: str) -> str | None:
        """A run record that is kept on the target; None where there is none."""

    def prune(self, releases: Sequence[str], files: Sequence[str]) -> None:
        """Removes releases and managed files by name."""

    def render_here(self, config_files: Sequence[str]) -> Rendering:
        """The model of a hand-made deployment in `deploy_dir`, resolved there. Raises PreflightFailed, TargetUnfit."""

    def fetch(self, paths: Sequence[str]) -> tuple[SourceFile, ...]:
        """Files below `deploy_dir`, and those in directories there. Raises TargetUnfit for more than 64 MiB."""
