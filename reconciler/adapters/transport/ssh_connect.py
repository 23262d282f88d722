"""From hops to one authenticated connection, each failure with who has to act and what to do."""

from __future__ import annotations

import socket
import threading
import time
from typing import Any

from reconciler.adapters.transport import known_hosts, net
from reconciler.adapters.transport._paramiko import paramiko
from reconciler.adapters.transport.connection import ChannelRefused, Connection, ConnectionLost
from reconciler.adapters.transport.ssh_config import Hop
from reconciler.adapters.transport.ssh_keys import Keyring
from reconciler.adapters.transport.streamlocal import open_tcp
from reconciler.model.errors import LoginRefused, TargetTimeout, TargetUnreachable

_KEEPALIVE_SECONDS = 10
_IDLE_WAKE_SECONDS = 5.0


def connect(hops: tuple[Hop, ...]) -> tuple[Connection, ...]:
    """Connects and logs in at each hop through the one before it; the last connection is the target's.

    Each hop has its own `connect_timeout` seconds. Raises LoginRefused, TargetUnreachable or TargetTimeout; what was
    connected until then is closed.
    """
    made: list[Connection] = []
    try:
        for hop in hops:
            deadline = time.monotonic() + hop.connect_timeout
            sock = _through(made[-1], hop, deadline) if made else _tcp(hop)
            made.append(_handshake(sock, hop, deadline))
            _login(made[-1], hop, deadline)
            made[-1].set_keepalive(_KEEPALIVE_SECONDS)
            # paramiko asked for 0.1 s, to see when it is to stop; our socket wakes it at once when it is closed, and a
            # daemon with many targets must cost nothing while nothing happens
            sock.settimeout(_IDLE_WAKE_SECONDS)
    except BaseException:
        close(tuple(made))
        raise
    return tuple(made)


def close(connections: tuple[Connection, ...]) -> None:
    """Closes the target's connection first, then the jumps. Never raises."""
    for connection in reversed(connections):
        try:
            connection.close()
        except Exception:  # noqa: BLE001, S112 - the other side may be gone already; closing has nothing left to do
            continue


def _tcp(hop: Hop) -> net.TunedSocket:
    try:
        return net.connect(hop.host, hop.port, timeout=hop.connect_timeout)
    except socket.gaierror as error:
        raise _unreachable(hop, f"can't look up {hop.host}: {error.strerror}; is the name right?") from error
    except TimeoutError as error:
        raise TargetTimeout(
            f"{hop.where}: no SSH session: no answer within {hop.connect_timeout:g} s; "
            f"is the host up, and port {hop.port} open to us?"
        ) from error
    except ConnectionRefusedError as error:
        raise _unreachable(hop, "connection refused; is sshd up?") from error
    except OSError as error:
        raise _unreachable(hop, f"{(error.strerror or str(error)).lower()}; is the address right?") from error


def _through(jump: Connection, hop: Hop, deadline: float) -> paramiko.Channel:
    """A TCP connection from a jump host to the next hop."""
    try:
        return open_tcp(jump, hop.host, hop.port, timeout=_left(deadline))
    except ChannelRefused as error:
        raise _unreachable(hop, f"the jump host can't connect: {error}; is sshd up?") from error
    except ConnectionLost as error:
        raise _unreachable(hop, "the jump host closed the connection") from error
    except TimeoutError as error:
        raise _timeout(hop, "the jump host got no answer") from error


def _handshake(sock: Any, hop: Hop, deadline: float) -> Connection:
    """Negotiates keys and checks the host key: before anything of ours, even the user's name, is sent."""
    try:
        known = known_hosts.entries_for(hop.host_key_name, hop.known_hosts)
        connection = Connection(sock, handshake_seconds=_left(deadline))
    except BaseException:
        sock.close()
        raise
    try:
        connection.offer([name for entry in known if not entry.marker for name in _algorithms(entry.key_type)])
        done = threading.Event()
        connection.start_client(event=done)
        negotiated = done.wait(_left(deadline)) and connection.is_active()
        if not negotiated:
            raise _no_handshake(connection, hop, deadline)
        key = connection.get_remote_server_key()
        known_hosts.check(hop, known, key.get_name(), key.asbytes())
    except BaseException:
        connection.close()
        raise
    return connection


