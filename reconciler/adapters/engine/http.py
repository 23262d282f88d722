"""HTTP over a transport's streams: connections that are kept alive, reused and thread-safe."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import requests.adapters
import urllib3
import urllib3.connection
import urllib3.connectionpool

from reconciler.adapters.transport.streams import SocketLike
from reconciler.ports import Stream

Dial = Callable[[float], Stream]
"""Opens a new stream to the engine, within the given seconds."""

_KEPT = 3
"""Idle connections kept. Over `dial-stdio` each holds one of 8 sessions, the reader's another; commands need some."""
_DIAL_SECONDS = 15.0

# More than that at a time is no fault: the others are made, used and closed. urllib3 would warn each time.
if logging.getLogger("urllib3.connectionpool").level == logging.NOTSET:
    logging.getLogger("urllib3.connectionpool").setLevel(logging.ERROR)


class _Connection(urllib3.connection.HTTPConnection):
    def __init__(self, dial: Dial) -> None:
        super().__init__("localhost")
        self._dial = dial

    def connect(self) -> None:
        seconds = self.timeout if isinstance(self.timeout, int | float) else _DIAL_SECONDS
        stream: Any = self._dial(min(seconds, _DIAL_SECONDS))
        stream.settimeout(self.timeout)
        self.sock = stream

    @property
    def is_connected(self) -> bool:
        """A stream of ours has no file descriptor to poll, which is what urllib3 would do."""
        stream: Any = self.sock
        if isinstance(stream, SocketLike):
            return stream.is_quiet()
        return super().is_connected


class _Pool(urllib3.connectionpool.HTTPConnectionPool):
    def __init__(self, dial: Dial) -> None:
        super().__init__("localhost", maxsize=_KEPT, block=False)
        self._dial = dial

    def _new_conn(self) -> Any:
        self.num_connections += 1
        return _Connection(self._dial)


class StreamAdapter(requests.adapters.HTTPAdapter):
    """Sends every request of a session over streams from `dial`; no proxy, no TLS, no name look-up."""

    def __init__(self, dial: Dial) -> None:
        self._pool = _Pool(dial)
        super().__init__()

    def get_connection_with_tls_context(self, request: Any, verify: Any, proxies: Any = None, cert: Any = None) -> Any:
        return self._pool

    def get_connection(self, url: Any, proxies: Any = None) -> Any:
        return self._pool

    def request_url(self, request: Any, proxies: Any) -> str:
        return str(request.path_url)

    def close(self) -> None:
        self._pool.close()
        super().close()
