"""The exception tree. The class says who has to act; the message says where, what, and what to do.

Each class carries the exit code of DESIGN's command line. Messages never hold the value of an env key.
"""

from __future__ import annotations

from enum import IntEnum
from typing import ClassVar


class ExitCode(IntEnum):
    """What a script can trust. Source: DESIGN, "Command line"."""

    OK = 0
    ERROR = 1
    CHANGES_PENDING = 2
    REVERTED = 3
    BLOCKED = 4
    LOCKED = 5
    UNREACHABLE = 6
    REVERT_FAILED = 7
    HELD = 8
    USAGE = 64


SEVERITY: tuple[ExitCode, ...] = (
    ExitCode.REVERT_FAILED,
    ExitCode.ERROR,
    ExitCode.REVERTED,
    ExitCode.HELD,
    ExitCode.UNREACHABLE,
    ExitCode.LOCKED,
    ExitCode.BLOCKED,
    ExitCode.CHANGES_PENDING,
    ExitCode.OK,
)
"""Of several targets the worst is reported, in this order."""


def worst(codes: list[ExitCode]) -> ExitCode:
    """The exit code of a run over several targets; OK for none."""
    return min(codes, key=SEVERITY.index, default=ExitCode.OK)


class ReconcilerError(Exception):
    """Anything that ends a pass with one clear line instead of a traceback."""

    exit_code: ClassVar[ExitCode] = ExitCode.ERROR


class UsageError(ReconcilerError):
    """The command line is wrong: the caller corrects it."""

    exit_code = ExitCode.USAGE


class DesiredStateError(ReconcilerError):
    """deploy.yaml, or a file that it refers to, is wrong: its author corrects it.

    The text is `file:line: path: what; hint`, with the parts that are known.
    """

    def __init__(
        self,
        what: str,
        *,
        file: str | None = None,
        line: int | None = None,
        path: str | None = None,
        hint: str | None = None,
    ) -> None:
        self.what, self.file, self.line, self.path, self.hint = what, file, line, path, hint
        where = file or ""
        if file and line is not None:
            where = f"{file}:{line}"
        parts = [part for part in (where, path, what) if part]
        super().__init__(": ".join(parts) + (f"; {hint}" if hint else ""))


class EnvError(ReconcilerError):
    """The env values are incomplete or unreadable: whoever holds them corrects them. Names keys, never values."""


class LoginRefused(ReconcilerError):
    """The target answered and refused us (host key, user, key): a person corrects the access. Nothing was changed."""


class TargetUnreachable(ReconcilerError):
    """The target can't be observed: its state is unknown, and nothing was or will be repaired."""

    exit_code = ExitCode.UNREACHABLE


class TargetTimeout(TargetUnreachable):
    """The target was reached and didn't answer in time: unknown, too."""


class TakenOver(TargetUnreachable):
    """Another pass, or the target's own watchdog, has taken the target over: from here nothing more can be changed.

    What runs there is known to whoever has it now, and no longer to us.
    """

    exit_code = ExitCode.LOCKED


class CommandFailed(ReconcilerError):
    """A command on the target ended with another exit status than expected. `status` is its exit status."""

    def __init__(self, message: str, *, status: int) -> None:
        self.status = status
        super().__init__(message)


class TargetUnfit(ReconcilerError):
    """The target lacks something that is needed (Docker, Compose v2, rights, disk): its operator corrects it."""


class CannotUpdate(ReconcilerError):
    """The engine can't put a container back as it runs: whoever asked makes it anew."""


class Locked(ReconcilerError):
    """Another pass holds the target; the message names it."""

    exit_code = ExitCode.LOCKED


class Blocked(ReconcilerError):
    """The pass may not act: quarantined, suspended, or not ours. A person decides."""

    exit_code = ExitCode.BLOCKED


class NotOurs(Blocked):
    """The directory or the Compose project belongs to something else; `reconcile adopt` takes it over."""


class PreflightFailed(ReconcilerError):
    """Looking before touching found a reason not to touch: the running app is as it was."""


class RevertFailed(ReconcilerError):
    """A revert did not bring the way back to health: a person is needed now."""

    exit_code = ExitCode.REVERT_FAILED


class Meddled(ReconcilerError):
    """Somebody stopped or removed a container while a release was measured: no evidence, and the next pass goes on."""


class EngineStuck(ReconcilerError):
    """The engine itself can't do what is asked until somebody restarts it: a person is needed, and no release is to
    blame."""

    exit_code = ExitCode.REVERT_FAILED
