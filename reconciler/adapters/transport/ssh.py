"""The transport over SSH: one authenticated connection for commands and sockets."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence

from reconciler.adapters.transport import ssh_connect
from reconciler.adapters.transport._paramiko import paramiko
from reconciler.adapters.transport.command import argument_list, dial_stdio, label, shell_line
from reconciler.adapters.transport.connection import (
    ADMINISTRATIVELY_PROHIBITED,
    CONNECT_FAILED,
    UNKNOWN_TYPE,
    ChannelRefused,
    Connection,
    ConnectionLost,
)
from reconciler.adapters.transport.sessions import SESSIONS, Sessions
from reconciler.adapters.transport.ssh_config import Hop, route
from reconciler.adapters.transport.ssh_process import ChannelStream, DialStream, SshProcess
from reconciler.adapters.transport.ssh_settings import SshSettings
from reconciler.adapters.transport.streamlocal import open_streamlocal, open_tcp
from reconciler.model.errors import TargetTimeout, TargetUnreachable
from reconciler.ports import Completed, RemoteProcess, Stream

_OPEN_SECONDS = 30.0
_LONGEST_PAUSE_ALONE = 0.5


class SshTransport:
    """Connects at the first use. A connection that is lost stays lost: make a new transport for the next pass.

    (Reconnecting in the middle would let a pass go on after the lock that it held on the old connection went to another
    controller: P7.) Commands start in the home directory of the login. Thread-safe.
    """

    def __init__(self, settings: SshSettings) -> None:
        self._settings = settings
        self._lock = threading.Lock()
        self._hops: tuple[Hop, ...] = ()
        self._connections: tuple[Connection, ...] = ()
        self._closed = False
        self._sessions = Sessions(SESSIONS)
        self._dialled_paths: set[str] = set()
        self._forwarding_refused = False

    @property
    def name(self) -> str:
        """`user@host:port`. Raises LoginRefused where the ssh configuration can't be read."""
        return self._target.name

    def run(
        self,
        command: Sequence[str],
        *,
        stdin: bytes = b"",
        env: Mapping[str, str] | None = None,
        timeout: float = 60.0,
    ) -> Completed:
        """Raises TargetTimeout when `command` outlives `timeout` seconds: it is killed where the
        server lets us (OpenSSH does, except for a login as root).

        The time also counts waiting for one of the 8 sessions. Raises LoginRefused at the first use.
        """
        began = time.monotonic()
        words = argument_list(command, env=env, sudo=self._settings.sudo)
        connection = self._connect()
        deadline = max(began + timeout, time.monotonic() + min(timeout, 1.0))  # the login has its own deadline
        process = self._execute(connection, words, label(command), deadline)
        return process.communicate(stdin, deadline, timeout)

    def start(self, command: Sequence[str]) -> RemoteProcess:
        words = argument_list(command, sudo=self._settings.sudo)
        connection = self._connect()
        return self._execute(connection, words, label(command), time.monotonic() + _OPEN_SECONDS)

    def dial(self, command: Sequence[str], *, timeout: float = 10.0) -> Stream:
        return self._dial(self._connect(), command, timeout, proved=lambda: None)

    def connect_unix(self, path: str, *, timeout: float = 10.0) -> Stream:
        connection = self._connect()
        if self._settings.sudo or self._forwarding_refused or path in self._dialled_paths:
            return self._dial_engine(connection, path, timeout)
        try:
            channel = open_streamlocal(connection, path, timeout=timeout)
        except ChannelRefused as error:
            # "connect failed" may mean that forwarding is forbidden, or that the socket can't be opened. The command
            # finds out, and says why; only when it works is this path remembered.
            self._forwarding_refused = error.reason in (ADMINISTRATIVELY_PROHIBITED, UNKNOWN_TYPE)
            return self._dial_engine(connection, path, timeout)
        except ConnectionLost as error:
            raise self._lost() from error
        except TimeoutError as error:
            raise TargetTimeout(f"{self._target.where}: {path}: not opened within {timeout:g} s") from error
        return ChannelStream(connection, channel, timeout)

    def connect_tcp(self, host: str, port: int, *, timeout: float = 10.0) -> Stream:
        connection = self._connect()
        try:
            channel = open_tcp(connection, host, port, timeout=timeout)
        except ChannelRefused as error:
            raise _as_os_error(error, f"{host}:{port} from {self._target.where}") from error
        except ConnectionLost as error:
            raise self._lost() from error
        except TimeoutError as error:
            if not connection.is_active():
                raise self._lost() from error
            raise TimeoutError(f"{host}:{port} from {self._target.where}: no answer within {timeout:g} s") from error
        return ChannelStream(connection, channel, timeout)

    def close(self) -> None:
        with self._lock:
            self._closed = True
            connections, self._connections = self._connections, ()
        ssh_connect.close(connections)

    @property
    def _target(self) -> Hop:
        return self._route()[-1]

    def _route(self) -> tuple[Hop, ...]:
        if not self._hops:
            self._hops = route(self._settings)
        return self._hops

    def _connect(self) -> Connection:
        """The live connection; made by the first that needs it, while the others wait."""
        with self._lock:
            if self._closed:
                raise TargetUnreachable(f"{self._target.where}: the transport was closed")
            if not self._connections:
                self._connections = ssh_connect.connect(self._route())
            connection = self._connections[-1]
        if not connection.is_active():
            raise self._lost()
        return connection

    def _lost(self) -> TargetUnreachable:
        return TargetUnreachable(f"{self._target.where}: connection lost; its state is unknown")

    def _execute(self, connection: Connection, words: list[str], name: str, deadline: float) -> SshProcess:
        channel, release = self._session(connection, name, deadline)
        try:
            process = SshProcess(connection, channel, target=self._target.where, name=name, release=release)
            connection.execute(channel, shell_line(words))
        except ConnectionLost as error:
            release()
            raise self._lost() from error
        return process

    def _dial_engine(self, connection: Connection, path: str, timeout: float) -> DialStream:
        return self._dial(connection, dial_stdio(path), timeout, proved=lambda: self._dialled_paths.add(path))

    def _dial(
        self, connection: Connection, command: Sequence[str], timeout: float, *, proved: Callable[[], None]
    ) -> DialStream:
        words = argument_list(command, sudo=self._settings.sudo)
        channel, release = self._session(connection, label(command), time.monotonic() + timeout)
        try:
            connection.execute(channel, shell_line(words))
        except ConnectionLost as error:
            release()
            raise self._lost() from error
        return DialStream(connection, channel, timeout, proved=proved, release=release)

    def _session(
        self, connection: Connection, name: str, deadline: float
    ) -> tuple[paramiko.Channel, Callable[[], None]]:
        """An open session and what gives its place back.

        The server may refuse one for a moment although we count fewer than it allows: it counts a session until it has
        collected the command, also one that we gave up; and its own limit may be lower than ours.
        """
        try:
            release = self._sessions.take(deadline)
        except TimeoutError as error:
            raise TargetTimeout(f"{self._target.where}: {name}: not started: {error}") from error
        try:
            pause = 0.01
            while True:
                try:
                    left = max(0.01, deadline - time.monotonic())
                    return connection.open("session", b"", timeout=left), release
                except ChannelRefused as error:
                    alone_for_long = self._sessions.others() == 0 and pause > _LONGEST_PAUSE_ALONE
                    if alone_for_long or time.monotonic() >= deadline:
                        raise TargetUnreachable(
                            f"{self._target.where}: {name}: the server refuses a session ({error}); "
                            f"is MaxSessions in its sshd_config below {self._sessions.limit}?"
                        ) from error
                self._sessions.wait_for_an_end(min(pause, max(0.0, deadline - time.monotonic())))
                pause = min(pause * 2, 1.0)
        except BaseException as error:
            release()
            if isinstance(error, ConnectionLost):
                raise self._lost() from error
            if isinstance(error, TimeoutError):
                raise TargetTimeout(f"{self._target.where}: {name}: the server opened no session in time") from error
            raise


def _as_os_error(error: ChannelRefused, what: str) -> OSError:
    """What a socket on the target would have raised; sshd passes on the text of its errno."""
    if error.reason != CONNECT_FAILED:
        return PermissionError(f"{what}: the server forbids forwarding ({error})")
    text = error.text.lower()
    if "refused" in text:
        return ConnectionRefusedError(f"{what}: connection refused")
    if "timed out" in text:
        return TimeoutError(f"{what}: connection timed out")
    return OSError(f"{what}: {error.text or 'could not connect'}")
