"""Running the scripts of `reconciler.remote` on one target: those that read, those that change; what they refuse."""

from __future__ import annotations

from pathlib import PurePosixPath

from reconciler.adapters.host.held_lock import LONGEST_BEAT
from reconciler.dataclass import dataclass
from reconciler.model.errors import CommandFailed, Locked, NotOurs, TakenOver, TargetUnfit
from reconciler.ports import Completed, Transport
from reconciler.remote import FENCED, script

MISSING, FOREIGN, LOCKED = 70, 73, 75
"""Exit codes of `remote/lib.sh`."""
READ_TIMEOUT = 60.0
"""Seconds for a script that only reads or writes small files."""


@dataclass(frozen=True, slots=True)
class Settings:
    """Which place on which target, and for whom. `where` is for messages; `docker_host` a `unix://` address."""

    where: str
    deploy_dir: PurePosixPath
    app: str
    project: str
    writable: tuple[str, ...]
    docker_host: str
    retained_records: int = 200
    keeps_values: bool = True
    """False where env values may not touch the target's disk (`env.delivery: runtime`)."""
    heartbeat: float = LONGEST_BEAT
    """Seconds from one sign of life to the next while the lock is held."""


class Scripts:
    """Scripts over one connection. What changes something needs the fencing `generation` that comes with the lock."""

    def __init__(self, transport: Transport, settings: Settings) -> None:
        self._transport = transport
        self._settings = settings
        self.generation: str | None = None

    def command(self, name: str, *arguments: str) -> list[str]:
        """The command of a script that reads, or takes the lock."""
        return self._shell(name, script(name), *arguments)

    def fenced(self, name: str, *arguments: str) -> list[str]:
        """The command of a script that changes something: the target runs it while nobody has taken over."""
        if self.generation is None:
            raise RuntimeError(f"{name} changes the target, and only the lock allows that")
        return self._shell(name, script(name, fenced=True), self.generation, *arguments)

    def change(
        self,
        name: str,
        *arguments: str,
        stdin: bytes = b"",
        timeout: float = READ_TIMEOUT,
        check: bool = True,
        over: Transport | None = None,
    ) -> Completed:
        """Runs a script that changes something, as long as nobody has taken over; `over` another connection.

        Raises TakenOver, and with `check` what `refuse` does.
        """
        done = (over or self._transport).run(self.fenced(name, *arguments), stdin=stdin, timeout=timeout)
        if done.status == FENCED or (check and done.status != 0):
            self.refuse(done)
        return done

    def run(
        self, name: str, *arguments: str, stdin: bytes = b"", timeout: float = READ_TIMEOUT, check: bool = True
    ) -> Completed:
        """Runs a script that reads. With `check` raises what `refuse` does."""
        done = self._transport.run(self.command(name, *arguments), stdin=stdin, timeout=timeout)
        if check and done.status != 0:
            self.refuse(done)
        return done

    def refuse(self, done: Completed) -> None:
        """Raises what a script's exit code means, with its own words."""
        where, directory, said = self._settings.where, self._settings.deploy_dir, said_by(done.stderr)
        if done.status == LOCKED:
            raise Locked(f"{where}: another pass is at work here: {said or 'it has not said who it is'}")
        if done.status == FENCED:
            raise TakenOver(f"{where}: {said}")
        if done.status == FOREIGN:
            raise NotOurs(
                f"{where}: {directory} has something that isn't ours ({said}): run `reconcile adopt` to take it over,"
                " or choose another deploy_dir"
            )
        if done.status == MISSING:
            raise TargetUnfit(f"{where}: {said}")
        raise CommandFailed(f"{where}: a script on the target ended with {done.status}: {said}", status=done.status)

    def _shell(self, name: str, text: str, *arguments: str) -> list[str]:
        shell = ["sh", "-c", text, f"reconciler-{name}", str(self._settings.deploy_dir), *arguments]
        return ["env", f"DOCKER_HOST={self._settings.docker_host}", *shell]


def said_by(output: bytes) -> str:
    """What a script said, in one line of at most 2,000 characters."""
    lines = [line.strip() for line in output.decode("utf-8", "replace").splitlines()]
    return "; ".join(line for line in lines if line)[:2000]