def _no_handshake(connection: Connection, hop: Hop, deadline: float) -> Exception:
    error = connection.get_exception()
    if isinstance(error, paramiko.ssh_exception.IncompatiblePeer):
        return LoginRefused(f"{hop.where}: no SSH session: no algorithm in common: {error}")
    if time.monotonic() >= deadline - 0.05:  # paramiko's own deadline is the same, and may be first
        said = f"{connection.remote_version} came, but no keys" if connection.remote_version else "no banner came"
        return _timeout(hop, f"connected, but {said}; is sshd hanging?")
    if connection.disconnect_text:
        return _unreachable(hop, f"the server said: {connection.disconnect_text}")
    text = str(error or "")
    if not connection.remote_version and "Indecipherable" in text:
        return _unreachable(hop, "what answers is no sshd; is the port right?")
    if isinstance(error, EOFError | OSError | None) or not connection.remote_version:
        return _unreachable(hop, "the server closed the connection before a login; is sshd overloaded or banning us?")
    return _unreachable(hop, " ".join(text.split()) or type(error).__name__)


def _login(connection: Connection, hop: Hop, deadline: float) -> None:
    ring = Keyring(hop)
    offered = 0
    try:
        for key in ring.offers():
            offered += 1
            connection.auth_timeout = _left(deadline)
            try:
                further = connection.auth_publickey(hop.user, key)
            except paramiko.BadAuthenticationType as error:
                raise LoginRefused(
                    f"{hop.name}: login refused: the server takes no keys, only {', '.join(error.allowed_types)}"
                ) from error
            except paramiko.AuthenticationException as error:
                if not connection.is_active():
                    raise _cut_off(connection, hop, ring, deadline) from error
                if time.monotonic() >= deadline:
                    raise _timeout(hop, f"no answer to the login of {hop.user}") from error
                continue
            except (paramiko.SSHException, EOFError, OSError) as error:
                if not connection.is_active():
                    raise _cut_off(connection, hop, ring, deadline) from error
                ring.tried[-1] += f" (not usable: {' '.join(str(error).split())})"
                continue
            if not further:
                return
            raise LoginRefused(f"{hop.name}: login refused: the key was taken, but {', '.join(further)} is asked, too")
    finally:
        ring.close()
    raise LoginRefused(_refusal(hop, ring, offered))


def _cut_off(connection: Connection, hop: Hop, ring: Keyring, deadline: float) -> Exception:
    """The connection ended during the login: by the server's decision, or by the network."""
    if "authentication" in connection.disconnect_text.lower():
        return LoginRefused(f"{_refusal(hop, ring, 1)} (the server said: {connection.disconnect_text})")
    if connection.disconnect_text:
        return _unreachable(hop, f"the server said: {connection.disconnect_text}")
    if time.monotonic() >= deadline:
        return _timeout(hop, f"no answer to the login of {hop.user}")
    return _unreachable(hop, "connection lost during the login")


def _refusal(hop: Hop, ring: Keyring, offered: int) -> str:
    if offered == 0:
        names = ", ".join([*ring.tried, *(str(file) for file in hop.identity_files)])
        return f"{hop.name}: no key to log in with: looked for {names} and in the agent; set identity_file"
    return (
        f"{hop.name}: login refused; keys tried: {', '.join(ring.tried)}; "
        f"is the public half of one of them in {hop.user}'s ~/.ssh/authorized_keys there?"
    )


def _algorithms(key_type: str) -> tuple[str, ...]:
    return ("rsa-sha2-512", "rsa-sha2-256") if key_type == "ssh-rsa" else (key_type,)


def _unreachable(hop: Hop, why: str) -> TargetUnreachable:
    return TargetUnreachable(f"{hop.where}: no SSH session: {why}")


def _timeout(hop: Hop, why: str) -> TargetTimeout:
    return TargetTimeout(f"{hop.where}: no SSH session within {hop.connect_timeout:g} s: {why}")


def _left(deadline: float) -> float:
    return max(0.01, deadline - time.monotonic())
