"""One pass beside `docker compose`, in turn, on this machine: nothing to do, and a tag change until healthy.

    python bench/bench_pass.py [ROUNDS]

Builds its own world: one service with a health check every second, an sshd on loopback, a directory for each side.
Prints Markdown: medians in milliseconds, and ratios between what was run in turn.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import docker

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from ops.demo.images import build, remove  # noqa: E402 - found by the line above
from tests.world.sshd import SshServer, ssh_server  # noqa: E402

REPOSITORY = "reconciler-bench"
TAGS = ("20260122_101500", "20260122_111500")
COMPOSE = f"""\
services:
  web:
    image: {REPOSITORY}:${{TAG}}
    command: ["/bin/sh", "-c", "trap 'exit 0' TERM; while :; do sleep 3600 & wait $$!; done"]
    restart: unless-stopped
    healthcheck: {{test: [CMD, "true"], interval: 1s, timeout: 3s, retries: 3}}
"""
IMPORTS = (
    "import reconciler.cli.main, reconciler.cycle.reconcile, reconciler.adapters.transport.local,"
    " reconciler.adapters.engine.engine"
)


@dataclass(frozen=True)
class Side:
    """One way of doing it: `prepare` sets the tag, `command` acts."""

    name: str
    project: str
    prepare: Callable[[str], None]
    command: list[str]
    directory: Path


def deploy_yaml(directory: Path, project: str, server: SshServer | None) -> None:
    target: dict[str, Any] = {
        "host": "local",
        "deploy_dir": str(directory.parent / f"{directory.name}-server"),
        "project": project,
    }
    if server is not None:
        target |= {
            "host": server.host,
            "port": server.port,
            "user": server.user,
            "identity_file": str(server.identity_file),
            "known_hosts": str(server.known_hosts),
        }
    document = {
        "apiVersion": "reconciler/v1",
        "app": project,
        "tag": TAGS[0],
        "compose": "compose.yaml",
        "image": {"repository": REPOSITORY, "delivery": "present"},
        "targets": {"bench": target},
        "gates": {"window": "100ms", "interval": "100ms"},
        "stabilization": {"period": "1ms", "interval": "1s"},
    }
    directory.mkdir(parents=True)
    (directory / "compose.yaml").write_text(COMPOSE)
    (directory / "deploy.yaml").write_text(json.dumps(document))
    subprocess.run(["git", "init", "--quiet"], cwd=directory, check=True)


def ours(name: str, base: Path, project: str, server: SshServer | None = None) -> Side:
    directory = base / name
    deploy_yaml(directory, project, server)
    file = directory / "deploy.yaml"

    def prepare(tag: str) -> None:
        file.write_text(json.dumps({**json.loads(file.read_text()), "tag": tag}))

    return Side(name, project, prepare, [sys.executable, "-m", "reconciler.cli.main", "--once"], directory)


def compose(name: str, base: Path, project: str, command: list[str]) -> Side:
    directory = base / name
    directory.mkdir()
    (directory / "compose.yaml").write_text(COMPOSE)

    def prepare(tag: str) -> None:
        (directory / ".env").write_text(f"TAG={tag}\n")

    return Side(name, project, prepare, command, directory)


def run(side: Side) -> float:
    """Wall seconds of the side's command."""
    begin = time.perf_counter()
    done = subprocess.run(
        side.command, cwd=side.directory, env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, check=False
    )
    spent = time.perf_counter() - begin
    if done.returncode != 0:
        raise SystemExit(
            f"{side.name}: exit {done.returncode}: {done.stderr.decode()[-500:]}{done.stdout.decode()[-500:]}"
        )
    return spent


def until_healthy(engine: docker.DockerClient, side: Side) -> float:
    """Seconds from the command's start until the engine says that the new container is healthy."""
    begin_wall = time.time()
    run(side)
    span: dict[str, Any] = {"since": f"{begin_wall:.6f}", "until": f"{time.time():.6f}"}
    wanted = {"label": f"com.docker.compose.project={side.project}", "event": "health_status"}
    events = engine.events(**span, filters=wanted, decode=True)
    healthy = [event["timeNano"] / 1e9 for event in events if event["Action"].endswith(": healthy")]
    if not healthy:
        raise SystemExit(f"{side.name}: the engine never said healthy")
    return float(healthy[-1] - begin_wall)


@contextmanager
def world() -> Iterator[tuple[Path, SshServer]]:
    for tag in TAGS:
        build(tag, repository=REPOSITORY)
    with tempfile.TemporaryDirectory() as tmp, tempfile.TemporaryDirectory() as keys, ssh_server(Path(keys)) as server:
        try:
            yield Path(tmp), server
        finally:
            client = docker.from_env()
            for label in ("com.docker.compose.project", "io.reconciler.keeper"):
                for container in client.containers.list(all=True, filters={"label": label}):
                    if container.labels[label].startswith("bench-"):
                        container.remove(force=True)
            client.networks.prune(filters={"label": "com.docker.compose.project"})
            for tag in TAGS:
                remove(f"{REPOSITORY}:{tag}")


def table(title: str, rows: dict[str, list[float]], base: str) -> None:
    print(f"\n### {title}\n\n| | median ms | min | max | × {base} |\n|---|---|---|---|---|")
    reference = statistics.median(rows[base])
    for name, values in rows.items():
        middle = statistics.median(values)
        figures = (
            f"{middle * 1000:.0f} | {min(values) * 1000:.0f} | {max(values) * 1000:.0f} | {middle / reference:.2f}"
        )
        print(f"| {name} | {figures} |")


def main() -> None:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 10
    with world() as (base, server):
        engine = docker.from_env()
        login = [
            "ssh",
            "-i",
            str(server.identity_file),
            "-p",
            str(server.port),
            "-o",
            f"UserKnownHostsFile={server.known_hosts}",
        ]
        far = compose("ssh compose up", base, "bench-ssh", [])
        there = f"cd '{far.directory}' && docker compose -p bench-ssh up -d"
        far.command[:] = [*login, f"{server.user}@{server.host}", there]
        sides = [
            compose("compose up", base, "bench-compose", ["docker", "compose", "-p", "bench-compose", "up", "-d"]),
            ours("reconcile", base, "bench-local"),
            far,
            ours("reconcile over ssh", base, "bench-far", server),
        ]
        for side in sides:
            side.prepare(TAGS[0])
            run(side)
            run(side)
        docker_version, python = engine.version()["Version"], sys.version.split()[0]
        print(f"Docker {docker_version}, {os.cpu_count()} cores, Python {python}, {rounds} rounds")

        imports: list[float] = []
        noop: dict[str, list[float]] = {side.name: [] for side in sides}
        for _ in range(rounds):
            for side in sides:
                noop[side.name].append(run(side))
            begin = time.perf_counter()
            subprocess.run([sys.executable, "-c", IMPORTS], cwd=ROOT, check=True)
            imports.append(time.perf_counter() - begin)
        noop["imports alone"] = imports
        table("Nothing to do, cold process", noop, "compose up")

        waiting = compose(
            "compose up --wait", base, "bench-wait", ["docker", "compose", "-p", "bench-wait", "up", "-d", "--wait"]
        )
        changing = [waiting, sides[1], sides[3]]
        changes: dict[str, list[float]] = {side.name: [] for side in changing}
        waiting.prepare(TAGS[0])
        run(waiting)
        for turn in range(rounds):
            for side in changing:
                side.prepare(TAGS[(turn + 1) % 2])
                changes[side.name].append(run(side) if side is waiting else until_healthy(engine, side))
        table("Tag change until healthy", changes, "compose up --wait")


if __name__ == "__main__":
    main()
