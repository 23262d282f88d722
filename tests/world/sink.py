"""A real HTTP server that takes whatever it is sent, or doesn't."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass(frozen=True)
class Request:
    method: str
    path: str
    headers: Mapping[str, str]
    body: Any


@dataclass
class Sink:
    """`status` and `answer` are what it answers with (`headers` with it); `hangs`: it doesn't, until it is closed.
    `got` are the requests that it answered with less than 300."""

    port: int
    status: int = 200
    answer: str = "{}"
    headers: dict[str, str] = field(default_factory=dict)
    hangs: bool = False
    got: list[Request] = field(default_factory=list)
    asked: int = 0
    """Requests in all."""
    changed: threading.Condition = field(default_factory=threading.Condition)
    closed: threading.Event = field(default_factory=threading.Event)

    def wait_for(self, count: int, *, seconds: float = 30.0) -> list[Request]:
        """What it took, once that are so many."""
        end = time.monotonic() + seconds
        with self.changed:
            while len(self.got) < count:
                left = end - time.monotonic()
                assert left > 0, f"{len(self.got)} of {count} requests within {seconds} s: {self.titles()}"
                self.changed.wait(left)
            return list(self.got)

    def wait_until_asked(self, count: int, *, seconds: float = 30.0) -> None:
        """Until so many requests came, taken or not."""
        end = time.monotonic() + seconds
        with self.changed:
            while self.asked < count:
                left = end - time.monotonic()
                assert left > 0, f"{self.asked} of {count} requests within {seconds} s"
                self.changed.wait(left)

    def titles(self) -> list[str]:
        """The titles of what Apprise's `json://` brought."""
        return [each.body["title"] for each in self.got]


@contextmanager
def sink(port: int = 0) -> Iterator[Sink]:
    """Listens on loopback, at `port` or any free one."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            data = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            with there.changed:
                there.asked += 1
                there.changed.notify_all()
            if there.hangs:
                there.closed.wait()
                return
            with there.changed:
                if there.status < 300:
                    body = json.loads(data) if data else None
                    there.got.append(Request(self.command, self.path, dict(self.headers), body))
                self.send_response(there.status)
                for name, value in there.headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(there.answer)))
                self.end_headers()
                self.wfile.write(there.answer.encode())
                there.changed.notify_all()

        do_GET = do_POST  # noqa: N815 - the library's name

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the library's name
            return

    server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    server.daemon_threads = True
    there = Sink(server.server_address[1])
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield there
    finally:
        there.closed.set()
        server.shutdown()
        server.server_close()
        thread.join()
