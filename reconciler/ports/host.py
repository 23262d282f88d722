"""The part of a target's file system that is ours."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from reconciler.model.observed import ContainerFacts, HostView
from reconciler.model.release import Bundle, Rendering
from reconciler.model.sources import SourceFile, SourceTree
from reconciler.model.stored import TargetState
from reconciler.ports.transport import Completed


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
