"""The part of a target's file system that is ours."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Protocol

from reconciler.model.audit import Action
from reconciler.model.housekeeping import Housekeeping
from reconciler.model.observed import ContainerFacts, HostView
from reconciler.model.release import Bundle, Rendering
from reconciler.model.sources import SourceFile, SourceTree
from reconciler.model.stored import TargetState
from reconciler.model.sweep import SweepReport, Written
from reconciler.model.trace import Login
from reconciler.model.watchdog import Lease, Silence
from reconciler.ports.transport import Completed


class HeldLock(Protocol):
    """The target's lock while we hold it; the kernel gives it back when we die, and the target 30 s after it last heard
    of us."""

    def release(self) -> None:
        """Gives it back. Never raises."""


class Host(Protocol):
    """The part of a target's file system that is ours (DESIGN, "On the target").

    What changes something needs the lock, and raises TakenOver once another has taken the target over.
    """

    @property
    def generation(self) -> str | None:
        """The fencing generation that came with the lock; None before."""

    def observe(self, *, files: bool = True) -> HostView:
        """Reads our files without a lock and changes nothing; without `files` the managed ones aren't audited."""

    def lock(
        self,
        who: str,
        purpose: str,
        *,
        takeover: bool = False,
        patience: float = 0.0,
        waiting: Callable[[str], None] = lambda holder: None,
    ) -> tuple[HeldLock, HostView]:
        """Takes the lock and observes, in one round trip. With it comes a new fencing generation: whatever an earlier
        holder still has under way on the target has ended, and whatever it sends from now on is refused there.

        `who` and `purpose` are for others that find it locked. Waits up to `patience` seconds for another to give it
        back, and calls `waiting` with what that one said. Raises Locked naming the holder and, without `takeover`,
        NotOurs naming what is in the way.
        """

    def render(self, tree: SourceTree, env: bytes, tag: str) -> Rendering:
        """The Compose model of the sources, resolved by the target's own Compose in a private, short-lived directory.

        Raises PreflightFailed with Compose's own message, TargetUnfit where Compose v2 is missing.
        """

    def install(self, bundle: Bundle) -> str:
        """Puts a release under `releases/`, its files under `.reconciler/files/`, and its sealed copy; only adds.

        Gives the digest of its seal, for `TargetState.seals`. What a dead pass left of the same release gives way.
        """

    def reseal(self, release: str, expected: str | None) -> str:
        """Makes the sealed copy of a release that is on the target; the digest of its seal.

        Raises PreflightFailed where that isn't `expected` (None: none is known), or nothing whole is left.
        """

    def put_back(self, run: str, actions: Sequence[Action]) -> tuple[str, ...]:
        """Puts back what the actions name; what was changed or is in the way goes to `.reconciler/set_aside/<run>/`.

        Gives the paths that lie there with another inode: a container that has one mounted sees the old one until it is
        started again. Raises PreflightFailed naming what could not be put back, after everything else was.
        """

    def read_release(self, release: str) -> Bundle | None:
        """A release as it lies on the target; None where it, or a file that it needs, is missing."""

    def write_state(self, state: TargetState, *, last_good: str | None, last_good_tag: str | None) -> None:
        """Replaces the state file, and points `last_good` and `last_good_tag`."""

    def switch(self, state: TargetState, release: str) -> None:
        """Writes the state, then points `current` at the release by one atomic rename."""

    def arm(self, lease: Lease, *, in_keeper: bool) -> bool:
        """Leaves a dead man's lease on the target, and proves that its watchdog has heard of it. Replaces another one.

        `in_keeper` is whether a keeper is there that can run it (`Engine.guards`). False where a detached process has
        to: it doesn't survive a reboot. Raises TargetUnfit where there is neither.
        """

    def confirm(self, lease: str, *, looks: float | None, lasts: float, silence: Silence) -> None:
        """Ends a lease over a connection of its own, made for it: what a person would need to come in.

        With `looks` it goes on as the lease of a stabilization: for `lasts` seconds the target looks after its
        containers itself, each time nothing was heard for `looks` seconds. Raises TakenOver where the target has gone
        back, else what keeps the connection from being made.
        """

    def disarm(self) -> None:
        """Ends whatever lease there is."""

    def acknowledge(self) -> None:
        """What the target did alone (`HostView.alone`) is on record."""

    def compose_up(self, services: Sequence[str], *, timeout: float, model: bytes | None = None) -> Completed:
        """`docker compose up -d --no-deps` of the release at `current`, for these services.

        `model` is the release with its values, where the target keeps none: it goes to Compose and to no disk.
        """

    def save_evidence(self, run: str, containers: Sequence[ContainerFacts]) -> str:
        """Saves logs and inspection of containers under `.reconciler/evidence/<run>/`; its path on the target."""

    def save_record(self, run: str, text: str) -> None:
        """Keeps a run record on the target until a remote has it."""

    def read_record(self, run: str) -> str | None:
        """A run record that is kept on the target; None where there is none."""

    def prune(self, releases: Sequence[str], files: Sequence[str]) -> None:
        """Removes releases and managed files by name."""

    def sweep(self, rules: Housekeeping, *, holder: str | None) -> SweepReport:
        """Measures temp/ and logs/ as far as `rules` ask for it; without a `holder` that is all.

        `holder` is who has the lock (`lock(who)`): then what `rules.temp` lets go is removed from temp/, until another
        has the lock or the time is up. Nothing else is ever touched, whatever a container does to temp/ meanwhile.
        """

    def written(self, areas: Sequence[str]) -> tuple[Written, ...]:
        """What lies in these directories below `deploy_dir`, by a look at 10,000 files of each at most."""

    def render_here(self, config_files: Sequence[str]) -> Rendering:
        """The model of a hand-made deployment in `deploy_dir`, resolved there. Raises PreflightFailed, TargetUnfit."""

    def fetch(self, paths: Sequence[str]) -> tuple[SourceFile, ...]:
        """Files below `deploy_dir`, and those in directories there. Raises TargetUnfit for more than 64 MiB."""

    def logins_at(self, when: datetime) -> tuple[Login, ...]:
        """Who was logged in on the target at that time, by its clock. Empty where that can't be read; never raises."""
