"""What happens to a project's containers, whoever does it: the engine's own stream, without the noise of probes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from urllib.parse import quote

from reconciler.adapters.engine.errors import engine_errors
from reconciler.adapters.engine.events import EventStream
from reconciler.adapters.engine.facts import Json, is_one_off
from reconciler.adapters.engine.reader import Reader
from reconciler.model.engine_socket import socket_path
from reconciler.ports import Happening, Transport

ACTIONS = (
    "create", "start", "die", "stop", "pause", "unpause", "update", "rename", "destroy", "oom", "health_status",
    "connect", "disconnect",
)  # fmt: skip
"""What may make a container differ from its definition, or ill. The engine sends nothing else: a health probe makes
three events of its own each time, and an idle controller would read nothing but those."""
_PROJECT = "com.docker.compose.project"


class ProjectWatch:
    """Implements `ports.Watch`: an iterator of happenings, from its making until `close`.

    Raises TargetUnreachable when it is made without a connection, and from the iterator when the stream is lost.
    """

    def __init__(self, transport: Transport, docker_host: str, project: str, reader: Reader) -> None:
        self._project = project
        self._reader = reader
        self._path = socket_path(docker_host)
        self._stream = EventStream(transport, docker_host, types=("container", "network"), actions=ACTIONS)
        try:
            # An event of a network says no project: these, and those that are made from now on, are ours.
            self._known = self._containers()
        except BaseException:
            self._stream.close()
            raise

    def __iter__(self) -> Iterator[Happening]:
        for event in self._stream:
            if happening := self._of_ours(event):
                yield happening

    def close(self) -> None:
        self._stream.close()

    def _of_ours(self, event: Json) -> Happening | None:
        actor: Json = event.get("Actor") or {}
        attributes: Json = actor.get("Attributes") or {}
        if event.get("Type") == "network":
            if attributes.get("container") not in self._known:
                return None
        elif attributes.get(_PROJECT) != self._project or is_one_off(attributes):
            return None
        elif event.get("Action") == "destroy":
            self._known.discard(str(actor.get("ID")))
        else:
            self._known.add(str(actor.get("ID")))
        at = datetime.fromtimestamp(int(event.get("timeNano") or 0) / 1e9, UTC)
        name = str(attributes.get("name") or attributes.get("container") or "")
        return Happening(at, str(event.get("Action") or ""), name)

    def _containers(self) -> set[str]:
        asked = quote(json.dumps({"label": [f"{_PROJECT}={self._project}"]}))
        with engine_errors(self._reader.name, self._path):
            listed = self._reader.get(f"/containers/json?all=1&filters={asked}")
        return {str(entry["Id"]) for entry in listed}
