"""A deploy_dir with areas to sweep and to leave alone, seen without our code."""

from __future__ import annotations

import os
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from reconciler.adapters.host.scripts import Settings
from reconciler.adapters.host.target import TargetHost
from reconciler.model.housekeeping import Housekeeping, LogsWatch, TempSweep
from reconciler.ports import Transport
from reconciler.remote import script

HOLDER = "tester@here (process 1)"
GENERATION = "7"
DAY = 86400.0
Seen = dict[str, tuple[str, bytes, int, int, int]]


@dataclass(frozen=True)
class Server:
    """`temp` may be swept; `outside` lies beside deploy_dir, and nothing of ours may ever reach it."""

    dir: Path
    outside: Path

    @property
    def temp(self) -> Path:
        return self.dir / "temp"

    def file(self, path: str | bytes, *, days: float = 0.0, size: int = 3, area: str = "temp") -> Path:
        """A file below the area, unchanged for so many days; and so are the directories it is in, if it makes them."""
        name = os.fsdecode(path)
        target = self.dir / area / name
        made = [parent for parent in target.parents if not parent.exists()]
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(b"x" * size)
        for each in [target, *made]:
            aged(each, days)
        return target

    def beyond_temp(self) -> Seen:
        """Everything but what is in temp/: kind and content, inode, mode, time of change."""
        inside = _seen(self.dir, self.dir, without="temp")
        work = (".reconciler/journal", ".reconciler/acting", ".reconciler/fence", ".reconciler")
        inside = {path: seen for path, seen in inside.items() if not path.startswith(work[:3]) and path != work[3]}
        return {**_seen(self.outside, self.outside), **{f"app/{path}": seen for path, seen in inside.items()}}

    def left(self) -> set[str]:
        """The paths in temp/ that are there."""
        return {os.fsdecode(os.path.relpath(path, self.temp)) for path in _walk(self.temp)}


def new_server(root: Path) -> Server:
    """A server whose lock HOLDER has, with data in every other area and outside."""
    server = Server(root / "app dir", root / "outside")
    for area in ("temp", "logs", "archives/data", "uploads", "releases/r1", ".reconciler"):
        (server.dir / area).mkdir(parents=True)
    (server.dir / ".reconciler" / "holder").write_text(f"{HOLDER}\n")
    (server.dir / ".reconciler" / "generation").write_text(f"{GENERATION}\n")
    server.outside.mkdir()
    for path in (server.outside / "precious", server.dir / "archives/data/rows", server.dir / "uploads/photo"):
        path.write_bytes(b"precious")
        aged(path, 400)
    (server.outside / "dir").mkdir()
    (server.outside / "dir" / "deep").write_bytes(b"precious")
    (server.outside / "empty").mkdir()
    for path in (server.outside / "dir" / "deep", server.outside / "dir", server.outside / "empty"):
        aged(path, 400)
    return server


def aged(path: Path, days: float) -> None:
    """As if nobody had changed it for so long."""
    then = time.time() - days * DAY
    os.utime(path, (then, then), follow_symlinks=False)


def host(transport: Transport, server: Server) -> TargetHost:
    """The real adapter over a real transport."""
    settings = Settings(
        where="demo",
        deploy_dir=PurePosixPath(server.dir),
        app="observer",
        project="observer",
        writable=("temp", "logs"),
        docker_host="unix:///var/run/docker.sock",
    )
    made = TargetHost(transport, settings, lambda: transport)
    made.scripts.generation = GENERATION
    return made


def rules(*, days: float | None = None, size: int | None = None, logs: int | None = None) -> Housekeeping:
    """The section of deploy.yaml."""
    temp = TempSweep.model_construct(max_age=days and days * DAY, max_size=size) if days or size is not None else None
    return Housekeeping.model_construct(
        temp=temp, logs=LogsWatch.model_construct(warn_size=logs) if logs is not None else None
    )


USERLANDS = ("as it is", "busybox", "bash")


def tools(kind: str, directory: Path) -> dict[str, str]:
    """An environment whose PATH leads to the system's own tools, to busybox alone, or to bash as sh."""
    directory.mkdir()
    if kind == "busybox":
        for applet in subprocess.run(["busybox", "--list"], capture_output=True, text=True, check=True).stdout.split():
            (directory / applet).symlink_to("/bin/busybox")
        return {"PATH": str(directory)}
    if kind == "bash":
        (directory / "sh").symlink_to("/bin/bash")
    return {"PATH": f"{directory}:{os.environ['PATH']}"}


def sweep(
    server: Server,
    *,
    age: str = "-",
    size: str = "-",
    seconds: int = 30,
    holder: str = HOLDER,
    env: dict[str, str] | None = None,
    wrapped: tuple[str, ...] = (),
) -> subprocess.CompletedProcess[bytes]:
    """The script alone, as the adapter calls it."""
    arguments = (str(server.dir), "remove", age, size, "no", str(seconds), holder, script("sweep_files"))
    return subprocess.run(
        [*wrapped, "sh", "-c", script("sweep"), "reconciler-sweep", *arguments],
        env={**os.environ, **(env or {})},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=60,
        check=False,
    )


def _walk(top: Path, without: str = "") -> list[str]:
    found: list[str] = []
    for base, directories, files in os.walk(top):
        if base == str(top) and without:
            directories[:] = [name for name in directories if not name.startswith(without)]
        found += [os.path.join(base, name) for name in [*directories, *files]]  # noqa: PTH118 - names may be any bytes
    return found


def _seen(top: Path, home: Path, *, without: str = "") -> Seen:
    """Nothing below a name that begins with `without` is looked at: a container may be at work there."""
    found: Seen = {}
    for path in _walk(top, without):
        info = os.lstat(path)
        content = b""
        if os.path.islink(path):  # noqa: PTH114
            content = os.fsencode(os.readlink(path))  # noqa: PTH115
        elif os.path.isfile(path):  # noqa: PTH113
            content = Path(path).read_bytes()
        name = os.path.relpath(path, home)
        found[name] = (f"{info.st_mode:o}", content, info.st_ino, info.st_mtime_ns, info.st_ctime_ns)
    return found
