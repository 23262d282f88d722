"""What happens in the engine, as it happens: 1.4 ms from a container's end to the controller (DESIGN)."""

from __future__ import annotations

import contextlib
import http.client
import json
import threading
import urllib.parse
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from reconciler.adapters.engine.errors import EngineError, engine_errors
from reconciler.adapters.transport.streams import end_now
from reconciler.model.engine_socket import socket_path
from reconciler.model.errors import TargetUnreachable
from reconciler.ports import Transport


class EventStream:
    """The engine's events as dicts (`Type`, `Action`, `Actor`, `time`, `timeNano`), over a stream of its own.

    The constructor returns when the engine has accepted the request: what happens after that is not missed. Iterating
    ends after `close`, from any thread, at once. It raises TargetUnreachable when the stream ends by itself: nobody
    who waits for an event may take a lost connection for "nothing happened" (P6).
    """

    def __init__(
        self,
        transport: Transport,
        docker_host: str = "",
        *,
        labels: Sequence[str] = (),
        types: Sequence[str] = ("container",),
        actions: Sequence[str] = (),
        since: datetime | None = None,
        timeout: float = 15.0,
    ) -> None:
        """`labels` are `key` or `key=value`, all of which must be there; no `actions`: all of them.

        `since` also replays what the engine still remembers (its last 256 events). `timeout` in seconds is for
        connecting; a quiet engine is no error.

        Raises TargetUnreachable, TargetTimeout, or EngineError for what the engine refuses.
        """
        self._name, self._path = transport.name, socket_path(docker_host)
        self._closed = threading.Event()
        filters = {"type": list(types), "label": list(labels), "event": list(actions)}
        query: Mapping[str, str] = {"filters": json.dumps({key: value for key, value in filters.items() if value})}
        if since is not None:
            query = {**query, "since": f"{since.timestamp():.9f}"}
        with engine_errors(self._name, self._path):
            self._stream = transport.connect_unix(self._path, timeout=timeout)
            try:
                self._response = self._request(query, timeout)
            except BaseException:
                end_now(self._stream)
                raise
        self._stream.settimeout(None)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        try:
            while line := self._line():
                yield json.loads(line)
        finally:
            self.close()
        if not self._ended_by_us:
            raise TargetUnreachable(f"{self._name}: the engine's event stream ended; is dockerd being restarted?")

    def __enter__(self) -> EventStream:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    _ended_by_us = False

    def close(self) -> None:
        """Ends the stream; a thread that waits for the next event stops at once. Never raises."""
        if self._closed.is_set():
            return
        self._closed.set()
        end_now(self._stream)

    def _line(self) -> bytes:
        """The next event; b"" at the end. The engine writes one JSON object with a newline for each."""
        while not self._closed.is_set():
            try:
                with engine_errors(self._name, self._path):
                    line = self._response.readline()
            except TargetUnreachable:
                if self._closed.is_set():
                    break  # close() is what ended it
                raise
            if not line or line.strip():
                break
        self._ended_by_us = self._closed.is_set()
        return b"" if self._ended_by_us else line

    def _request(self, query: Mapping[str, str], timeout: float) -> http.client.HTTPResponse:
        stream: Any = self._stream
        stream.settimeout(timeout)
        # Without a version the engine answers in its own: the fields of an event are the same since 1.22.
        connection = http.client.HTTPConnection("localhost", timeout=timeout)
        connection.sock = stream
        connection.request("GET", f"/events?{urllib.parse.urlencode(query)}", headers={"Host": "docker"})
        response = connection.getresponse()
        if response.status != http.client.OK:
            with contextlib.suppress(ValueError, AttributeError):  # not JSON: its first line is all we can say
                body = response.read(65536)
                message = json.loads(body).get("message", "")
                raise EngineError(f"{self._name}: the engine refused its events: {message}", status=response.status)
            raise EngineError(f"{self._name}: the engine refused its events", status=response.status)
        return response
