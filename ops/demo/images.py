"""Builds the observer's images, good and bad, from desired_state/observer and this machine's static busybox.

python -m ops.demo.images 20260122_101500 [FAULT] [--repository REPOSITORY]
"""

from __future__ import annotations

import argparse
import io
import subprocess
import tarfile
from contextlib import closing
from enum import StrEnum
from pathlib import Path

import docker
from docker.errors import ImageNotFound

BUSYBOX = Path("/bin/busybox")
SOURCE = Path(__file__).resolve().parents[2] / "desired_state" / "observer"
LABEL = "io.reconciler.demo"
"""Every image that is built here carries `io.reconciler.demo=1`, so that what is left over can be found."""


class Fault(StrEnum):
    """How a release is bad on purpose; desired_state/observer/app/faults.sh says what each does."""

    NONE = "none"
    UNHEALTHY = "unhealthy"
    CRASH = "crash"
    CRASH5 = "crash5"
    FATAL_LOG = "fatal-log"
    MEMORY_HOG = "memory-hog"
    SLOW_START = "slow-start"
    EXIT0 = "exit0"
    INIT_FAILS = "init-fails"
    DEAF = "deaf"


class BusyboxMissing(RuntimeError):
    """The images can't be built here: there is no static busybox to put into them."""


def build(tag: str, fault: str = Fault.NONE, repository: str = "observer") -> str:
    """Build `repository:tag` with a fault baked in, and return the image's id. Cached layers make it a fraction of 1 s.

    Raises BusyboxMissing, ValueError for a fault that doesn't exist, and docker.errors.DockerException.
    """
    with closing(docker.DockerClient.from_env()) as engine:
        image, _ = engine.images.build(
            fileobj=build_context(),
            custom_context=True,
            tag=f"{repository}:{tag}",
            buildargs={"TAG": tag, "FAULT": Fault(fault).value},
            labels={LABEL: "1"},
            rm=True,
            forcerm=True,
        )
    return str(image.id)


def remove(reference: str) -> None:
    """Remove an image by `repository:tag` or id, with the layers that only it used; one that is gone is fine."""
    with closing(docker.DockerClient.from_env()) as engine:
        try:
            engine.images.remove(reference, force=True)
        except ImageNotFound:
            return


def build_context() -> io.BytesIO:
    """The build context as a tar: the Dockerfile, app/, and rootfs/bin with busybox and a link for each applet.

    Owners and times are fixed, so that the same sources give the same layers on every machine.
    """
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        _add(archive, "Dockerfile", (SOURCE / "Dockerfile").read_bytes(), mode=0o644)
        for script in sorted((SOURCE / "app").glob("*.sh")):
            _add(archive, f"app/{script.name}", script.read_bytes(), mode=0o755)
        _add(archive, "rootfs/bin/busybox", _busybox(), mode=0o755)
        for applet in _applets():
            link = tarfile.TarInfo(f"rootfs/bin/{applet}")
            link.type, link.linkname = tarfile.SYMTYPE, "busybox"
            archive.addfile(link)
    buffer.seek(0)
    return buffer


def _add(archive: tarfile.TarFile, name: str, content: bytes, *, mode: int) -> None:
    entry = tarfile.TarInfo(name)
    entry.size, entry.mode = len(content), mode
    archive.addfile(entry, io.BytesIO(content))


def _busybox() -> bytes:
    try:
        return BUSYBOX.read_bytes()
    except FileNotFoundError as error:
        raise BusyboxMissing(f"{BUSYBOX}: not found; `apt-get install busybox-static` has it") from error


def _applets() -> list[str]:
    listed = subprocess.run([BUSYBOX, "--list"], capture_output=True, text=True, check=True)
    return [applet for applet in listed.stdout.split() if applet != "busybox"]


def main() -> None:
    """Build one image from the command line and print its id."""
    parser = argparse.ArgumentParser(prog="python -m ops.demo.images", description="Build one image of the observer.")
    parser.add_argument("tag", help="YYYYMMDD_HHMMSS")
    parser.add_argument("fault", nargs="?", default=Fault.NONE.value, choices=[fault.value for fault in Fault])
    parser.add_argument("--repository", default="observer")
    asked = parser.parse_args()
    print(build(asked.tag, asked.fault, asked.repository))  # noqa: T201 # the id is what this command is for


if __name__ == "__main__":
    main()
