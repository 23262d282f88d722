"""What a narrower `writable:` would take away: which services write where, and what is there."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import PurePosixPath
from typing import Any

from reconciler.core.compose_mounts import mounts_of
from reconciler.model.deploy import MANAGED_NAMES
from reconciler.model.sweep import Written

WHOLE = "."
"""Where a service mounts all of deploy_dir."""


def cut_off(
    model: Mapping[str, Any], deploy_dir: PurePosixPath, writable: Iterable[PurePosixPath]
) -> dict[str, tuple[str, ...]]:
    """Directory below `deploy_dir` → services of a release's model that mount it read-write, where it is in no writable
    area. (In a release the sources of such mounts are `<deploy_dir>/…`: DESIGN, "On the target".)
    """
    areas = tuple(writable)
    found: dict[str, set[str]] = {}
    for name, service in (model.get("services") or {}).items():
        for mount in mounts_of(model, service):
            if mount.read_only or not mount.path.is_relative_to(deploy_dir):
                continue
            place = mount.path.relative_to(deploy_dir)
            if place.parts and place.parts[0] in MANAGED_NAMES:
                continue
            if not any(place.is_relative_to(area) for area in areas):
                found.setdefault(str(place), set()).add(name)
    return {place: tuple(sorted(found[place])) for place in sorted(found)}


def consequences(hit: Mapping[str, tuple[str, ...]], written: Sequence[Written]) -> tuple[str, ...]:
    """One line for each directory: who writes there, and what was written."""
    seen = {each.area: each for each in written}
    return tuple(
        f"`{place}` isn't in `writable:` any more, and {_services(services)} there: {_what(seen.get(place))};"
        " its files stay, and no later release can mount it read-write"
        for place, services in hit.items()
    )


def _services(services: tuple[str, ...]) -> str:
    names = ", ".join(services)
    return f"{names} may write" if len(services) == 1 else f"{names} may all write"


def _what(written: Written | None) -> str:
    if written is None:
        return "it is the whole of deploy_dir"
    if written.refused:
        return f"what was written isn't known ({written.refused})"
    if not written.files:
        return "nothing was written so far"
    count = "1 file" if written.files == 1 and not written.more else f"{written.files} files"
    when = (
        f", the newest of {datetime.fromtimestamp(written.newest, UTC):%Y-%m-%d %H:%M:%S} UTC" if written.newest else ""
    )
    if written.more:
        return f"{count} and more{when} or later"
    return f"{count}{when}"
