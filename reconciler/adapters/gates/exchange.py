"""One HTTP GET over any stream, with a deadline for the whole of it. The only user of http.client and ssl here."""

from __future__ import annotations

import http.client
import io
import ssl
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, TypeVar
from urllib.parse import SplitResult, quote, urlsplit

from reconciler.adapters.gates.reach import Deadline, Unreached, connected
from reconciler.dataclass import dataclass
from reconciler.ports import Stream, Transport

BODY_BYTES = 64 * 1024
"""What is read of a body at most: its beginning says what is wrong."""
_RECORD_BYTES = 16384
_PLAIN_IN_URL = "/%:=&?~+!$,;'@()*[]-._"

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Answer:
    """A status, where a redirect points (not followed), and the beginning of the body as text. `whole` is False where
    the body is longer than what was read of it, or was cut off."""

    status: int
    location: str
    body: str
    whole: bool = True


def ask(
    url: str,
    deadline: Deadline,
    vantage: Transport | None,
    *,
    headers: Mapping[str, str] = MappingProxyType({}),
    most: int = BODY_BYTES,
) -> Answer:
    """GET `url` from the target of `vantage`, or from the controller where it is None; reads `most` bytes of its body.

    Certificates are checked against the controller's trust store and the URL's host name, from the target too.
    Raises Unreached (refused, reset, late, no HTTP, no trust), Unmeasurable, and TargetUnreachable.
    """
    parts = urlsplit(url)
    tls = parts.scheme == "https"
    host, port = parts.hostname or "", parts.port or (443 if tls else 80)
    try:
        with connected(host, port, deadline, vantage) as plain:
            timed = _Timed(plain, deadline)
            return _get(_Tls(timed, host) if tls else timed, parts, port, headers, most)
    except http.client.HTTPException as error:
        raise Unreached(f"no HTTP answer: {type(error).__name__}: {error}") from error


def _get(stream: _Timed | _Tls, parts: SplitResult, port: int, headers: Mapping[str, str], most: int) -> Answer:
    connection = http.client.HTTPConnection(parts.hostname or "", port)
    connection.default_port = 443 if parts.scheme == "https" else 80  # the port that Host leaves out
    connection.sock = _SocketLike(stream)
    path = quote(parts.path or "/", safe=_PLAIN_IN_URL) + (
        f"?{quote(parts.query, safe=_PLAIN_IN_URL)}" if parts.query else ""
    )
    sent = {"User-Agent": "reconciler", "Accept": "*/*", "Connection": "close", **headers}
    connection.request("GET", path, headers=sent)
    response = connection.getresponse()
    announced = response.length
    body = response.read(most + 1)
    whole = len(body) <= most and announced in {None, len(body)}
    return Answer(response.status, response.getheader("Location") or "", body[:most].decode("utf-8", "replace"), whole)


class _Timed:
    """A stream each of whose operations gets what is left of the deadline: a slow drip ends with it."""

    def __init__(self, stream: Stream, deadline: Deadline) -> None:
        self._stream = stream
        self._deadline = deadline

    def sendall(self, data: bytes, /) -> None:
        self._stream.settimeout(self._deadline.left())
        self._stream.sendall(data)

    def recv(self, size: int, /) -> bytes:
        self._stream.settimeout(self._deadline.left())
        return self._stream.recv(size)


class _Tls:
    """TLS over a stream that isn't a socket. Raises ssl.SSLError, which is an OSError."""

    def __init__(self, stream: _Timed, host: str) -> None:
        self._stream = stream
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = ssl.create_default_context().wrap_bio(self._incoming, self._outgoing, server_hostname=host)
        self._drive(self._tls.do_handshake)

    def sendall(self, data: bytes, /) -> None:
        view = memoryview(data)
        while view:
            view = view[self._drive(lambda rest=view: self._tls.write(rest)) :]  # type: ignore[misc]

    def recv(self, size: int, /) -> bytes:
        try:
            return self._drive(lambda: self._tls.read(size))
        except (ssl.SSLZeroReturnError, ssl.SSLEOFError):
            return b""

    def _drive(self, action: Callable[[], T]) -> T:
        """Repeats `action` until it needs nothing more from the other end."""
        while True:
            try:
                result = action()
            except ssl.SSLWantReadError:
                self._flush()
                if data := self._stream.recv(_RECORD_BYTES):
                    self._incoming.write(data)
                else:
                    self._incoming.write_eof()
            else:
                self._flush()
                return result

    def _flush(self) -> None:
        if data := self._outgoing.read():
            self._stream.sendall(data)


class _SocketLike:
    """What http.client asks of a socket. `close` does nothing: it is called before the body is read."""

    def __init__(self, stream: _Timed | _Tls) -> None:
        self._stream = stream

    def sendall(self, data: bytes) -> None:
        self._stream.sendall(data)

    def makefile(self, *_: Any, **__: Any) -> io.BufferedReader:
        return io.BufferedReader(_Reader(self._stream))

    def close(self) -> None:
        return None


class _Reader(io.RawIOBase):
    def __init__(self, stream: _Timed | _Tls) -> None:
        self._stream = stream

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any, /) -> int:
        data = self._stream.recv(len(buffer))
        buffer[: len(data)] = data
        return len(data)
