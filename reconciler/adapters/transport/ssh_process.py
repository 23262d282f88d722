"""A command on a session channel, and streams over channels: event-driven, one thread at most besides the caller's."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable

from reconciler.adapters.transport._paramiko import paramiko
from reconciler.adapters.transport.connection import Connection, ConnectionLost
from reconciler.adapters.transport.streams import SocketLike, raise_dial_failure
from reconciler.model.errors import TargetTimeout, TargetUnreachable
from reconciler.ports import Completed

_READ_BYTES = 1 << 20
_INLINE_BYTES = 32 * 1024
"""Input up to this size fits into any server's window: sending it can't block, and needs no thread."""
WRITE_SECONDS = 10.0
"""The longest wait for a window to send a line to a command."""
_NO_STATUS = -1  # paramiko's word for "none came"


class SshProcess:
    """A running command on a session. `release` is called once, when the session is over."""

    def __init__(
        self, connection: Connection, channel: paramiko.Channel, *, target: str, name: str, release: Callable[[], None]
    ) -> None:
        self._connection, self._channel = connection, channel
        self._target, self._name = target, name
        self._release: Callable[[], None] | None = release
        self._out, self._err = bytearray(), bytearray()
        self._news = threading.Event()
        # Set by paramiko whenever data or the end of either stream comes.
        channel.in_buffer.set_event(self._news)
        channel.in_stderr_buffer.set_event(self._news)
        self._news.set()

    def communicate(self, stdin: bytes, deadline: float, timeout: float) -> Completed:
        """Sends `stdin`, closes it and waits for the end. Raises TargetTimeout and TargetUnreachable.

        `deadline` is in seconds of time.monotonic, `timeout` is what a message says about it.
        """
        self._channel.settimeout(max(0.01, deadline - time.monotonic()))
        if len(stdin) <= _INLINE_BYTES:
            self._feed(stdin)
        else:
            threading.Thread(target=self._feed, args=(stdin,), name=f"stdin-{self._name}", daemon=True).start()
        return self._finish(deadline, timeout)

    def read_line(self, timeout: float) -> bytes:
        deadline = time.monotonic() + timeout
        while b"\n" not in self._out:
            if self._out_ended():
                self._check_connection()
                last, self._out = bytes(self._out), bytearray()
                return last
            self._collect(deadline)
            if b"\n" not in self._out and not self._out_ended() and time.monotonic() >= deadline:
                raise TargetTimeout(f"{self._target}: {self._name}: no line within {timeout:g} s")
        line, _, rest = self._out.partition(b"\n")
        self._out = rest
        return bytes(line)

    def write(self, data: bytes) -> None:
        try:
            self._channel.settimeout(WRITE_SECONDS)
            self._channel.sendall(data)
        except (OSError, EOFError, paramiko.SSHException) as error:
            raise TargetUnreachable(f"{self._target}: {self._name}: it or the connection has ended") from error

    def wait(self, timeout: float) -> Completed:
        deadline = time.monotonic() + timeout
        self._feed(b"")
        return self._finish(deadline, timeout)

    def close(self) -> None:
        self._channel.close()
        if self._release is not None:
            self._release()
            self._release = None

    def _feed(self, stdin: bytes) -> None:
        """Sends `stdin` and its end. A command that doesn't want it all decides that itself, as in a pipe."""
        try:
            if stdin:
                self._channel.sendall(stdin)
            self._channel.shutdown_write()
        except (OSError, EOFError, paramiko.SSHException):
            return  # the command ended first, or the connection did: the exit status, or its absence, tells which

    def _finish(self, deadline: float, timeout: float) -> Completed:
        try:
            while not (self._out_ended() and self._err_ended()):
                self._collect(deadline)
                if time.monotonic() >= deadline and not (self._out_ended() and self._err_ended()):
                    raise self._late(timeout)
            if not self._channel.status_event.wait(max(0.0, deadline - time.monotonic())):
                raise self._late(timeout)
            status = self._channel.exit_status
            if status == _NO_STATUS:
                self._check_connection()
                raise TargetUnreachable(f"{self._target}: {self._name}: the server ended it without an exit status")
            return Completed(status, bytes(self._out), bytes(self._err))
        except TargetUnreachable:
            raise
        except BaseException:
            self._kill()  # Ctrl-C: nothing of ours goes on behind the caller's back
            raise
        finally:
            self.close()

    def _late(self, timeout: float) -> TargetTimeout:
        self._kill()
        return TargetTimeout(f"{self._target}: {self._name}: still running after {timeout:g} s; given up")

    def _kill(self) -> None:
        """Ends what runs there, as far as the server lets us, so that nothing is changed behind our back."""
        with contextlib.suppress(ConnectionLost):  # then nothing can be sent; what led here is the news
            self._connection.send_signal(self._channel, "KILL")

    def _collect(self, deadline: float) -> None:
        """Takes what has come; or waits until something comes, or `deadline`.

        The event is cleared before looking, and nothing is read between looking and waiting (a read that empties a
        buffer clears the event, which both buffers share): what comes after the look ends the wait.
        """
        self._news.clear()
        out, err = self._channel.recv_ready(), self._channel.recv_stderr_ready()
        if out:
            self._out += self._channel.recv(_READ_BYTES)
        if err:
            self._err += self._channel.recv_stderr(_READ_BYTES)
        if not (out or err or self._over()):
            self._news.wait(max(0.0, deadline - time.monotonic()))

    def _out_ended(self) -> bool:
        return self._over() and not self._channel.recv_ready()

    def _err_ended(self) -> bool:
        return self._over() and not self._channel.recv_stderr_ready()

    def _over(self) -> bool:
        return bool(self._channel.eof_received or self._channel.closed)

    def _check_connection(self) -> None:
        if not self._connection.is_active():
            raise TargetUnreachable(f"{self._target}: {self._name}: connection lost; how it ended is unknown")


