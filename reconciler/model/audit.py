"""What the managed part of a target's deploy_dir was seen to be, and what puts a piece of it back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from enum import StrEnum

from reconciler.dataclass import dataclass
from reconciler.model.drift import Drift


class Kind(StrEnum):
    """What lies at a path. The value is how people call it."""

    FILE = "a file"
    DIRECTORY = "a directory"
    LINK = "a link"
    OTHER = "a device, pipe or socket"


@dataclass(frozen=True, slots=True)
class Entry:
    """Something in deploy_dir, as `lstat` tells it. `path` is relative to deploy_dir, empty for deploy_dir itself.

    `mode` are the permission bits; `changed_at` the time of the last change of content, mode, owner or name (seconds
    since 1970), which nobody can set. `sha256` is None where the content wasn't read, empty where it can't be read.
    """

    path: str
    kind: Kind
    mode: int
    uid: int
    size: int
    changed_at: int
    sha256: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Sealed:
    """One line of a release's seal. `size` (bytes) and `sha256` are None for a directory."""

    release: str
    path: str
    mode: int
    size: int | None
    sha256: str | None = field(repr=False)


@dataclass(frozen=True, slots=True)
class EnvPair:
    """The values of a release's `.env` as they were installed and as they were found; None where that can't be read."""

    sealed: Mapping[str, str] | None = field(repr=False)
    found: Mapping[str, str] | None = field(repr=False)


@dataclass(frozen=True, slots=True)
class FileAudit:
    """What the target said of the managed part of `directory`, besides the areas in `writable`.

    `owner` is the user id that `.reconciler` belongs to, `seals` the sha256 of every seal there. `top` is what lies in
    deploy_dir, in `.reconciler` and in the parents of writable areas; `links` where those of `top` point that should be
    links. `contradicting` are the entries below `releases/` and in the stores of `.reconciler` that a seal
    contradicts, or that none has; of a directory that none has, only itself. `expected` are the lines that are
    contradicted; one without an entry is gone, and of a directory that is gone only itself is named.
    `unsure` says why the target could not look; `cut` how many more there are.
    """

    directory: str
    writable: tuple[str, ...]
    owner: int = 0
    seals: Mapping[str, str] = field(default_factory=dict)
    top: tuple[Entry, ...] = ()
    links: Mapping[str, str] = field(default_factory=dict)
    last_good_tag: str | None = None
    contradicting: tuple[Entry, ...] = ()
    expected: tuple[Sealed, ...] = ()
    envs: Mapping[str, EnvPair] = field(default_factory=dict, repr=False)
    unsure: str = ""
    cut: int = 0


class Copy(StrEnum):
    """How a copy of the state file was found."""

    WHOLE = "whole"
    OLDER = "older"
    MISSING = "missing"
    BROKEN = "broken"
    UNSIGNED = "unsigned"
    """Of a format that had no signature yet, and so accepted."""


@dataclass(frozen=True, slots=True)
class StateCopies:
    """The state file and its backup. One of them is what the state was read from."""

    main: Copy = Copy.WHOLE
    backup: Copy = Copy.WHOLE
    key_lost: bool = False
    """Whether `.reconciler/key` is not the key that the state is signed with; its copy is."""

    @property
    def stale(self) -> bool:
        """Whether a pass died while it wrote the state, or an older version wrote it: writing it again ends that."""
        return self.backup is Copy.OLDER or self.main is Copy.UNSIGNED


@dataclass(frozen=True, slots=True)
class SetMode:
    """A path gets its mode back, and its owner where we may."""

    path: str
    mode: int


@dataclass(frozen=True, slots=True)
class Restore:
    """A path gets back what the release brought, from the sealed copy; a directory with all that is in it."""

    path: str
    mode: int
    release: str
    seal: str


@dataclass(frozen=True, slots=True)
class SetAside:
    """A path is moved out of the way, with everything in it."""

    path: str


@dataclass(frozen=True, slots=True)
class Relink:
    """`current`, `last_good` and what follows from them. None leaves a link alone."""

    serving: str | None
    last_good: str | None
    last_good_tag: str | None


@dataclass(frozen=True, slots=True)
class Reseal:
    """A release's sealed copy is made anew from what is left, if that proves to be what was sealed."""

    release: str
    seal: str


@dataclass(frozen=True, slots=True)
class Rewrite:
    """The state file and its backup are written anew; whoever saves the state does that."""


@dataclass(frozen=True, slots=True)
class KeyBack:
    """The key is put back from its copy."""


Action = SetMode | Restore | SetAside | Relink | Reseal | Rewrite | KeyBack


@dataclass(frozen=True, slots=True)
class Finding:
    """Drift in our own part of a target, and the least that ends it; None where nothing of ours can."""

    drift: Drift
    action: Action | None


def printable(path: str) -> str:
    """A path as it is shown: one line, without anything that a terminal would act on."""
    return "".join(
        each if each.isprintable() else each.encode("unicode_escape", "surrogatepass").decode() for each in path
    )
