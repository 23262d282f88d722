"""The docker library's client over our transport."""

from __future__ import annotations

import threading
from typing import Any

import requests

from reconciler.adapters.engine.errors import engine_errors
from reconciler.adapters.engine.http import Dial, StreamAdapter
from reconciler.adapters.engine.library import docker
from reconciler.model.engine_socket import DEFAULT_SOCKET, socket_path
from reconciler.model.errors import TargetUnfit
from reconciler.ports import Stream, Transport

_OLDEST_API = (1, 25)
"""Docker 1.13: the first with the API that Compose v2 needs."""
_NEWEST_API = (1, 47)
"""Docker 27: the newest whose answers we know. A newer engine is asked in this version, which it still speaks."""

__all__ = ["DEFAULT_SOCKET", "api_client", "engine_errors", "socket_path"]


def api_client(transport: Transport, docker_host: str = "", timeout: float = 30.0, dial: Dial | None = None) -> Client:
    """A client for the engine of `transport`'s target; connects at its first call. Thread-safe. `timeout` in seconds.

    `docker_host` is a socket on the target: a `unix://` address, a path, or "" for the usual one; `dial` is another
    way there than the transport's own. `.api_version` is what the engine and we both speak. Calls raise what the
    docker library raises, and what the transport raises: wrap them in `engine_errors`. Raises TargetUnfit for a
    `docker_host` that is no Unix socket.
    """
    return Client(transport, socket_path(docker_host), timeout, dial)


class Client(docker.APIClient):
    """Replaces the library's constructor, which reads the controller's ~/.docker/config.json.

    That file's credentials, credential helpers and proxies belong to the person at this desk, and not to what is sent
    to a server's engine; a broken one would stop us. Nor are ~/.netrc and *_PROXY read (`trust_env`).
    """

    def __init__(self, transport: Transport, path: str, timeout: float, dial: Dial | None) -> None:
        requests.Session.__init__(self)
        self.trust_env = False
        self.base_url = "http+docker://localhost"
        library: Any = docker
        us: Any = self
        us.timeout = timeout
        self.headers["User-Agent"] = "reconciler"
        self.credstore_env = None
        self._general_configs: dict[str, Any] = {}
        self._proxy_configs = library.utils.proxy.ProxyConfig()
        self._auth_configs = library.auth.AuthConfig({})
        self._negotiated: str | None = None
        self._negotiating = threading.Lock()
        self._transport_name = transport.name
        self._path = path

        def plainly(seconds: float) -> Stream:
            return transport.connect_unix(path, timeout=seconds)

        self._custom_adapter = StreamAdapter(dial or plainly)
        us._unmount("http://", "https://")
        self.mount("http+docker://", self._custom_adapter)

    @property
    def _version(self) -> str:
        """Asked for at the first use, once: the library puts it into every path."""
        with self._negotiating:
            if self._negotiated is None:
                self._negotiated = self._negotiate()
            return self._negotiated

    def speak(self, version: str) -> None:
        """Spares asking for the version, which another client to the same engine did."""
        self._negotiated = version

    def _negotiate(self) -> str:
        with engine_errors(self._transport_name, self._path):
            us: Any = self
            answer = us._get(us._url("/_ping", versioned_api=False))
            us._raise_for_status(answer)
            theirs = _parsed(answer.headers.get("Api-Version", ""))
            if theirs is None:
                raise TargetUnfit(f"{self._transport_name}: what answers at {self._path} is no Docker engine")
            if theirs < _OLDEST_API:
                raise TargetUnfit(f"{self._transport_name}: the engine is too old (API {_text(theirs)}); update Docker")
            if theirs <= _NEWEST_API:
                return _text(theirs)
            lowest = _parsed(self.version(api_version=False).get("MinAPIVersion", "")) or _NEWEST_API
        return _text(max(_NEWEST_API, lowest))


def _parsed(version: str) -> tuple[int, int] | None:
    major, _, minor = version.partition(".")
    return (int(major), int(minor)) if major.isdigit() and minor.isdigit() else None


def _text(version: tuple[int, int]) -> str:
    return f"{version[0]}.{version[1]}"
