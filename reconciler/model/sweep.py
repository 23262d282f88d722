"""What a sweep of temp/ and a look at logs/ came to."""

from __future__ import annotations

from reconciler.dataclass import dataclass


@dataclass(frozen=True, slots=True)
class Amount:
    """Files (names of regular files) and what they take on the disk, in bytes; a file with two names counts once there.

    A sparse file counts what it takes, not how long it is.
    """

    files: int = 0
    bytes: int = 0

    def __add__(self, other: Amount) -> Amount:
        return Amount(self.files + other.files, self.bytes + other.bytes)

    def __sub__(self, other: Amount) -> Amount:
        """Never below nothing: what was counted later may have grown."""
        return Amount(max(0, self.files - other.files), max(0, self.bytes - other.bytes))


@dataclass(frozen=True, slots=True)
class SweepReport:
    """What lies in temp/ and logs/, what of it has to go, and what went.

    `temp` and `logs` are all regular files below them; None where the area isn't there, or wasn't asked for. `expired`
    are the files of temp/ that are too old, `surplus` the oldest of the rest, over the size. `remaining` is what of
    both is still there after a sweep; None where it was only looked. `refused` says why an area wasn't entered,
    `failure` why something remained or couldn't be looked at: one line each, as the target said it.
    """

    temp: Amount | None = None
    logs: Amount | None = None
    expired: Amount = Amount()
    surplus: Amount = Amount()
    remaining: Amount | None = None
    refused: tuple[str, ...] = ()
    failure: str = ""

    @property
    def due(self) -> Amount:
        """What has to go."""
        return self.expired + self.surplus

    @property
    def removed(self) -> Amount:
        """What went."""
        return Amount() if self.remaining is None else self.due - self.remaining


@dataclass(frozen=True, slots=True)
class Written:
    """What was really written to a directory: its regular files, and when the newest changed (seconds since 1970).

    `more` says that only the first `files` were looked at. None of it is known where `refused` says why.
    """

    area: str
    files: int = 0
    newest: int | None = None
    more: bool = False
    refused: str = ""
