"""What belongs where in deploy_dir, besides the files of releases (DESIGN, "On the target")."""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum, auto

from reconciler.dataclass import dataclass
from reconciler.model.audit import Kind

FILES, SEALED = ".reconciler/files", ".reconciler/sealed"
LINKS = frozenset({"current", "last_good", "last_good_tag", "compose.yaml", ".env"})
TOP = LINKS | {"releases", ".reconciler"}
"""Names of ours at the top of deploy_dir."""
_WORK = frozenset(
    {"lock", "holder", "fence", "generation", "acting", "journal", "watchdog", "inventory"}
    | {"records", "evidence", "adopted", "staging", "set_aside"}
)
"""Names in `.reconciler` that come and go with passes."""
_HALVES = frozenset(
    f"{name}.new"
    for name in ("holder", "generation", "journal", "inventory", "link", "key", "state.json", "state.backup.json")
)
"""What a crash may leave of one that was to replace another."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a path of ours has to be."""

    kind: Kind
    mode: int


class Rule(Enum):
    """What a path that isn't judged by itself is."""

    OURS = auto()
    """Judged elsewhere, or never the same."""
    APP = auto()
    """A writable area, or what leads to one."""
    FOREIGN = auto()


_WANTED = {
    "releases": Wanted(Kind.DIRECTORY, 0o755),
    ".reconciler": Wanted(Kind.DIRECTORY, 0o755),
    ".reconciler/key": Wanted(Kind.FILE, 0o400),
    ".reconciler/state.json": Wanted(Kind.FILE, 0o600),
    ".reconciler/state.backup.json": Wanted(Kind.FILE, 0o600),
    FILES: Wanted(Kind.DIRECTORY, 0o755),
    SEALED: Wanted(Kind.DIRECTORY, 0o700),
}


def rule(path: str, writable: Sequence[str]) -> Wanted | Rule:
    """What a path of `FileAudit.top` has to be."""
    if path in _WANTED:
        return _WANTED[path]
    if any(path == area or area.startswith(f"{path}/") for area in writable):
        return Rule.APP
    if path in LINKS or path == "":
        return Rule.OURS
    within = path.removeprefix(".reconciler/")
    if within != path and (within in _WORK or within in _HALVES):
        return Rule.OURS
    return Rule.FOREIGN


def is_seal(path: str) -> bool:
    """Whether this is a release's seal."""
    return path.startswith(f"{SEALED}/") and path.endswith(".seal")


def release_of(path: str) -> str | None:
    """The release that a path belongs to by its name; None for what several may share."""
    if path.startswith("releases/"):
        return path.split("/")[1]
    if path.startswith(f"{SEALED}/"):
        return path.split("/")[2].removesuffix(".seal").removesuffix(".tar")
    return None
