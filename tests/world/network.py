"""Threads in another network namespace, and a TCP forwarder between two of them that can go dark."""

from __future__ import annotations

import ctypes
import os
import secrets
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from functools import partial
from pathlib import Path

_CLONE_NEWNET = 0x40000000  # linux/sched.h
_LIBC = ctypes.CDLL(None, use_errno=True)

Place = Callable[[], AbstractContextManager[None]]
"""Where sockets are made: `here`, or a namespace's `inside`."""


@contextmanager
def inside(pid: int) -> Iterator[None]:
    """The calling thread uses the network of process `pid`; sockets made here keep it after the block."""
    home = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    try:
        there = os.open(f"/proc/{pid}/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        try:
            _enter(there)
        finally:
            os.close(there)
        try:
            yield
        finally:
            _enter(home)
    finally:
        os.close(home)


def here() -> AbstractContextManager[None]:
    """The network that the calling thread has anyway."""
    return nullcontext()


def free_port() -> int:
    """A TCP port of 127.0.0.1 that nothing listens on, in the calling thread's network.

    It lies below the range from which the kernel picks the ports of clients, so none of these takes it meanwhile.
    """
    while True:
        port = 20000 + secrets.randbelow(12000)
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


def _enter(namespace: int) -> None:
    if _LIBC.setns(namespace, _CLONE_NEWNET) != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"setns: {os.strerror(number)}")


class Forwarder:
    """127.0.0.1:`port` in `listen` leads to 127.0.0.1:`port` in `connect`, and can go dark as a network does."""

    def __init__(self, port: int, *, listen: Place, connect: Place) -> None:
        self.port = port
        self._connect = connect
        self._flowing = threading.Event()
        self._flowing.set()
        self._closed = False
        self._open: set[socket.socket] = set()
        self._lock = threading.Lock()
        with listen():
            self._listener = socket.create_server(("127.0.0.1", port), backlog=128)
        self._run(self._accept)

    def go_dark(self) -> None:
        """Carry no byte more and answer nobody, but keep every connection: a cable that was cut."""
        self._flowing.clear()

    def light_up(self) -> None:
        """Carry on, with what was sent meanwhile."""
        self._flowing.set()

    def reset(self) -> None:
        """Reset every open connection; new ones are served."""
        with self._lock:
            doomed, self._open = self._open, set()
        for connection in doomed:
            with suppress(OSError):
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                connection.shutdown(socket.SHUT_RD)  # wakes the thread that reads it
            connection.close()

    def close(self) -> None:
        """Stop listening and reset what is open."""
        self._closed = True
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.reset()
        self._flowing.set()

    def _accept(self) -> None:
        while not self._closed:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return  # closed
            self._run(partial(self._serve, client))

    def _serve(self, client: socket.socket) -> None:
        self._keep(client)
        self._flowing.wait()
        try:
            with self._connect():
                server = socket.create_connection(("127.0.0.1", self.port), timeout=5)
        except OSError:
            self._drop(client)
            return
        server.settimeout(None)
        self._keep(server)
        back = self._run(lambda: self._pump(server, client))
        self._pump(client, server)
        back.join()
        self._drop(client)
        self._drop(server)

    def _pump(self, source: socket.socket, sink: socket.socket) -> None:
        with suppress(OSError):
            while chunk := source.recv(65536):
                self._flowing.wait()
                sink.sendall(chunk)
        with suppress(OSError):
            sink.shutdown(socket.SHUT_WR)

    def _keep(self, connection: socket.socket) -> None:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with self._lock:
            self._open.add(connection)

    def _drop(self, connection: socket.socket) -> None:
        with self._lock:
            self._open.discard(connection)
        connection.close()

    def _run(self, work: Callable[[], None]) -> threading.Thread:
        thread = threading.Thread(target=work, name=f"forward-{self.port}", daemon=True)
        thread.start()
        return thread


def process_inside(pid_inside: int, *, of: int) -> int:
    """This side's id of a process that the process namespace of `of` knows as `pid_inside`. Raises LookupError."""
    namespace = Path(f"/proc/{of}/ns/pid").readlink()
    for entry in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            status = (entry / "status").read_text(errors="replace")  # it has the name, cut off anywhere
            numbers = next(line for line in status.splitlines() if line.startswith("NSpid:")).split()
            if int(numbers[-1]) == pid_inside and (entry / "ns" / "pid").readlink() == namespace:
                return int(entry.name)
    raise LookupError(f"no process {pid_inside} in the process namespace of {of}")
