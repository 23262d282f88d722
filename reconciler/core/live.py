"""What was changed on a container that was not made anew: its limits, its networks, its layer."""

from __future__ import annotations

import hashlib
from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from fnmatch import fnmatchcase

from reconciler.model.drift import Drift, Vector
from reconciler.model.limits import RESTART_POLICY, irrevocable
from reconciler.model.observed import ContainerFacts
from reconciler.model.plan import Connect, Disconnect, Step, Update
from reconciler.model.stored import Attachment, Live

MOST_PATHS = 2000
"""Paths of a layer that are kept in the state; of the others a digest is."""
_UNITS = ((2**30, "GiB"), (2**20, "MiB"), (2**10, "KiB"))
_CUT = "+"
"""What begins the last entry of a list that was cut: a path begins with a slash."""


def live_drift(container: ContainerFacts, baseline: Live, *, ignore: Sequence[str] = ()) -> tuple[Drift, ...]:
    """What differs from the baseline: vectors LIMITS, NETWORK, ATTACHMENT and LAYER.

    One for all limits of the container, one for each network, one for its layer. `ignore` holds patterns as in
    `is_ignored`. A layer that wasn't read, now or then, is unknown and says nothing. Raises ValueError for a
    container of which only the list was read. Paths may hold anything: whoever shows them masks them.
    """
    found = container.live
    if found is None:
        raise ValueError(f"{container.name}: read without its details")
    return (
        *_limits(container, baseline, found),
        *_networks(container, baseline, found),
        *_layer(container, baseline, found, ignore),
    )


def baseline_of(container: ContainerFacts, *, ignore: Sequence[str] = ()) -> Live | None:
    """What to keep of a container at the end of a pass: without ignored paths, and with at most MOST_PATHS of them.

    None for a container of which only the list was read. A list that is cut ends with how many more there are and a
    digest of those, so that it equals no other.
    """
    if container.live is None or container.live.layer is None:
        return container.live
    paths = _counted(container.live.layer, container.service, ignore)
    if len(paths) > MOST_PATHS:
        paths = [*paths[:MOST_PATHS], _rest(paths[MOST_PATHS:])]
    return container.live.model_copy(update={"layer": tuple(paths)})


def updatable(baseline: Live, found: Live) -> bool:
    """Whether `docker update` can put the limits back; else the container has to be made anew."""
    return not irrevocable(baseline.limits, found.limits)


def step_back(drift: Drift, container: ContainerFacts, baseline: Live) -> Step | None:
    """The step that ends this drift (one of `live_drift`) while the container runs on.

    None where there is none: its layer, or a limit that no update takes away. A Disconnect goes before a Connect: a
    container that belongs to no network can't go back to that while it is on another.
    """
    service, identity, name = container.service, container.id, container.name
    network = drift.object.removeprefix(_on_network(container, ""))
    match drift.vector:
        case Vector.LIMITS if container.live is not None and updatable(baseline, container.live):
            return Update(service, identity, name, baseline.limits, drift.line)
        case Vector.NETWORK if network in baseline.networks:
            return Connect(service, identity, name, network, baseline.networks[network], drift.line)
        case Vector.ATTACHMENT:
            return Disconnect(service, identity, name, network, drift.line)
        case _:
            return None


def is_ignored(path: str, service: str, patterns: Sequence[str]) -> bool:
    """Whether one of these patterns is of the form `service:/path` and matches. Others are for other things.

    Both parts are shell patterns in which `*` also stands for slashes: `web:/var/cache/*` is everything below that
    directory, and the directory itself, and `*:/tmp/*` holds for every service.
    """
    for pattern in patterns:
        of, colon, glob = pattern.partition(":")
        if not colon or not glob.startswith("/") or not fnmatchcase(service, of):
            continue
        if fnmatchcase(path, glob) or (glob.endswith("/*") and fnmatchcase(path, glob[:-2])):
            return True
    return False


