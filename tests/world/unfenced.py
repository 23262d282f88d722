"""The engine without a lock around it: for tests of the engine alone."""

from __future__ import annotations

from reconciler.adapters.engine.client import socket_path
from reconciler.adapters.engine.engine import DockerEngine
from reconciler.ports import RemoteProcess, Stream, Transport


class Unfenced:
    """Implements `adapters.engine.fence.Fence`, and lets everything through."""

    def __init__(self, transport: Transport, docker_host: str = "") -> None:
        self._transport, self._socket = transport, socket_path(docker_host)

    def dial_engine(self, what: str, timeout: float) -> Stream:
        return self._transport.connect_unix(self._socket, timeout=timeout)

    def start_pull(self, reference: str) -> RemoteProcess:
        return self._transport.start(["docker", "-H", f"unix://{self._socket}", "pull", reference])


def engine(transport: Transport, docker_host: str = "", deploy_dir: str = "/nowhere") -> DockerEngine:
    """An engine that anyone may change."""
    return DockerEngine(transport, docker_host, Unfenced(transport, docker_host), deploy_dir)
