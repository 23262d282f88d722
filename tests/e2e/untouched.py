"""The judge of a refusal: whatever was said, what runs must not have noticed, and nothing may be left half-done."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tests.world.network import Place, here
from tests.world.poller import poll
from tests.world.world import Completed, Project

EVERY = 0.1
"""Seconds between two requests of the judge. Each is a process of the app's; a restart costs longer than this."""


@contextmanager
def untouched(project: Project, serving: str, *, place: Place = here) -> Iterator[None]:
    """Fails unless, all through the block, a client got `serving` from `/version` each time, and afterwards the
    containers are the same and the releases, too, with no part of another one."""
    containers, releases = project.container_ids(), _releases(project)
    with poll(project.url("/version"), every=EVERY, place=place) as client:
        client.wait_for(serving)
        yield
        client.wait_for(serving)
    assert client.failures() == []
    assert {body.strip() for body in client.bodies()} == {serving}
    assert project.container_ids() == containers
    assert _releases(project) == releases
    assert leftovers(project) == []


def leftovers(project: Project) -> list[str]:
    """What a pass that ended may not leave in `.reconciler`."""
    own = project.deploy_dir / ".reconciler"
    half_written = [path.name for path in own.rglob("*.new")]
    return half_written + [f"staging/{path.name}" for path in (own / "staging").glob("*")]


def refused(done: Completed, code: int, *words: str) -> str:
    """The one clear line of a pass that refused with `code`; every one of `words` is in it."""
    said = done.stdout + done.stderr
    assert done.returncode == code, said
    lines = [line for line in said.splitlines() if line.strip()]
    assert len(lines) == 1, said
    missing = [word for word in words if word not in lines[0]]
    assert not missing, f"{missing} not in: {lines[0]}"
    assert "Traceback" not in said
    assert "defect" not in said
    return lines[0]


ENOUGH = 4


@contextmanager
def watching_processes(canary: str) -> Iterator[list[str]]:
    """Command lines and environments of this machine's processes that held `canary` meanwhile, each with its name.

    A server of a test (tests.world.engine) is among them: its processes are this machine's.
    """
    found: dict[str, None] = {}
    ended = threading.Event()

    looks: dict[str, int] = {}

    def watch() -> None:
        while not ended.wait(0.01):
            # A hundred times a second, so without a Path for every process.
            for name in filter(str.isdigit, os.listdir("/proc")):  # noqa: PTH208
                looked = looks[name] = looks.get(name, 0) + 1
                if looked <= ENOUGH:  # it was forked, and has become what it will be
                    look(Path("/proc", name))

    def look(entry: Path) -> None:
        for name in ("cmdline", "environ"):
            with suppress(OSError):
                if canary.encode() in (entry / name).read_bytes():
                    who = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
                    found[f"{name} of {who[:120]} in {_innermost((entry / 'cgroup').read_text())}"] = None

    thread = threading.Thread(target=watch, name="ps", daemon=True)
    thread.start()
    report: list[str] = []
    try:
        yield report
    finally:
        ended.set()
        thread.join()
        report += found


def _innermost(cgroup: str) -> str:
    names = {line.rpartition("/")[2] for line in cgroup.splitlines()}
    return next((name[:12] for name in names if len(name) == 64), "no container")


def _releases(project: Project) -> list[str]:
    directory = project.deploy_dir / "releases"
    return sorted(path.name for path in directory.iterdir()) if directory.exists() else []
