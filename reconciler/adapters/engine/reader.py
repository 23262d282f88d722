"""Looking at the engine without the docker library, which takes 0.1 s to import: a pass with nothing to do only looks.

Many questions take about one round trip: they go out together, and the answers come back in their order. Twenty
inspections take 5 ms so, and 29 ms one after another (loopback); threads don't help, because the time is spent in the
interpreter. Source: RFC 9112, 9.3.2; the engine's server takes one request after the other off a connection.
"""

from __future__ import annotations

import http.client
import json
import select
import threading
from collections.abc import Sequence
from typing import Any

from reconciler.adapters.engine.errors import EngineError
from reconciler.adapters.transport.streams import end_now
from reconciler.dataclass import dataclass
from reconciler.model.errors import TargetUnfit
from reconciler.ports import Stream, Transport

_OLDEST_API = (1, 25)
"""Docker 1.13: the first with the API that Compose v2 needs."""
_NEWEST_API = (1, 47)
"""Docker 27: the newest whose answers we know. A newer engine is asked in this version, which it still speaks."""
_AT_ONCE = 32
"""Requests on their way at a time: few enough that sending them never waits for somebody to read the answers."""
_DIAL_SECONDS = 15.0


@dataclass(frozen=True, slots=True)
class Answer:
    """What the engine answered to one request; `api` is the newest version of the API that it speaks."""

    status: int
    body: bytes
    api: str = ""

    @property
    def is_missing(self) -> bool:
        """There is no such thing, or no more."""
        return self.status == http.client.NOT_FOUND

    def json(self, name: str) -> Any:
        """Its content. Raises EngineError where it was refused; `name` of the target is for the message."""
        if self.status >= http.client.BAD_REQUEST:
            raise EngineError(f"{name}: the engine refused ({self.status}): {self._said}", status=self.status)
        return json.loads(self.body)

    @property
    def _said(self) -> str:
        try:
            return str(json.loads(self.body)["message"])
        except (ValueError, KeyError, TypeError):
            return self.body[:200].decode("utf-8", "replace")


class Reader:
    """GETs over a stream that is kept. Thread-safe: whoever comes meanwhile gets a stream of his own.

    Raises what `engine_errors` expects. `timeout` is in seconds, for each wait.
    """

    def __init__(self, transport: Transport, path: str, timeout: float) -> None:
        self.name = transport.name
        self._transport = transport
        self._path = path
        self._timeout = timeout
        self._lock = threading.Lock()
        self._negotiating = threading.Lock()
        self._version: str | None = None
        self._kept: Stream | None = None

    @property
    def version(self) -> str:
        """Of the API, that the engine and we both speak; asked for once. Raises TargetUnfit where there is none."""
        with self._negotiating:
            if self._version is None:
                self._version = self._negotiate()
            return self._version

    def get(self, path: str) -> Any:
        """The content at a path (`/containers/…`). Raises EngineError where it is refused."""
        return self.get_all([path])[0].json(self.name)

    def get_all(self, paths: Sequence[str]) -> list[Answer]:
        """The answers to GET of these paths, in their order."""
        version = self.version
        return self._ask([f"/v{version}{path}" for path in paths])

    def close(self) -> None:
        """Drops the kept stream; the next question makes a new one."""
        with self._lock:
            stream, self._kept = self._kept, None
        if stream is not None:
            end_now(stream)

    def _negotiate(self) -> str:
        [answer] = self._ask(["/_ping"])
        theirs = _parsed(answer.api)
        if theirs is None:
            raise TargetUnfit(f"{self.name}: what answers at {self._path} is no Docker engine")
        if theirs < _OLDEST_API:
            raise TargetUnfit(f"{self.name}: the engine is too old (API {_text(theirs)}); update Docker")
        if theirs <= _NEWEST_API:
            return _text(theirs)
        [about] = self._ask(["/version"])
        lowest = _parsed(about.json(self.name).get("MinAPIVersion", "")) or _NEWEST_API
        return _text(max(_NEWEST_API, lowest))

    def _ask(self, paths: Sequence[str]) -> list[Answer]:
        answers = list[Answer]()
        while len(answers) < len(paths):
            stream = self._take()
            try:
                stream.settimeout(self._timeout)
                ended = False
                while len(answers) < len(paths) and not ended:
                    ended = _exchange(stream, paths[len(answers) : len(answers) + _AT_ONCE], answers)
            except BaseException:
                end_now(stream)
                raise
            if ended or not self._kept_for_the_next(stream):
                end_now(stream)
        return answers

    def _take(self) -> Stream:
        with self._lock:
            stream, self._kept = self._kept, None
        if stream is not None:
            if _is_quiet(stream):
                return stream
            end_now(stream)
        return self._transport.connect_unix(self._path, timeout=min(self._timeout, _DIAL_SECONDS))

    def _kept_for_the_next(self, stream: Stream) -> bool:
        with self._lock:
            if self._kept is None:
                self._kept = stream
            return self._kept is stream


def _is_quiet(stream: Any) -> bool:
    """Open, and nothing has come that nobody asked for. Only a plain socket can be polled."""
    if hasattr(stream, "is_quiet"):
        return bool(stream.is_quiet())
    return not select.select([stream], [], [], 0)[0]


def _exchange(stream: Any, paths: Sequence[str], answers: list[Answer]) -> bool:
    """Adds an answer to each path; True where the other side ends the connection, perhaps before the last."""
    stream.sendall("".join(f"GET {path} HTTP/1.1\r\nHost: docker\r\n\r\n" for path in paths).encode("ascii"))
    with stream.makefile("rb") as reader:
        shared: Any = _Shared(reader)
        for _ in paths:
            response = http.client.HTTPResponse(shared, method="GET")
            try:
                response.begin()
                answers.append(Answer(response.status, response.read(), response.headers.get("Api-Version", "")))
            except http.client.HTTPException as error:
                raise ConnectionResetError("an answer of the engine was cut off") from error
            if response.will_close:
                return True
    return False


class _Shared:
    """One reader for responses that follow each other: each thinks that it opens and closes one of its own."""

    def __init__(self, reader: Any) -> None:
        self._reader = reader
        self.readline, self.read, self.readinto = reader.readline, reader.read, reader.readinto

    def makefile(self, *_: Any) -> _Shared:
        return self

    def close(self) -> None:
        return

    def flush(self) -> None:
        return


def _parsed(version: str) -> tuple[int, int] | None:
    major, _, minor = version.partition(".")
    return (int(major), int(minor)) if major.isdigit() and minor.isdigit() else None


def _text(version: tuple[int, int]) -> str:
    return f"{version[0]}.{version[1]}"
