"""Our own TCP socket below SSH: no delays, few system calls, and a dead peer noticed in half a minute."""

from __future__ import annotations

import contextlib
import socket
import sys

_READ_BYTES = 65536
DEAD_PEER_SECONDS = 30
"""A connection whose peer acknowledges nothing for this long is lost (DESIGN: a lock's holder ends 30 s after the last
heartbeat). TCP alone would take a quarter of an hour."""


def connect(host: str, port: int, *, timeout: float) -> TunedSocket:
    """A tuned TCP connection; raises socket.gaierror, TimeoutError or another OSError. `timeout` in seconds."""
    plain = socket.create_connection((host, port), timeout=timeout)
    _option(plain, socket.IPPROTO_TCP, "TCP_NODELAY", 1)
    _option(plain, socket.SOL_SOCKET, "SO_KEEPALIVE", 1)
    _option(plain, socket.IPPROTO_TCP, "TCP_KEEPIDLE", 10)
    _option(plain, socket.IPPROTO_TCP, "TCP_KEEPINTVL", 5)
    _option(plain, socket.IPPROTO_TCP, "TCP_KEEPCNT", 4)
    _option(plain, socket.IPPROTO_TCP, "TCP_USER_TIMEOUT", DEAD_PEER_SECONDS * 1000)
    return TunedSocket(plain)


def _option(plain: socket.socket, level: int, name: str, value: int) -> None:
    """Sets an option where this system has it; the connection also works without."""
    number = getattr(socket, name, None)
    if number is None:
        return
    try:
        plain.setsockopt(level, number, value)
    except OSError:
        return  # known to Python and refused by this kernel: a slower connection is better than none


class TunedSocket:
    """A socket for paramiko that reads ahead and acknowledges at once.

    Linux turns TCP_QUICKACK off again by itself, so it is set after each read: with it and TCP_NODELAY the way from
    nothing to the engine's first answer takes 35 ms instead of 122 (DESIGN, "Where the time goes"). paramiko reads a
    packet in small pieces; reading ahead makes that one system call for many packets.
    """

    def __init__(self, plain: socket.socket) -> None:
        self._plain = plain
        self._ahead = memoryview(b"")
        # sys.platform, too: elsewhere the same number may mean another option
        self._quickack: int | None = getattr(socket, "TCP_QUICKACK", None) if sys.platform == "linux" else None
        self._acknowledge()

    def recv(self, size: int) -> bytes:
        if not self._ahead:
            data = self._plain.recv(max(size, _READ_BYTES))
            self._acknowledge()
            if len(data) <= size:
                return data
            self._ahead = memoryview(data)
        piece = bytes(self._ahead[:size])
        self._ahead = self._ahead[size:]
        return piece

    def send(self, data: bytes) -> int:
        return self._plain.send(data)

    def settimeout(self, seconds: float | None) -> None:
        self._plain.settimeout(seconds)

    def getpeername(self) -> object:
        return self._plain.getpeername()

    @property
    def _closed(self) -> bool:
        """paramiko asks a socket for this when it stops its thread."""
        return self._plain.fileno() < 0

    def close(self) -> None:
        """Also wakes a thread that waits in `recv`, which a plain close doesn't."""
        with contextlib.suppress(OSError):  # not connected any more
            self._plain.shutdown(socket.SHUT_RDWR)
        self._plain.close()

    def _acknowledge(self) -> None:
        if self._quickack is None:
            return
        try:
            self._plain.setsockopt(socket.IPPROTO_TCP, self._quickack, 1)
        except OSError:
            self._quickack = None  # closed meanwhile, or not TCP: the read that follows says so
