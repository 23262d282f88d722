"""From the Engine API's JSON to what can change on a container that runs on.

Source: Docker Engine API, "ContainerInspect" and "ContainerChanges".
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from reconciler.model.limits import RESTART_POLICY, TEXTS, WHOLE_NUMBERS, is_none
from reconciler.model.stored import Attachment, Live

Json = Mapping[str, Any]

_SHORT_ID = 12
_MODIFIED = 0
"""The API's kind of change of a path that is in the image, too: 1 is added, 2 is deleted."""


def live(inspected: Json) -> Live:
    """Limits and networks of one container; its layer isn't part of the details."""
    return Live(limits=limits(inspected), networks=networks(inspected))


def limits(inspected: Json) -> dict[str, int | str]:
    """The limits that there are. Whether an engine says 0, -1 or nothing where there is none makes no difference."""
    host: Json = inspected.get("HostConfig") or {}
    policy: Json = host.get(RESTART_POLICY) or {}
    found: dict[str, int | str] = {name: int(host.get(name) or 0) for name in WHOLE_NUMBERS}
    found |= {name: str(host.get(name) or "") for name in TEXTS}
    found[RESTART_POLICY] = f"{policy.get('Name') or 'no'}:{int(policy.get('MaximumRetryCount') or 0)}"
    if not found["Memory"] and found["MemorySwap"] == -1:
        found["MemorySwap"] = 0  # without a limit of memory there is none of swap either
    return {name: value for name, value in found.items() if not is_none(name, value)}


def networks(inspected: Json) -> dict[str, Attachment]:
    """The attachments by the network's name; `host` and `none` are networks, too. None where it shares another's."""
    short = str(inspected["Id"])[:_SHORT_ID]
    attached: Json = (inspected.get("NetworkSettings") or {}).get("Networks") or {}
    return {str(name): _attachment(attached[name] or {}, short) for name in sorted(attached)}


def _attachment(endpoint: Json, short_id: str) -> Attachment:
    """The short id is an alias that engines before API 1.45 add by themselves."""
    configured: Json = endpoint.get("IPAMConfig") or {}
    aliases = {str(alias) for alias in endpoint.get("Aliases") or () if alias != short_id}
    return Attachment(
        aliases=tuple(sorted(aliases)),
        ipv4=str(configured.get("IPv4Address") or ""),
        ipv6=str(configured.get("IPv6Address") or ""),
    )


def layer(inspected: Json, changes: Sequence[Json] | None) -> tuple[str, ...]:
    """The paths that were added, changed or deleted in the container's own layer, sorted.

    Left out are mount points and the directories above them, which the engine makes, and directories that only count as
    changed because something in them was.
    """
    listed = {str(change["Path"]): int(change["Kind"]) for change in changes or ()}
    mounts = _mount_points(inspected)
    for_mounts = mounts | _above(mounts)
    around = _above(listed.keys() - for_mounts)
    return tuple(
        sorted(
            path
            for path, kind in listed.items()
            if path not in for_mounts and not (kind == _MODIFIED and path in around)
        )
    )


def _mount_points(inspected: Json) -> set[str]:
    host: Json = inspected.get("HostConfig") or {}
    places = [str(mount["Destination"]) for mount in inspected.get("Mounts") or ()]
    places += [str(path) for path in host.get("Tmpfs") or ()]
    if host.get("Init"):
        places.append("/sbin/docker-init")
    return {posixpath.normpath(place) for place in places}


def _above(paths: Iterable[str]) -> set[str]:
    """Every directory that one of these paths lies in, except the root."""
    found: set[str] = set()
    for path in paths:
        parent = posixpath.dirname(path)
        while parent not in found and parent != "/" and parent:
            found.add(parent)
            parent = posixpath.dirname(parent)
    return found
