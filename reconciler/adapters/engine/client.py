"""The docker library's client over our transport."""

from __future__ import annotations

from typing import Any

from reconciler.adapters.engine.errors import engine_errors
from reconciler.adapters.engine.http import Dial, StreamAdapter
from reconciler.adapters.engine.library import docker, requests
from reconciler.adapters.engine.reader import Reader
from reconciler.model.engine_socket import DEFAULT_SOCKET, socket_path
from reconciler.ports import Stream, Transport

__all__ = ["DEFAULT_SOCKET", "api_client", "engine_errors", "socket_path"]


def api_client(
    transport: Transport,
    docker_host: str = "",
    timeout: float = 30.0,
    reader: Reader | None = None,
    dial: Dial | None = None,
) -> docker.APIClient:
    """A client for the engine of `transport`'s target; connects at its first call. Thread-safe. `timeout` in seconds.

    `docker_host` is a socket on the target: a `unix://` address, a path, or "" for the usual one; `dial` is another
    way there than the transport's own. `.api_version` is what the engine and we both speak; `reader` knows it, where
    there is one already. Calls raise what the docker library raises, and what the transport raises: wrap them in
    `engine_errors`. Raises TargetUnfit for a `docker_host` that is no Unix socket.
    """
    path = socket_path(docker_host)
    return _Client(transport, path, timeout, reader or Reader(transport, path, timeout), dial)


class _Client(docker.APIClient):
    """Replaces the library's constructor, which reads the controller's ~/.docker/config.json.

    That file's credentials, credential helpers and proxies belong to the person at this desk, and not to what is sent
    to a server's engine; a broken one would stop us. Nor are ~/.netrc and *_PROXY read (`trust_env`).
    """

    def __init__(self, transport: Transport, path: str, timeout: float, reader: Reader, dial: Dial | None) -> None:
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
        self._reader = reader
        self._path = path

        def plainly(seconds: float) -> Stream:
            return transport.connect_unix(path, timeout=seconds)

        self._custom_adapter = StreamAdapter(dial or plainly)
        us._unmount("http://", "https://")
        self.mount("http+docker://", self._custom_adapter)

    @property
    def _version(self) -> str:
        """Asked for at the first use, once: the library puts it into every path."""
        with engine_errors(self._reader.name, self._path):
            return self._reader.version
