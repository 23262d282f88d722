"""A stream to a host and port, as the target or the controller sees it, and what a failure says of whom."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager

from reconciler.adapters.gates.base import confirm_alive
from reconciler.ports import Clock, Stream, Transport


class Unreached(Exception):
    """It isn't there, or doesn't answer: a breach. The text says what was seen."""


class Unmeasurable(Exception):
    """The way that we measure by is closed; nothing is known of the other end: an error. The text says what to do."""


class Deadline:
    """The end of a whole exchange: `seconds` from now on `clock`."""

    def __init__(self, seconds: float, clock: Clock) -> None:
        self.seconds = seconds
        self._clock = clock
        self._end = clock.monotonic() + seconds

    def left(self) -> float:
        """Seconds. Raises TimeoutError when none is left."""
        left = self._end - self._clock.monotonic()
        if left <= 0:
            raise TimeoutError(f"not done within {self.seconds:g} s")
        return left


@contextmanager
def connected(host: str, port: int, deadline: Deadline, vantage: Transport | None) -> Iterator[Stream]:
    """A stream from the target of `vantage`, or from the controller where it is None; closed at the end.

    Time-outs and breaks, also of what the block does with the stream, become Unreached: over a live connection they are
    the other end's. Raises Unmeasurable, and TargetUnreachable when the connection to the target itself is lost.
    """
    try:
        stream = (
            _from_here(host, port, deadline)
            if vantage is None
            else vantage.connect_tcp(host, port, timeout=deadline.left())
        )
        try:
            yield stream
        finally:
            stream.close()
    except ConnectionRefusedError as error:
        raise Unreached("connection refused") from error  # someone answered: the connection to the target is alive
    except PermissionError as error:
        raise Unmeasurable(f"not measured: {error}; does the target's sshd allow forwarding?") from error
    except TimeoutError as error:
        _blame_the_other_end(vantage)
        raise Unreached(f"no answer within {deadline.seconds:g} s") from error
    except OSError as error:
        _blame_the_other_end(vantage)
        raise Unreached(_why(error)) from error


def _from_here(host: str, port: int, deadline: Deadline) -> socket.socket:
    """The controller's own network is a part of the measuring system: without it, nothing is known of the other end."""
    try:
        return socket.create_connection((host, port), deadline.left())
    except (ConnectionRefusedError, TimeoutError):
        raise
    except OSError as error:
        raise Unmeasurable(f"not measured: the controller can't reach {host}: {_why(error)}") from error


def _blame_the_other_end(vantage: Transport | None) -> None:
    if vantage is not None:
        confirm_alive(vantage)


def _why(error: OSError) -> str:
    if isinstance(error, ConnectionResetError):
        return "connection reset"
    if isinstance(error, BrokenPipeError):
        return "connection closed"
    return error.strerror or str(error) or type(error).__name__
