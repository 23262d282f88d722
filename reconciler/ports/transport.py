"""The way to a target: commands and sockets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from reconciler.dataclass import dataclass


@dataclass(frozen=True, slots=True)
class Completed:
    """A command that ran to its end on a target.

    `status` is its exit status (128 + n where signal n ended it); `stdout` and `stderr` are as they came: they may
    quote env values, so whoever shows them redacts them first.
    """

    status: int
    stdout: bytes
    stderr: bytes


class RemoteProcess(Protocol):
    """A command that is still running on a target, its standard input open."""

    def read_line(self, timeout: float) -> bytes:
        """The next line of its standard output, without the newline; b"" at its end.

        Raises TargetTimeout after `timeout` seconds, TargetUnreachable when the connection is lost.
        """

    def write(self, data: bytes) -> None:
        """Sends `data` to its standard input, at once. Raises TargetUnreachable when it ended or the way to it did."""

    def wait(self, timeout: float) -> Completed:
        """Closes its standard input and waits for its end; the output is what `read_line` has not taken."""

    def close(self) -> None:
        """Drops it: its standard input ends and its output is read no more. Never raises."""


class Stream(Protocol):
    """The part of a connected socket that HTTP clients need (socket.socket and a paramiko Channel both have it)."""

    def sendall(self, data: bytes, /) -> None: ...
    def recv(self, size: int, /) -> bytes: ...
    def settimeout(self, seconds: float | None, /) -> None: ...
    def close(self) -> None: ...


class Transport(Protocol):
    """One authenticated way to one target. Commands are lists and are quoted here, once.

    Every method raises TargetUnreachable when the target is out of reach or the connection is lost, and
    TargetTimeout when a deadline (seconds) passes. Connecting happens at the first use and may raise LoginRefused.
    A connection that is lost stays lost, and so does a closed one: a pass whose lock went with its connection must not
    go on over another (P7). Thread-safe; at most 8 commands run at a time on one connection, more wait.
    """

    @property
    def name(self) -> str:
        """For messages: `local`, or `user@host:port`."""

    def run(
        self,
        command: Sequence[str],
        *,
        stdin: bytes = b"",
        env: Mapping[str, str] | None = None,
        timeout: float = 60.0,
    ) -> Completed:
        """Runs `command` to its end, in the home directory of the login.

        `env` adds to its environment (never secrets: they go by `stdin`). A command that can't be found ends with 127,
        as in a shell. One that outlives `timeout` seconds raises TargetTimeout; it is killed where that can be done.
        Raises ValueError for a NUL in an argument.
        """

    def start(self, command: Sequence[str]) -> RemoteProcess:
        """Starts `command` and returns while it runs."""

    def dial(self, command: Sequence[str], *, timeout: float = 10.0) -> Stream:
        """Standard input and output of `command` as a stream: closing it ends its input, and lets it come to its end.

        A command that fails makes `recv` and `sendall` raise PermissionError or ConnectionRefusedError with what it
        said, or TakenOver where it says that the target belongs to another. `timeout` in seconds.
        """

    def connect_unix(self, path: str, *, timeout: float = 10.0) -> Stream:
        """A stream to the Unix socket `path` on the target (the Docker API).

        Falls back to `docker system dial-stdio` where the server forbids forwarding or `sudo` is on. A socket that
        can't be opened raises FileNotFoundError, PermissionError, ConnectionRefusedError or another OSError: here, or
        from the first `recv` where the fallback finds it out.
        """

    def connect_tcp(self, host: str, port: int, *, timeout: float = 10.0) -> Stream:
        """A stream to `host:port` as the target sees it (127.0.0.1 is the target).

        Raises ConnectionRefusedError, TimeoutError or OSError when the target could not connect, PermissionError when
        its sshd forbids forwarding, and TargetUnreachable when our own connection is lost.
        """

    def close(self) -> None:
        """Ends the connection. Never raises."""
