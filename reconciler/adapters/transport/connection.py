"""What SSH can do and paramiko's public API can't: the only module that reaches into paramiko's inside.

- open a channel of any type, and learn why the server refused it (paramiko drops the server's text, and hands one
  thread's refusal to another);
- `direct-streamlocal@openssh.com`, see streamlocal.py;
- the signal that ended a command (`exit-signal`, RFC 4254, 6.10), and sending one (6.9);
- why the server disconnected;
- messages about a channel that end with its close, see channel.py;
- a handshake deadline without a timer thread, which would keep the process alive after a failed login.

The contract suite runs every one of them against a real sshd.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any, ClassVar, cast

from reconciler.adapters.transport._paramiko import common, packet, paramiko
from reconciler.adapters.transport.channel import Channel, handle_close

ADMINISTRATIVELY_PROHIBITED, CONNECT_FAILED, UNKNOWN_TYPE, RESOURCE_SHORTAGE = 1, 2, 3, 4
"""Why a server refuses a channel (RFC 4254, 5.1)."""

_SIGNALS = {
    "HUP": 1, "INT": 2, "QUIT": 3, "ILL": 4, "TRAP": 5, "ABRT": 6, "BUS": 7, "FPE": 8, "KILL": 9, "USR1": 10,
    "SEGV": 11, "USR2": 12, "PIPE": 13, "ALRM": 14, "TERM": 15,
}  # fmt: skip
"""Linux numbers: the target's, not this machine's."""

_CIPHERS = (
    "aes128-gcm@openssh.com",
    "aes256-gcm@openssh.com",
    "aes128-ctr",
    "aes192-ctr",
    "aes256-ctr",
)
_MACS = (
    "hmac-sha2-256-etm@openssh.com",
    "hmac-sha2-512-etm@openssh.com",
    "hmac-sha2-256",
    "hmac-sha2-512",
)


_HANDLERS: dict[int, Callable[[Any, Any], None]] = cast(Any, paramiko.Transport)._channel_handler_table


class ChannelRefused(Exception):
    """The server refused to open a channel: `reason` is its code, `text` what it said."""

    def __init__(self, reason: int, text: str) -> None:
        self.reason, self.text = reason, text
        super().__init__(text or f"refused with reason {reason}")


class ConnectionLost(Exception):
    """The SSH connection ended under us."""


def _channel_request(channel: paramiko.Channel, message: paramiko.Message) -> None:
    """Handles `exit-signal`, which paramiko answers with "unhandled", and leaves the rest to paramiko."""
    kind = message.get_text()
    if kind == "exit-signal":
        message.get_boolean()
        channel.exit_status = 128 + _SIGNALS.get(message.get_text().removeprefix("SIG"), 0)
        channel.status_event.set()
        return
    message.rewind()
    message.get_int()  # the channel's number, which paramiko has taken
    inside: Any = channel
    inside._handle_request(message)


class Connection(paramiko.Transport):
    """An SSH connection on `sock`. Before `start_client`, call `offer`."""

    def __init__(self, sock: Any, *, handshake_seconds: float) -> None:
        super().__init__(sock, packetizer_class=_Packets)
        self.banner_timeout = self.handshake_timeout = handshake_seconds
        self.disconnect_text = ""
        self._refusals: dict[int, ChannelRefused] = {}

    @property
    def _inside(self) -> Any:
        """Ourselves, with what paramiko keeps private."""
        return self

    def offer(self, host_key_types: list[str]) -> None:
        """Sets what we accept: fast authenticated ciphers first, nothing broken, host keys that we know first."""
        options = self.get_security_options()
        options.ciphers = tuple(name for name in _CIPHERS if name in options.ciphers)
        options.digests = tuple(name for name in _MACS if name in options.digests)
        known = [name for name in options.key_types if name in host_key_types]
        options.key_types = (*known, *(name for name in options.key_types if name not in known))

    def open(self, kind: str, payload: bytes, *, timeout: float) -> paramiko.Channel:
        """Opens a channel; `payload` is what its type adds to the request (RFC 4254, 5.1).

        Raises ChannelRefused, ConnectionLost, or TimeoutError after `timeout` seconds.
        """
        message = paramiko.Message()
        message.add_byte(common.cMSG_CHANNEL_OPEN)
        message.add_string(kind)
        event = threading.Event()
        with self.lock:  # as paramiko.Transport.open_channel does it
            number = self._inside._next_channel()
            channel: Any = Channel(number)
            self._inside._channels.put(number, channel)
            self.channel_events[number] = event
            self.channels_seen[number] = True
            channel._set_transport(self)
            channel._set_window(self.default_window_size, self.default_max_packet_size)
        message.add_int(number)
        message.add_int(self.default_window_size)
        message.add_int(self.default_max_packet_size)
        message.add_bytes(payload)
        self.send_user(message)
        deadline = time.monotonic() + timeout
        # In slices: a connection that ends while the event is being registered would never set it.
        while not event.wait(min(0.5, max(0.0, deadline - time.monotonic()))):
            if not self.is_active():
                break
            if time.monotonic() >= deadline:
                raise TimeoutError("the server did not answer")
        if refusal := self._refusals.pop(number, None):
            raise refusal
        if not self.is_active() or self._inside._channels.get(number) is None:
            raise ConnectionLost
        opened: paramiko.Channel = channel
        return opened

    def execute(self, channel: paramiko.Channel, line: bytes) -> None:
        """Starts `line` on a session, without waiting for the confirmation: a refusal closes the channel."""
        self._request(channel, "exec", line, confirm=True)

    def send_signal(self, channel: paramiko.Channel, name: str) -> None:
        """Asks the server to send a signal (`KILL`) to the process group of a session's command."""
        self._request(channel, "signal", name.encode(), confirm=False)

    def send_user(self, message: paramiko.Message) -> None:
        """Raises ConnectionLost."""
        if not self.is_active():
            raise ConnectionLost
        try:
            self._inside._send_user_message(message)
        except (EOFError, OSError, paramiko.SSHException) as error:
            raise ConnectionLost from error

    def _request(self, channel: paramiko.Channel, kind: str, argument: bytes, *, confirm: bool) -> None:
        message = paramiko.Message()
        message.add_byte(common.cMSG_CHANNEL_REQUEST)
        message.add_int(channel.remote_chanid)
        message.add_string(kind)
        message.add_boolean(confirm)
        message.add_string(argument)
        with cast(Channel, channel).order:
            if not channel.closed:
                self.send_user(message)

    def _parse_channel_open_failure(self, message: paramiko.Message) -> None:
        number, reason, text = message.get_int(), message.get_int(), message.get_text()
        with self.lock:
            event = self.channel_events.pop(number, None)
            if event is None:
                return
            self._refusals[number] = ChannelRefused(reason, text)
            self._inside._channels.delete(number)
            event.set()

    def _parse_disconnect(self, message: paramiko.Message) -> None:
        message.get_int()
        self.disconnect_text = message.get_text()

    _channel_handler_table: ClassVar[dict[int, Callable[[Any, Any], None]]] = {
        **_HANDLERS,
        common.MSG_CHANNEL_REQUEST: _channel_request,
        common.MSG_CHANNEL_CLOSE: cast(Any, handle_close),
    }


class _Packets(packet.Packetizer):
    """A handshake deadline that is looked at where paramiko looks, instead of a non-daemon timer thread."""

    _handshake_deadline: float | None = None

    def start_handshake(self, timeout: float) -> None:
        self._handshake_deadline = time.monotonic() + timeout

    def handshake_timed_out(self) -> bool:
        return self._handshake_deadline is not None and time.monotonic() > self._handshake_deadline

    def complete_handshake(self) -> None:
        self._handshake_deadline = None
