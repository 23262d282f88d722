"""A real pass in this process, its way to the target numbered step by step; at one of the steps it stops for a fault.

The transports beneath are the real ones. An *index* is one of:

- a remote command, before it is sent, at half of its time (`--delay`), and after it was answered;
- a connection to a socket on the target, before and after;
- a request to the Docker API that isn't a GET or a HEAD, before it is sent and when its answer begins to come.

Its name (`commit#2 before`) counts what is named alike, so it stays the same where threads come in another order.
`tests.faults.passes` starts this and speaks with it over an inherited socket, in lines of JSON.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import select
import signal
import socket
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from reconciler.adapters.controller import SystemClock
from reconciler.adapters.transport import net
from reconciler.adapters.transport.streams import SocketLike, end_now
from reconciler.cli.main import main as reconcile
from reconciler.model.target import Target
from reconciler.ports import Completed, RemoteProcess, Stream, Transport
from reconciler.wiring import desk as wiring

_SCRIPT = re.compile(r"reconciler-(\w+)")
_REQUEST = re.compile(rb"(?:POST|PUT|DELETE) /\S+ HTTP/1\.1\r\n")
_ID = re.compile(r"[0-9a-f]{12,}")


@dataclass
class Points:
    """The steps so far, and the name of the one to stop at. `dies` says that this process kills itself there;
    otherwise it tells the harness and waits to be told to go on."""

    channel: socket.socket
    at: str
    dies: bool
    delay: float
    _seen: Counter[str] = field(default_factory=Counter)
    _number: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def named(self, what: str) -> str:
        """`what`, told apart from those before it."""
        with self._lock:
            self._seen[what] += 1
            return f"{what}#{self._seen[what]}"

    def reach(self, name: str, moment: str, **more: float) -> None:
        """One index: told to the harness, and stopped at where it is the one."""
        if self._tell(name, moment, **more):
            self._stop()

    @contextmanager
    def during(self, name: str) -> Iterator[None]:
        """The block is a command: the index in its middle is reached after `delay` seconds, or at its end."""
        turn, told = threading.Lock(), False

        def middle(**more: float) -> None:
            nonlocal told
            with turn:  # whoever comes second waits until the first was told to go on
                if not told:
                    told = True
                    self.reach(name, "during", **more)

        timer = threading.Timer(self.delay, middle) if self.at == f"{name} during" else None
        if timer:
            timer.start()
        began = time.monotonic()
        try:
            yield
        except BaseException:
            if timer:
                timer.cancel()
            raise
        middle(seconds=round(time.monotonic() - began, 4))

    def _tell(self, name: str, moment: str, **more: float) -> bool:
        with self._lock:
            self._number += 1
            label = f"{name} {moment}"
            chosen = label == self.at
            self.channel.sendall(_line({"index": self._number, "name": label, "chosen": chosen, **more}))
        return chosen

    def _stop(self) -> None:
        if self.dies:
            os.kill(os.getpid(), signal.SIGKILL)
        self.channel.recv(1)  # told to go on; or the harness is gone, and then nothing matters


class Numbered:
    """A transport whose every use is an index."""

    def __init__(self, inner: Transport, points: Points) -> None:
        self._inner, self._points = inner, points

    @property
    def name(self) -> str:
        return self._inner.name

    def run(
        self,
        command: Sequence[str],
        *,
        stdin: bytes = b"",
        env: Mapping[str, str] | None = None,
        timeout: float = 60.0,
    ) -> Completed:
        name = self._points.named(_label(command))
        self._points.reach(name, "before")
        with self._points.during(name):
            done = self._inner.run(command, stdin=stdin, env=env, timeout=timeout)
        self._points.reach(name, "after")
        return done

    def start(self, command: Sequence[str]) -> RemoteProcess:
        name = self._points.named(_label(command))
        self._points.reach(name, "before")
        process = self._inner.start(command)
        self._points.reach(name, "sent")
        return _Process(process, lambda: self._points.reach(name, "after"))

    def dial(self, command: Sequence[str], *, timeout: float = 10.0) -> Stream:
        name = self._points.named(f"dial {_label(command)}")
        self._points.reach(name, "before")
        stream = self._inner.dial(command, timeout=timeout)
        self._points.reach(name, "after")
        return _Stream(stream, self._points)

    def connect_unix(self, path: str, *, timeout: float = 10.0) -> Stream:
        name = self._points.named("connect engine")
        self._points.reach(name, "before")
        stream = self._inner.connect_unix(path, timeout=timeout)
        self._points.reach(name, "after")
        return _Stream(stream, self._points)

    def connect_tcp(self, host: str, port: int, *, timeout: float = 10.0) -> Stream:
        name = self._points.named("connect tcp")
        self._points.reach(name, "before")
        stream = self._inner.connect_tcp(host, port, timeout=timeout)
        self._points.reach(name, "after")
        return stream

    def close(self) -> None:
        self._inner.close()


class _Process:
    """A running command; its first line is its answer."""

    def __init__(self, inner: RemoteProcess, answered: Any) -> None:
        self._inner, self._answered = inner, answered

    def read_line(self, timeout: float) -> bytes:
        line = self._inner.read_line(timeout)
        if self._answered and (not line or line.startswith(b"end ")):
            answered, self._answered = self._answered, None
            answered()
        return line

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)


class _Stream(SocketLike):
    """A stream to the engine: requests that change something are indices, and so are their answers."""

    def __init__(self, inner: Any, points: Points) -> None:
        super().__init__()
        self._inner, self._points = inner, points
        self._asked = ""

    def settimeout(self, seconds: float | None, /) -> None:
        self._inner.settimeout(seconds)

    def is_quiet(self) -> bool:
        if isinstance(self._inner, SocketLike):
            return self._inner.is_quiet()
        return not select.select([self._inner], [], [], 0)[0]

    def _receive(self, size: int) -> bytes:
        data: bytes = self._inner.recv(size)
        if self._asked:
            asked, self._asked = self._asked, ""
            self._points.reach(asked, "after")
        return data

    def _send(self, data: bytes) -> None:
        if _REQUEST.match(data):
            method, path, *_ = data.split(None, 2)
            self._asked = self._points.named(f"{method.decode()} {_route(path.decode())}")
            self._points.reach(self._asked, "before")
        self._inner.sendall(data)

    def _end(self) -> None:
        end_now(self._inner)


def main(argv: Sequence[str] | None = None) -> int:
    """`python -m tests.faults.controller --channel FD [options] -- ARGUMENTS`: `reconcile ARGUMENTS`, numbered."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults.controller")
    parser.add_argument("--channel", type=int, required=True, help="an inherited socket to the harness")
    parser.add_argument("--at", default="", help="the name of the index to stop at")
    parser.add_argument("--dies", action="store_true", help="SIGKILL itself there")
    parser.add_argument("--delay", type=float, default=0.0, help="seconds to the middle of the command")
    parser.add_argument("--clock", type=Path, help="a file with the seconds by which the clock is wrong")
    parser.add_argument("--dead-peer", type=int, help="seconds until a silent peer is dead, instead of the product's")
    parser.add_argument("--plain", action="store_true", help="no numbers, no fault")
    parser.add_argument("arguments", nargs="*")
    asked = parser.parse_args(argv)
    channel = socket.socket(fileno=asked.channel)
    channel.set_inheritable(False)
    channel.sendall(_line({"pid": os.getpid()}))
    if asked.dead_peer:
        net.DEAD_PEER_SECONDS = asked.dead_peer
    if asked.clock:
        _move_clock(asked.clock)
    if not asked.plain:
        _number(Points(channel, asked.at, asked.dies, asked.delay))
    return reconcile(asked.arguments)


def _number(points: Points) -> None:
    real = wiring.transport_to

    def transport_to(name: str, target: Target) -> Transport:
        return Numbered(real(name, target), points)

    wiring.transport_to = transport_to


def _move_clock(file: Path) -> None:
    real = SystemClock.now

    def now(self: SystemClock) -> datetime:
        return real(self) + timedelta(seconds=int(file.read_text() or 0))

    SystemClock.now = now  # type: ignore[method-assign]


def _label(command: Sequence[str]) -> str:
    for word in command[:8]:
        if found := _SCRIPT.fullmatch(word):
            return found[1]
    return " ".join(Path(word).name for word in command[:2])[:40]


def _route(path: str) -> str:
    """An API path without the version, ids, names of ours and the query."""
    parts = path.partition("?")[0].split("/")[1:]
    parts = parts[1:] if parts[0].startswith("v") else parts
    return "/" + "/".join("*" if _ID.search(part) or ":" in part else part for part in parts)


def _line(message: Mapping[str, object]) -> bytes:
    return json.dumps(message).encode() + b"\n"


if __name__ == "__main__":
    sys.exit(main())