def _limits(container: ContainerFacts, baseline: Live, found: Live) -> Iterator[Drift]:
    names = sorted(
        name
        for name in baseline.limits.keys() | found.limits.keys()
        if baseline.limits.get(name) != found.limits.get(name)
    )
    if names:
        expected = ", ".join(_limit(name, baseline.limits) for name in names)
        yield Drift(Vector.LIMITS, container.name, expected, ", ".join(_limit(name, found.limits) for name in names))


def _limit(name: str, limits: Mapping[str, int | str]) -> str:
    value = limits.get(name)
    if name == RESTART_POLICY:
        policy, _, most = str(value or "no").partition(":")
        return f"{name} {policy}" + (f" at most {most} times" if most not in {"", "0"} else "")
    if value is None:
        return f"no {name}"
    if value == -1:
        return f"{name} unlimited"
    if isinstance(value, int) and "Memory" in name:
        return f"{name} {_size(value)}"
    if isinstance(value, int) and name == "NanoCpus":
        return f"{name} {value / 1e9:g} CPUs"
    return f"{name} {value}"


def _size(size: int) -> str:
    """In the largest unit that leaves it whole."""
    return next((f"{size // unit} {name}" for unit, name in _UNITS if size % unit == 0), f"{size} bytes")


def _networks(container: ContainerFacts, baseline: Live, found: Live) -> Iterator[Drift]:
    for network in sorted(baseline.networks.keys() | found.networks.keys()):
        thing = _on_network(container, network)
        wanted, there = baseline.networks.get(network), found.networks.get(network)
        if wanted is None:
            yield Drift(Vector.ATTACHMENT, thing, f"not attached to {network}", "attached")
        elif there is None:
            yield Drift(Vector.NETWORK, thing, f"attached to {network}", "not attached")
        elif there != wanted:
            yield Drift(Vector.NETWORK, thing, _attachment(wanted), _attachment(there))


def _on_network(container: ContainerFacts, network: str) -> str:
    return f"{container.name} on {network}"


def _attachment(attachment: Attachment) -> str:
    names = f"aliases {', '.join(attachment.aliases)}" if attachment.aliases else "no alias"
    addresses = [address for address in (attachment.ipv4, attachment.ipv6) if address]
    return f"{names}, address {' and '.join(addresses)}" if addresses else names


def _layer(container: ContainerFacts, baseline: Live, found: Live, ignore: Sequence[str]) -> Iterator[Drift]:
    """Only what is new: that a file of the baseline is gone again is what caches and pid files do."""
    if baseline.layer is None or found.layer is None:
        return
    paths = _counted(found.layer, container.service, ignore)
    known = {path for path in baseline.layer if not path.startswith(_CUT)}
    cut = next((entry for entry in baseline.layer if entry.startswith(_CUT)), None)
    seen = len(paths) if cut is None else bisect_right(paths, max(known, default=""))
    new = [path for path in paths[:seen] if path not in known]
    if new:
        more = f" and {len(new) - 1} more" if len(new) > 1 else ""
        yield Drift(Vector.LAYER, container.name, "the files of the baseline", f"{new[0]}{more}")
    elif cut is not None and paths[seen:] and _rest(paths[seen:]) != cut:
        expected = f"the files of the baseline, which has more than {MOST_PATHS}"
        yield Drift(Vector.LAYER, container.name, expected, f"others among the last {len(paths) - seen}")


def _counted(layer: Sequence[str], service: str, ignore: Sequence[str]) -> list[str]:
    if not ignore:
        return sorted(layer)
    return sorted(path for path in layer if not is_ignored(path, service, ignore))


def _rest(paths: Sequence[str]) -> str:
    """What stands for paths that are too many to keep."""
    text = "\0".join(paths).encode("utf-8", "surrogatepass")
    return f"{_CUT}{len(paths)} {hashlib.sha256(text).hexdigest()}"
