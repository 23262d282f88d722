"""A Compose project of one test, made of small busybox containers by the docker library, gone at the end."""

from __future__ import annotations

import io
import os
import tarfile
import threading
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import docker
from docker.errors import APIError, NotFound

from reconciler.model.observed import LABEL_KEEPER

BUSYBOX = Path("/bin/busybox")
WAIT_SECONDS = 20.0
FOREVER = "trap 'exit 0' TERM; while :; do sleep 60 & wait $!; done"


@dataclass
class Lab:
    """Containers and images of one project of this test's own, seen and changed without our code."""

    client: docker.APIClient
    project: str
    image: str
    image_id: str
    _images: list[str] = field(default_factory=list)

    def run(self, service: str, script: str = FOREVER, *, start: bool = True, **config: Any) -> str:
        """A container of `service` that runs a shell script; `config` is merged over the body of "ContainerCreate"."""
        labels = {
            "com.docker.compose.project": self.project,
            "com.docker.compose.service": service,
            "com.docker.compose.oneoff": "False",
            **config.pop("Labels", {}),
        }
        body = {
            "Image": self.image_id,
            "Cmd": ["/bin/sh", "-c", script],
            "Labels": labels,
            "HostConfig": {"NetworkMode": "none", **config.pop("HostConfig", {})},
            **config,
        }
        name = f"{self.project}-{service}-{uuid.uuid4().hex[:6]}"
        container = self.create(body, name)
        if start:
            self.client.start(container)
        return container

    def create(self, body: Mapping[str, Any], name: str) -> str:
        """A container from the body of "ContainerCreate"."""
        untyped: Any = self.client
        return str(untyped.create_container_from_config(body, name=name)["Id"])

    def another_image(self, *, changes: Sequence[str] = (), files: Mapping[str, bytes] | None = None) -> str:
        """The id of an image with busybox and `files` (b"->target" is a symlink), `changes` as in a Dockerfile."""
        reference = f"{self.project}-image:{len(self._images)}"
        image = _import(self.client, reference, changes, files or {})
        self._images.append(reference)
        return image

    def details(self, container: str) -> dict[str, Any]:
        """Its inspection. Raises docker.errors.NotFound."""
        found: dict[str, Any] = self.client.inspect_container(container)
        return found

    def exists(self, container: str) -> bool:
        try:
            self.details(container)
        except NotFound:
            return False
        return True

    def until(self, container: str, is_so: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """Its inspection as soon as it `is_so`, looked at after each of its events."""
        stream = self.client.events(filters={"container": container}, decode=True)
        late = threading.Timer(WAIT_SECONDS, stream.close)
        late.start()
        try:
            details = self.details(container)
            while not is_so(details):
                if next(stream, None) is None:
                    raise AssertionError(f"not so within {WAIT_SECONDS:g} s: {details['State']}")
                details = self.details(container)
            return details
        finally:
            late.cancel()
            stream.close()

    def ended(self, container: str) -> None:
        """Returns when it has exited, for good or to be restarted."""
        self.until(container, lambda it: it["State"]["Status"] in {"exited", "dead", "restarting"})

    def keepers(self) -> list[dict[str, Any]]:
        """Inspections of the project's keepers."""
        listed = self.client.containers(all=True, filters={"label": f"{LABEL_KEEPER}={self.project}"})
        return [self.details(entry["Id"]) for entry in listed]

    def clean_up(self) -> None:
        for label in (f"com.docker.compose.project={self.project}", f"{LABEL_KEEPER}={self.project}"):
            for entry in self.client.containers(all=True, filters={"label": label}):
                _quietly(lambda found=entry: self.client.remove_container(found["Id"], force=True, v=True))  # type: ignore[misc]
        for reference in [*self._images, self.image]:
            _quietly(lambda image=reference: self.client.remove_image(image, force=True))  # type: ignore[misc]


@contextmanager
def new_lab() -> Iterator[Lab]:
    """A lab with an image of its own."""
    client = docker.APIClient(version="auto", timeout=60)
    project = f"lab-{os.getpid()}-{uuid.uuid4().hex[:6]}"
    reference = f"{project}:1"
    lab = Lab(client, project, reference, "")
    try:
        lab.image_id = _import(client, reference, (), {"made-for": project.encode()})
        yield lab
    finally:
        lab.clean_up()
        client.close()


def _import(client: docker.APIClient, reference: str, changes: Sequence[str], files: Mapping[str, bytes]) -> str:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        bin_path = "usr/bin" if b"->usr/bin" in files.values() else "bin"
        entries = {f"{bin_path}/busybox": BUSYBOX.read_bytes()}
        for applet in ("sh", "sleep", "echo", "cat", "kill", "httpd", "wget", "dd", "yes", "head", "true"):
            entries[f"{bin_path}/{applet}"] = b"->busybox"
        for path, data in {**entries, **files}.items():
            _add(archive, path, data)
    repository, _, tag = reference.rpartition(":")
    client.import_image_from_data(buffer.getvalue(), repository=repository, tag=tag, changes=list(changes))
    untyped: Any = client
    return str(untyped.inspect_image(reference)["Id"])


def _add(archive: tarfile.TarFile, path: str, data: bytes) -> None:
    entry = tarfile.TarInfo(path)
    entry.mode = 0o755
    if data.startswith(b"->"):
        entry.type, entry.linkname = tarfile.SYMTYPE, data[2:].decode()
        archive.addfile(entry)
        return
    entry.size = len(data)
    archive.addfile(entry, io.BytesIO(data))


def _quietly(action: Callable[[], object]) -> None:
    """Cleaning up goes on; what is gone already is what we want."""
    try:
        action()
    except APIError:
        return
