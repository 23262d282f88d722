"""A channel to a Unix socket on the target: `direct-streamlocal@openssh.com`, which paramiko doesn't know."""

from __future__ import annotations

from reconciler.adapters.transport._paramiko import paramiko
from reconciler.adapters.transport.connection import Connection

KIND = "direct-streamlocal@openssh.com"


def open_streamlocal(connection: Connection, path: str, *, timeout: float) -> paramiko.Channel:
    """Source of the message: PROTOCOL of OpenSSH, 2.4: the socket's path, and a string and a number kept for later use.

    Raises ChannelRefused, ConnectionLost, TimeoutError (seconds). OpenSSH gives the same reason (connect failed) when
    forwarding is forbidden as when the socket can't be opened, so a refusal alone doesn't say which it was.
    """
    payload = paramiko.Message()
    payload.add_string(path)
    payload.add_string("")
    payload.add_int(0)
    return connection.open(KIND, payload.asbytes(), timeout=timeout)


def open_tcp(connection: Connection, host: str, port: int, *, timeout: float) -> paramiko.Channel:
    """A channel to `host:port` as the target sees it: `direct-tcpip` (RFC 4254, 7.2). Raises as open_streamlocal."""
    payload = paramiko.Message()
    payload.add_string(host)
    payload.add_int(port)
    payload.add_string("127.0.0.1")  # where the connection came from: only for the server's log
    payload.add_int(0)
    return connection.open("direct-tcpip", payload.asbytes(), timeout=timeout)
