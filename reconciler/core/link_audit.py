"""What drifted of the links, the state file and the key of a target; each with the least that ends it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

from reconciler.core import history
from reconciler.model.audit import (
    Copy,
    Entry,
    FileAudit,
    Finding,
    KeyBack,
    Kind,
    Relink,
    Rewrite,
    SetMode,
    StateCopies,
    printable,
)
from reconciler.model.drift import Drift, Vector
from reconciler.model.stored import Phase, TargetState


def state_copies(copies: StateCopies) -> Iterator[Finding]:
    """What became of the state file, its backup and the key."""
    if copies.key_lost:
        drift = Drift(Vector.FILE, ".reconciler/key", "the key of this target", "another one, or none")
        yield Finding(drift, KeyBack())
    found = {
        Copy.OLDER: "an older one, put back by hand",
        Copy.MISSING: "nothing",
        Copy.BROKEN: "one that no pass wrote",
    }
    if copies.main in found:
        drift = Drift(Vector.STATE, ".reconciler/state.json", "the state that the last pass wrote", found[copies.main])
        yield Finding(drift, Rewrite())
    if copies.backup in {Copy.MISSING, Copy.BROKEN} and copies.main is not Copy.UNSIGNED:
        expected = "a copy of the state"
        drift = Drift(Vector.STATE, ".reconciler/state.backup.json", expected, found[copies.backup])
        yield Finding(drift, Rewrite())


def links(state: TargetState, audit: FileAudit) -> Iterator[Finding]:
    """Where the links of a target, and its file with the tag of last good, aren't what the state says."""
    if state.serving is None or state.phase in {None, Phase.REVERTING}:
        return  # a pass died between the state and the links: the next one goes on
    good = history.last_good(state)
    serving, tag = state.serving, state.releases[good].tag if good else None
    by_name = {entry.path: entry for entry in audit.top}
    wanted = {"current": f"releases/{serving}", "compose.yaml": "current/compose.yaml", ".env": "current/.env"}
    for name, to in wanted.items():
        yield from _link(audit, by_name.get(name), name, to, Relink(serving, None, None))
    if good is None:
        return  # nothing is said of what was there before
    back = Relink(None, good, tag)
    yield from _link(audit, by_name.get("last_good"), "last_good", f"releases/{good}", back)
    entry = by_name.get("last_good_tag")
    whole = entry is not None and (entry.kind, entry.size) == (Kind.FILE, len(f"{tag}\n".encode()))
    if entry is None or not whole or audit.last_good_tag != tag:
        found = "nothing" if entry is None else "other content" if entry.kind is Kind.FILE else entry.kind.value
        drift = Drift(Vector.LINK, "last_good_tag", f"the tag {tag}", found, at=changed(entry))
        yield Finding(drift, back)
    elif entry.mode != 0o444:
        drift = Drift(Vector.FILE, "last_good_tag", "mode 0444", f"mode {entry.mode:04o}", at=changed(entry))
        yield Finding(drift, SetMode("last_good_tag", 0o444))


def _link(audit: FileAudit, entry: Entry | None, name: str, to: str, action: Relink) -> Iterator[Finding]:
    if entry is not None and entry.kind is Kind.LINK and audit.links.get(name) == to:
        return
    found = "nothing" if entry is None else entry.kind.value
    if entry is not None and entry.kind is Kind.LINK:
        found = f"→ {printable(audit.links.get(name, '?'))}"
    yield Finding(Drift(Vector.LINK, name, f"→ {to}", found, at=changed(entry)), action)


def changed(entry: Entry | None) -> datetime | None:
    """When somebody changed it, by the target's clock."""
    return datetime.fromtimestamp(entry.changed_at, UTC) if entry else None
