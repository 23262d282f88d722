"""What a service mounts from the host's file system, and whose it is, by path alone: links on a target aren't seen."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator, Mapping
from pathlib import PurePosixPath
from typing import Any

from reconciler.dataclass import dataclass
from reconciler.model.deploy import Deploy
from reconciler.model.release import Rendering

SOCKETS = tuple(
    PurePosixPath(path)
    for path in (
        "/run/docker.sock",
        "/run/containerd/containerd.sock",
        "/run/podman/podman.sock",
        "/run/crio/crio.sock",
    )
)
"""Where engines listen: whoever reaches one is root on the host."""

REFUSED = tuple(PurePosixPath(path) for path in ("/etc", "/root"))
"""With all below them; and `/` itself. Source: issue 3, "Compose policy"."""

HARMLESS = tuple(
    PurePosixPath(f"/etc/{name}") for name in ("hostname", "localtime", "os-release", "ssl/certs", "timezone")
)
"""Files below /etc that everyone may read and that images are often given: clock, name, public certificates."""

_ROOT = PurePosixPath("/")
_VAR_RUN = PurePosixPath("/var/run")


@dataclass(frozen=True, slots=True)
class Grounds:
    """What a model is judged against: the target's directory and socket, and what deploy.yaml says of areas and images.

    `tag` is the release's; `repositories` are those of the images that carry it.
    """

    deploy_dir: PurePosixPath
    docker_socket: PurePosixPath
    writable: tuple[PurePosixPath, ...]
    repositories: tuple[str, ...]
    tag: str

    @classmethod
    def of(cls, deploy: Deploy, target: str, *, tag: str) -> Grounds:
        """The grounds on one of the targets of deploy.yaml. Raises KeyError when there is no such target."""
        place = deploy.targets[target]
        return cls(
            deploy_dir=place.deploy_dir,
            docker_socket=_normal(place.docker_socket),
            writable=deploy.writable,
            repositories=deploy.image.repository,
            tag=tag,
        )


@dataclass(frozen=True, slots=True)
class Mount:
    """A path of the host in a container; `at` is where the service says it (`volumes[1]`). `path` may be relative only
    where Compose leaves it to the engine."""

    at: str
    path: PurePosixPath
    read_only: bool


def mounts_of(model: Mapping[str, Any], service: Mapping[str, Any]) -> tuple[Mount, ...]:
    """Bind mounts, named volumes that are bind mounts by their driver's options, and files of configs and secrets."""
    return (*_volumes(model, service), *_files(model, service, "configs"), *_files(model, service, "secrets"))


def _volumes(model: Mapping[str, Any], service: Mapping[str, Any]) -> Iterator[Mount]:
    for position, volume in enumerate(service.get("volumes") or ()):
        at, read_only = f"volumes[{position}]", bool(volume.get("read_only"))
        source = str(volume.get("source") or "")
        if volume.get("type") == "bind":
            yield Mount(at, _normal(source), read_only)
        elif volume.get("type") == "volume":
            definition = (model.get("volumes") or {}).get(source) or {}
            options = definition.get("driver_opts") or {}
            flags = str(options.get("o") or "").split(",")
            if "device" in options and {"bind", "rbind"} & {*flags, str(options.get("type"))}:
                yield Mount(at, _normal(str(options["device"])), read_only or "ro" in flags)


def _files(model: Mapping[str, Any], service: Mapping[str, Any], kind: str) -> Iterator[Mount]:
    for position, reference in enumerate(service.get(kind) or ()):
        definition = (model.get(kind) or {}).get(reference.get("source")) or {}
        if "file" in definition:
            yield Mount(f"{kind}[{position}]", _normal(str(definition["file"])), read_only=True)


def is_area(mount: Mount, rendering: Rendering, grounds: Grounds) -> bool:
    """Whether it lies in a writable area, named beside the Compose file or by its place in deploy_dir."""
    homes = (PurePosixPath(rendering.root) / rendering.project_dir, grounds.deploy_dir)
    return any(mount.path.is_relative_to(home / area) for home in homes for area in grounds.writable)


def is_own(mount: Mount, rendering: Rendering, grounds: Grounds) -> bool:
    """Whether it comes with the sources or lies in deploy_dir, wherever that is (perhaps below /root)."""
    homes = (PurePosixPath(rendering.private or rendering.root), grounds.deploy_dir)
    return any(mount.path.is_relative_to(home) for home in homes)


def is_socket(mount: Mount, grounds: Grounds) -> bool:
    """Whether it is an engine's socket, by its place or by its name."""
    sockets = (*SOCKETS, grounds.docker_socket)
    return mount.path in sockets or mount.path.name in {socket.name for socket in sockets}


def holds_socket(mount: Mount, grounds: Grounds) -> bool:
    """Whether it is a directory with an engine's socket in it; `/` is another rule's."""
    return mount.path != _ROOT and any(
        socket.is_relative_to(mount.path) for socket in (*SOCKETS, grounds.docker_socket)
    )


def host_place(mount: Mount) -> str | None:
    """Which of the refused places of the host it is, or is in: in our words, not in those of the model."""
    if mount.path == _ROOT:
        return "`/`"
    if any(mount.path.is_relative_to(harmless) for harmless in HARMLESS):
        return None
    refused = next((place for place in REFUSED if mount.path.is_relative_to(place)), None)
    return f"`{refused}`, or something in it," if refused else None


def _normal(path: str) -> PurePosixPath:
    """Without `..`, `.` and doubled slashes; /var/run is /run on every Linux since 2011."""
    plain = PurePosixPath(posixpath.normpath("/" + path.lstrip("/")) if path.startswith("/") else path)
    return _ROOT / "run" / plain.relative_to(_VAR_RUN) if plain.is_relative_to(_VAR_RUN) else plain
