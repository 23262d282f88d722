"""The port `Events` over the engine's event stream: a thread reads, whoever waits has a time-out."""

from __future__ import annotations

import queue
import threading

from reconciler.adapters.engine.events import EventStream
from reconciler.adapters.engine.facts import Json, is_one_off
from reconciler.model.errors import ReconcilerError, TargetUnreachable

_OF_PROBES = "exec_"
"""Every health probe makes three such events, which say nothing: its result has an event of its own."""


class ProjectEvents:
    """Container events of one project, from before this was made; those of one-off runs and of execs are left out."""

    def __init__(self, stream: EventStream, name: str) -> None:
        self._stream = stream
        self._name = name
        self._queue: queue.SimpleQueue[str | Exception] = queue.SimpleQueue()
        threading.Thread(target=self._read, name="engine-events", daemon=True).start()

    def next(self, timeout: float) -> str | None:
        """Raises TargetUnreachable when the stream is lost, now and at every later call; None after `close`."""
        try:
            item = self._queue.get(timeout=max(0.0, timeout))
        except queue.Empty:
            return None
        if isinstance(item, Exception):
            self._queue.put(item)
            raise TargetUnreachable(str(item)) from item
        return item

    def close(self) -> None:
        self._stream.close()

    def _read(self) -> None:
        try:
            for event in self._stream:
                if container := _container(event):
                    self._queue.put(container)
        except (ReconcilerError, ValueError) as error:
            self._queue.put(error if isinstance(error, ReconcilerError) else ValueError(f"{self._name}: {error}"))


def _container(event: Json) -> str | None:
    actor: Json = event.get("Actor") or {}
    if str(event.get("Action") or "").startswith(_OF_PROBES) or is_one_off(actor.get("Attributes") or {}):
        return None
    return str(actor.get("ID") or "") or None
