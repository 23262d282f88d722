"""What the engine remembers of changes to containers: its last 256 events, of which health probes make three each."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime

from reconciler.adapters.engine.facts import Json
from reconciler.adapters.engine.library import docker
from reconciler.model.trace import Change

ACTIONS = (
    "connect",
    "destroy",
    "die",
    "disconnect",
    "extract-to-dir",
    "kill",
    "oom",
    "pause",
    "rename",
    "restart",
    "stop",
    "update",
)
"""What a person's commands and the end of a process leave; not what our own repairs add (start, unpause)."""


def changes(client: docker.APIClient, since: datetime) -> tuple[Change, ...]:
    """Oldest first. Raises what the docker library raises.

    A datetime would be cut to whole seconds by the library; the end is the engine's own time, or it would wait for it.
    """
    until = f"{datetime.fromisoformat(client.info()['SystemTime']).timestamp():.9f}"
    wanted = {"type": ["container", "network"], "event": list(ACTIONS)}
    found = client.events(since=f"{since.timestamp():.9f}", until=until, filters=wanted, decode=True)  # type: ignore[call-overload]
    return tuple(_changes(found))


def _changes(events: Iterable[Json]) -> Iterator[Change]:
    for event in events:
        actor: Json = event.get("Actor") or {}
        about: Json = actor.get("Attributes") or {}
        of_network = event.get("Type") == "network"
        container = str((about.get("container") if of_network else actor.get("ID")) or "")
        if container:
            at = datetime.fromtimestamp(int(event["timeNano"]) / 1e9, UTC)
            network = str(about.get("name") or "") if of_network else ""
            yield Change(container=container, action=str(event["Action"]), at=at, network=network)
