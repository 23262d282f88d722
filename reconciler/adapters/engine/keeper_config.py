"""What a keeper is made of: the image that it holds, and the host's own shell to run in it."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

from reconciler.adapters.engine.facts import COMPOSE_PREFIX, Json
from reconciler.dataclass import dataclass
from reconciler.model.observed import LABEL_APP, LABEL_KEEPER, LABEL_WATCHDOG
from reconciler.remote import script

HOST_DIRECTORIES = ("/usr", "/lib", "/lib64", "/bin")
"""What a shell needs to run. On merged and on split hosts, and over images of either kind, one of these works."""
DIRECTORY_CHOICES: tuple[tuple[str, ...], ...] = (HOST_DIRECTORIES, ("/lib", "/lib64", "/bin"), ())
"""Tried in this order. All four; without /usr (a split host's /usr would cover what an image's `/bin -> usr/bin` led
the other mounts to, for the engine mounts in no fixed order); none (the image's own shell: NixOS has no /lib)."""

MEMORY_BYTES = 256 * 2**20
"""At most; a shell that sleeps takes one. Compose takes the rest, should the watchdog have to go back."""
PIDS = 256
LOOP = "trap 'exit 0' TERM INT; while :; do sleep 86400 & wait $!; done"
"""A shell as first process takes no signal that it doesn't trap, and runs a trap only between commands or in `wait`."""
PROBE = "sleep 0 && kill -0 1"
"""Succeeds where everything that LOOP needs works and the first process lives."""
DUTY_PROBE = """
for tool in flock timeout mkfifo sync sed xargs expr docker; do
    command -v $tool >/dev/null || { echo "no $tool"; exit 1; }
done
find_compose
docker version >/dev/null || exit 1
left=100
until [ -p "$own/watchdog/bell" ]; do
    left=$((left - 1))
    [ $left -gt 0 ] || { echo "the watchdog doesn't come up"; exit 1; }
    sleep 0.05
done
"""
"""With `lib.sh` before it: succeeds where the watchdog in this keeper could go back, and is up."""


@dataclass(frozen=True, slots=True)
class Duty:
    """What the watchdog in a keeper needs to know: where the app is, and the engine's socket."""

    deploy_dir: str
    socket: str

    def command(self) -> list[str]:
        """What the keeper runs."""
        return ["/bin/sh", "-c", script("watch"), "reconciler-watchdog", self.deploy_dir, self.socket, "keeper"]

    def probe(self) -> list[str]:
        """What proves, in the keeper, that it could."""
        return ["/bin/sh", "-c", script("lib") + DUTY_PROBE, "reconciler-probe", self.deploy_dir]

    def version(self) -> str:
        """Another one for another text of the watchdog, or another place."""
        return hashlib.sha256("\0".join(self.command()).encode()).hexdigest()[:16]


def keeper_name(project: str, image_id: str) -> str:
    """`<project>-keeper-<first 12 hex digits of the image's id>`."""
    return f"{project}-keeper-{short(image_id)}"


def short(image_id: str) -> str:
    """An image id as people see it: 12 hex digits."""
    return image_id.removeprefix("sha256:")[:12]


def keeper_config(
    image: Json, *, app: str, project: str, directories: Sequence[str], duty: Duty | None, version: str
) -> dict[str, Any]:
    """The body of "ContainerCreate" for a keeper of `image` (its inspection), with the watchdog's `duty` or without.

    `version` is that of the duty that it was meant to have: where a host can't give it, it isn't tried each time anew.
    With the duty the container is root on the host, as anyone is who may use the engine's socket: it sees the host's
    processes, to end what a dead pass left behind, and writes to deploy_dir alone.

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
    mine: dict[str, Any] = {
        "CapDrop": ["ALL"],
        "SecurityOpt": ["no-new-privileges"],
    }
    if duty is not None:
        mounts += [{"Type": "bind", "Source": path, "Target": path} for path in (duty.deploy_dir, duty.socket)]
        mine = {
            "CapDrop": ["ALL"],
            "CapAdd": ["CHOWN", "DAC_OVERRIDE", "FOWNER", "KILL"],
            "SecurityOpt": ["no-new-privileges", "apparmor=unconfined", "label=disable"],
            "PidMode": "host",
            "UsernsMode": "host",
        }
    return {
        "Image": image["Id"],
        "Entrypoint": duty.command() if duty else ["/bin/sh", "-c", LOOP],
        "Cmd": [],
        "User": "0:0",
        "WorkingDir": "/",
        "Env": ["PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LD_PRELOAD=", "LD_LIBRARY_PATH=", "ENV="],
        "Healthcheck": {"Test": ["NONE"]},
        "StopSignal": "SIGTERM",
        "StopTimeout": 2,
        "Labels": {
            **dict.fromkeys(inherited, ""),
            LABEL_APP: app,
            LABEL_KEEPER: project,
            LABEL_WATCHDOG: f"{version} {'on' if duty else 'off'}",
        },
        "HostConfig": {
            "NetworkMode": "none",
            "RestartPolicy": {"Name": "always"},
            "ReadonlyRootfs": True,
            **mine,
            "LogConfig": {"Type": "none"},
            "Memory": MEMORY_BYTES,
            "PidsLimit": PIDS,
            "Mounts": mounts,
        },
    }
