"""Connected streams that behave like sockets where HTTP clients look: timeouts, `makefile`, counted closing."""

from __future__ import annotations

import contextlib
import io
import socket
import threading
from abc import ABC, abstractmethod
from typing import Any

from reconciler.model.errors import TakenOver
from reconciler.remote import FENCED


class SocketLike(ABC):
    """A stream with the part of socket.socket that http.client, urllib3 and the docker library use.

    As with a socket, what `makefile` returned stays readable after `close`; the last of them to close ends the stream.
    `recv` raises TimeoutError after `settimeout` seconds and ConnectionError when the way to the target is lost, so
    that b"" always means that the other end finished.
    """

    def __init__(self, timeout: float | None = None) -> None:
        self._timeout = timeout
        self._readers = 0
        self._closing = False
        self._closed = False
        self._closing_lock = threading.Lock()

    @abstractmethod
    def _receive(self, size: int) -> bytes: ...

    @abstractmethod
    def _send(self, data: bytes) -> None: ...

    @abstractmethod
    def _end(self) -> None:
        """Ends the stream for good; wakes a reader in another thread. Never raises."""

    @abstractmethod
    def is_quiet(self) -> bool:
        """Open, and nothing has come that nobody asked for: fit to carry another request."""

    def recv(self, size: int, flags: int = 0, /) -> bytes:
        if self._closed:
            raise OSError("the stream is closed")
        return self._receive(size)

    def recv_into(self, buffer: Any, size: int = 0, /) -> int:
        view = memoryview(buffer).cast("B")
        data = self.recv(size or len(view))
        view[: len(data)] = data
        return len(data)

    def sendall(self, data: Any, flags: int = 0, /) -> None:
        if self._closed:
            raise BrokenPipeError("the stream is closed")
        self._send(bytes(data))

    def send(self, data: Any, flags: int = 0, /) -> int:
        self.sendall(data)
        return len(data)

    def settimeout(self, seconds: float | None, /) -> None:
        self._timeout = seconds

    def gettimeout(self) -> float | None:
        return self._timeout

    def makefile(self, mode: str = "rb", buffering: int | None = None, **_: Any) -> io.BufferedReader:
        """A buffered reader over the stream; only "rb", which is what http.client asks for."""
        if mode not in ("r", "rb"):
            raise ValueError(f"a stream is read by makefile and written by sendall, not opened with mode {mode!r}")
        with self._closing_lock:
            self._readers += 1
        size = buffering if buffering is not None and buffering > 1 else io.DEFAULT_BUFFER_SIZE
        return io.BufferedReader(_Reader(self), size)

    def shutdown(self, how: int, /) -> None:
        """Ends the stream at once, whoever still reads it."""
        with self._closing_lock:
            if self._closed:
                return
            self._closed = True
        self._end()

    def close(self) -> None:
        self._closing = True
        self._close_when_unused()

    def _reader_closed(self) -> None:
        with self._closing_lock:
            self._readers -= 1
        if self._closing:
            self._close_when_unused()

    def _close_when_unused(self) -> None:
        with self._closing_lock:
            if self._readers > 0 or self._closed:
                return
            self._closed = True
        self._end()


class _Reader(io.RawIOBase):
    """What `makefile` buffers. The docker library reaches through it: it looks for `_sock`, `recv` and `sendall`."""

    def __init__(self, stream: SocketLike) -> None:
        self._sock = stream

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any, /) -> int:
        return self._sock.recv_into(buffer)

    def recv(self, size: int, /) -> bytes:
        return self._sock.recv(size)

    def sendall(self, data: bytes, /) -> None:
        self._sock.sendall(data)

    def close(self) -> None:
        if self.closed:
            return
        super().close()
        self._sock._reader_closed()


def end_now(stream: Any) -> None:
    """Ends a stream of ours, or a plain socket, at once: a reader in another thread wakes. Never raises."""
    with contextlib.suppress(OSError):  # it was ended by the other side already, which is what we want
        stream.shutdown(socket.SHUT_RDWR)
    stream.close()


def raise_dial_failure(status: int, stderr: bytes) -> None:
    """Raises PermissionError or ConnectionRefusedError when `dial-stdio` (or sudo before it) ended with a failure.

    Raises TakenOver where that ran under a fence (`remote/fenced.sh`) that was closed to it.
    """
    if status == 0:
        return
    said = stderr.decode(errors="replace").strip().splitlines()
    reason = said[-1] if said else f"exit status {status}"
    if status == FENCED:
        raise TakenOver(reason)
    lowered = reason.lower()
    if "permission denied" in lowered or "password is required" in lowered or "not in the sudoers" in lowered:
        raise PermissionError(reason)
    raise ConnectionRefusedError(reason)
