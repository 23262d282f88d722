"""Where an engine listens."""

from __future__ import annotations

from reconciler.model.errors import TargetUnfit

DEFAULT_SOCKET = "/var/run/docker.sock"


def socket_path(docker_host: str) -> str:
    """The path in a DOCKER_HOST value. Raises TargetUnfit for anything but a Unix socket."""
    path = docker_host.removeprefix("unix://") or DEFAULT_SOCKET
    if "://" in path or not path.startswith("/"):
        raise TargetUnfit(f"the engine is reached by a Unix socket on the target, not by {docker_host!r}")
    return path