class ChannelStream(SocketLike):
    """A forwarded socket: a channel as a stream."""

    def __init__(self, connection: Connection, channel: paramiko.Channel, timeout: float | None) -> None:
        super().__init__(timeout)
        self._connection, self._channel = connection, channel

    def _receive(self, size: int) -> bytes:
        self._channel.settimeout(self._timeout)
        data = self._channel.recv(size)  # its socket.timeout is TimeoutError
        if not data and not self._closed and not self._connection.is_active():
            raise ConnectionResetError("the SSH connection was lost")
        return data

    def _send(self, data: bytes) -> None:
        self._channel.settimeout(self._timeout)
        try:
            self._channel.sendall(data)
        except (EOFError, paramiko.SSHException) as error:
            raise BrokenPipeError("the SSH connection was lost") from error

    def is_quiet(self) -> bool:
        channel = self._channel
        return not (self._closed or channel.closed or channel.eof_received or channel.recv_ready())

    def _end(self) -> None:
        self._channel.close()


class DialStream(ChannelStream):
    """The standard input and output of `docker system dial-stdio` on a session.

    `proved` is called once, when its first bytes show that this way works. A failure of the command is raised by `recv`
    and by `sendall`, whichever meets it first, as PermissionError or ConnectionRefusedError, with what it said.
    """

    def __init__(
        self,
        connection: Connection,
        channel: paramiko.Channel,
        timeout: float | None,
        *,
        proved: Callable[[], None],
        release: Callable[[], None],
    ) -> None:
        super().__init__(connection, channel, timeout)
        self._proved: Callable[[], None] | None = proved
        self._release = release

    def _receive(self, size: int) -> bytes:
        data = super()._receive(size)
        if data and self._proved is not None:
            self._proved()
            self._proved = None
        if not data and not self._closed:
            self._raise_if_failed()
        return data

    def _send(self, data: bytes) -> None:
        try:
            super()._send(data)
        except TimeoutError:
            raise
        except OSError:
            self._raise_if_failed()
            raise

    def _raise_if_failed(self) -> None:
        """The end of its output is the end of the stream, unless the command says that it failed."""
        if not self._channel.status_event.wait(5.0):
            return  # it closed its output and lives on: a plain end of the stream
        status = self._channel.exit_status
        if status != _NO_STATUS:
            raise_dial_failure(status, self._said())

    def _said(self) -> bytes:
        said = bytearray()
        while self._channel.recv_stderr_ready():
            said += self._channel.recv_stderr(_READ_BYTES)
        return bytes(said)

    def _end(self) -> None:
        self._channel.close()
        self._release()
