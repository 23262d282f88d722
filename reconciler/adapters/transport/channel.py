"""A channel that never speaks after it has closed: a server ends the whole connection over that.

paramiko makes a message under a channel's lock and sends it after the lock is free. When the command ends in between,
the answer to the server's CLOSE is sent first, and then data or an EOF for a channel that is no more: OpenSSH says
"packet referred to nonexistent channel" and disconnects. Here what is said about a channel goes out in one order.
"""

from __future__ import annotations

import threading
from typing import Any

from reconciler.adapters.transport._paramiko import paramiko

_PATIENCE = 1.0
"""Seconds for which a close waits for a sender that is at it. A sender may wait for new keys, and those are read by the
thread that waits here: it goes on then."""


class Channel(paramiko.Channel):
    """As paramiko's, with its messages in order."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.order = threading.Lock()

    def shutdown(self, how: int) -> None:
        with self.order:
            if not self.closed:
                super().shutdown(how)

    def close(self) -> None:
        with self.order:
            super().close()

    def _send(self, data: bytes, message: paramiko.Message) -> int:
        inside: Any = self
        with self.lock:
            if self.closed:
                raise OSError("Socket is closed")  # in paramiko's words
            size = int(inside._wait_for_send_window(len(data)))
        if size == 0:
            return 0
        message.add_string(data[:size])
        with self.order:
            if self.closed:
                raise OSError("Socket is closed")
            inside.transport._send_user_message(message)
        return size


def handle_close(channel: Channel, message: paramiko.Message) -> None:
    """The server closed the channel: what is being said about it is said before our answer."""
    inside: Any = channel
    in_order = channel.order.acquire(timeout=_PATIENCE)
    try:
        inside._handle_close(message)
    finally:
        if in_order:
            channel.order.release()
