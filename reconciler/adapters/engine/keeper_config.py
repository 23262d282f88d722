"""What a keeper is made of: the image that it holds, and the host's own shell to run in it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from reconciler.adapters.engine.facts import COMPOSE_PREFIX, Json
from reconciler.model.observed import LABEL_APP, LABEL_KEEPER

HOST_DIRECTORIES = ("/usr", "/lib", "/lib64", "/bin")
"""What a shell needs to run. On merged and on split hosts, and over images of either kind, one of these works."""
DIRECTORY_CHOICES: tuple[tuple[str, ...], ...] = (HOST_DIRECTORIES, ("/lib", "/lib64", "/bin"), ())
"""Tried in this order. All four; without /usr (a split host's /usr would cover what an image's `/bin -> usr/bin` led
the other mounts to, for the engine mounts in no fixed order); none (the image's own shell: NixOS has no /lib)."""

MEMORY_BYTES = 32 * 2**20
PIDS = 16
LOOP = "trap 'exit 0' TERM INT; while :; do sleep 86400 & wait $!; done"
"""A shell as first process takes no signal that it doesn't trap, and runs a trap only between commands or in `wait`."""
PROBE = "sleep 0 && kill -0 1"
"""Succeeds where everything that LOOP needs works and the first process lives."""


def keeper_name(project: str, image_id: str) -> str:
    """`<project>-keeper-<first 12 hex digits of the image's id>`."""
    return f"{project}-keeper-{short(image_id)}"


def short(image_id: str) -> str:
    """An image id as people see it: 12 hex digits."""
    return image_id.removeprefix("sha256:")[:12]


def keeper_config(image: Json, *, app: str, project: str, directories: Sequence[str]) -> dict[str, Any]:
    """The body of "ContainerCreate" for a keeper of `image` (its inspection).

    Whatever the image would bring along is answered: its user, working directory, entrypoint, health check, loader
    variables; its volumes (each would become an anonymous one: an empty tmpfs takes the place); and Compose's labels,
    which `docker compose build` puts on images and containers inherit: they can't be removed, only emptied, and a
    keeper with the project's label would be an orphan to Compose.
    """
    image_config: Json = image.get("Config") or {}
    inherited = [label for label in image_config.get("Labels") or {} if label.startswith(COMPOSE_PREFIX)]
    mounts: list[dict[str, Any]] = [
        {"Type": "bind", "Source": path, "Target": path, "ReadOnly": True} for path in directories
    ]
    mounts += [
        {"Type": "tmpfs", "Target": path, "TmpfsOptions": {"SizeBytes": 4096}}
        for path in image_config.get("Volumes") or {}
        if path.rstrip("/") not in directories
    ]
    return {
        "Image": image["Id"],
        "Entrypoint": ["/bin/sh", "-c", LOOP],
        "Cmd": [],
        "User": "0:0",
        "WorkingDir": "/",
        "Env": ["PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LD_PRELOAD=", "LD_LIBRARY_PATH=", "ENV="],
        "Healthcheck": {"Test": ["NONE"]},
        "StopSignal": "SIGTERM",
        "StopTimeout": 2,
        "Labels": {**dict.fromkeys(inherited, ""), LABEL_APP: app, LABEL_KEEPER: project},
        "HostConfig": {
            "NetworkMode": "none",
            "RestartPolicy": {"Name": "always"},
            "ReadonlyRootfs": True,
            "CapDrop": ["ALL"],
            "SecurityOpt": ["no-new-privileges"],
            "LogConfig": {"Type": "none"},
            "Memory": MEMORY_BYTES,
            "PidsLimit": PIDS,
            "Mounts": mounts,
        },
    }
