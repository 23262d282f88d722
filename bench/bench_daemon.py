"""What a daemon costs that has nothing to do, and how soon it sees and heals what somebody does by hand.

    python bench/bench_daemon.py [SECONDS [TARGETS [ROUNDS]]]

Targets are this machine over one real sshd, by addresses of loopback, each with an app of one container of its own
(`sleep`, no health check), all stable. First it is left alone for SECONDS (default 600): CPU is the process's own, from
/proc, and that of what it started. Then ROUNDS times a container is stopped by the engine's API: seen is from the
engine's own time of the event to the daemon's, healed until the engine says that it runs again. Prints Markdown.
"""

from __future__ import annotations

import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

import docker  # noqa: E402 - found by the line above
import yaml  # noqa: E402

from tests.world.images import Images, session_images  # noqa: E402
from tests.world.network import free_port  # noqa: E402
from tests.world.sshd import SshServer, ssh_server  # noqa: E402

COMPOSE = """\
services:
  web:
    image: ${IMAGE}:${TAG}
    command: [/bin/sleep, "100000"]
    stop_grace_period: 1s
"""
TICKS = os.sysconf("SC_CLK_TCK")


def address(number: int) -> str:
    """Where a target is; an sshd listens at 16 addresses at most."""
    return f"127.0.1.{number % 10 + 1}"


def desk(directory: Path, server: SshServer, images: Images, targets: int) -> tuple[Path, int]:
    """A deploy.yaml with so many targets, its files, and the port of the daemon's web address."""
    port, tag = free_port(), images.good()
    (directory / "app").mkdir()
    (directory / "app" / "compose.yaml").write_text(COMPOSE)
    (directory / ".env.server").write_text(f"IMAGE={images.repository}\n")
    (directory / ".env.server").chmod(0o600)
    document: dict[str, Any] = {
        "apiVersion": "reconciler/v1",
        "app": f"bench{os.getpid()}",
        "tag": tag,
        "compose": "app/compose.yaml",
        "image": {"repository": images.repository, "delivery": "present"},
        "env": {"values": ".env.server"},
        "targets": {
            f"t{n:02}": {
                "host": address(n),
                "port": server.port,
                "user": server.user,
                "identity_file": str(server.identity_file),
                "known_hosts": str(server.known_hosts),
                "deploy_dir": str(directory / f"server{n:02}"),
                "project": f"bench{os.getpid()}-{n:02}",
            }
            for n in range(targets)
        },
        "gates": {"window": "1s", "interval": "500ms"},
        "stabilization": {"period": "1s", "interval": "1s"},
        "daemon": {"listen": f"127.0.0.1:{port}", "state_dir": str(directory / "state")},
        "records": {"commit": False},
    }
    (directory / "deploy.yaml").write_text(yaml.safe_dump(document, sort_keys=False))
    return directory / "deploy.yaml", port


def cpu(pid: int) -> float:
    """Seconds of CPU of a process and of those that it has waited for."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return sum(int(fields[at]) for at in (11, 12, 13, 14)) / TICKS


def memory(pid: int) -> float:
    """MiB that it has for itself or shares."""
    found = re.search(r"VmRSS:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    return int(found[1]) / 1024 if found else 0.0


@contextmanager
def running(file: Path, log: Path) -> Iterator[int]:
    """A daemon; its pid."""
    with log.open("wb") as out:
        command = [sys.executable, "-m", "reconciler.cli.main", "run", "-f", str(file), "--log-format", "json"]
        process = subprocess.Popen([*command, "--log-level", "debug"], stderr=out, cwd=ROOT)
    try:
        yield process.pid
    finally:
        process.terminate()
        process.wait(60)


def lines(log: Path) -> Iterator[dict[str, Any]]:
    for line in log.read_text().splitlines():
        if line.startswith("{"):
            yield json.loads(line)


def await_stable(file: Path, targets: int) -> None:
    """Until every target is stable, by their own state files."""
    states = [file.parent / f"server{n:02}" / ".reconciler" / "state.json" for n in range(targets)]
    end = time.monotonic() + 60 * targets
    while not all(state.exists() and json.loads(state.read_text())["phase"] == "stable" for state in states):
        if time.monotonic() > end:
            raise SystemExit("the targets didn't become stable")
        time.sleep(1)


def idle(pid: int, seconds: float) -> None:
    time.sleep(10)
    before, rss, began = cpu(pid), [memory(pid)], time.monotonic()
    while (left := began + seconds - time.monotonic()) > 0:
        time.sleep(min(left, 30))
        rss.append(memory(pid))
    spent = cpu(pid) - before
    took = time.monotonic() - began
    print(f"| CPU of one core, idle for {took:.0f} s | {100 * spent / took:.2f} % ({spent:.2f} s) |")
    print(f"| memory at its beginning, largest, end | {rss[0]:.0f}, {max(rss):.0f}, {rss[-1]:.0f} MiB |", flush=True)


def by_hand(file: Path, log: Path, rounds: int, targets: int) -> None:
    seen, healed = [], []
    with closing(docker.DockerClient.from_env()) as engine:
        for number in range(rounds):
            project = f"bench{os.getpid()}-{number % targets:02}"
            [container] = engine.containers.list(filters={"label": f"com.docker.compose.project={project}"})
            before = len(log.read_text().splitlines())
            since = time.time()
            container.stop(timeout=0)
            died = _died(engine, str(container.id), since)
            while not container.attrs["State"]["Running"] or _stamp(container.attrs["State"]["StartedAt"]) < died:
                time.sleep(0.01)
                container.reload()
                if time.time() - since > 60:
                    raise SystemExit(f"{project} wasn't healed within a minute")
            healed.append(_stamp(container.attrs["State"]["StartedAt"]) - died)
            for line in list(lines(log))[before:]:
                if line["message"].endswith(" die") and f"t{number % targets:02}:" in line["message"]:
                    seen.append(_stamp(line["ts"]) - died)
                    break
            time.sleep(4 if number + 1 > targets else 0)  # a second repair of the same thing is paced
    for name, taken in (("seen", seen), ("healed: runs again", healed)):
        ordered = sorted(taken)
        median, late = statistics.median(ordered), ordered[int(0.9 * len(ordered))]
        print(f"| {name}, {len(taken)} times: median, 90 % | {median * 1000:.0f}, {late * 1000:.0f} ms |")


def _died(engine: docker.DockerClient, container: str, since: float) -> float:
    asked: Any = {"since": since - 1, "until": time.time() + 1, "filters": {"container": container, "event": "die"}}
    found: Any = engine.api.events(**asked, decode=True)
    return max(float(event["timeNano"]) / 1e9 for event in found)


def _stamp(text: str) -> float:
    return datetime.fromisoformat(re.sub(r"(\.\d{6})\d*Z", r"\1+00:00", text).replace("Z", "+00:00")).timestamp()


def main() -> None:
    seconds, targets, rounds = (int(given) for given in (*sys.argv[1:], *("600", "20", "30")[len(sys.argv) - 1 :]))
    with (
        tempfile.TemporaryDirectory() as base,
        tempfile.TemporaryDirectory() as keys,
        ssh_server(Path(keys), options={"ListenAddress": [address(n) for n in range(min(10, targets))]}) as server,
        session_images() as images,
    ):
        file, _ = desk(Path(base), server, images, targets)
        log = Path(base) / "log"
        try:
            with running(file, log) as pid:
                await_stable(file, targets)
                print(f"\n{targets} targets over sshd on loopback, {os.cpu_count()} cores.\n")
                print("| what | seen |\n|---|---|", flush=True)
                idle(pid, seconds)
                by_hand(file, log, rounds, targets)
        finally:
            clean(targets)


def clean(targets: int) -> None:
    """Removes what the targets had: keepers first, as their watchdog could bring things back."""
    with closing(docker.DockerClient.from_env()) as engine:
        for label in ("io.reconciler.keeper", "com.docker.compose.project"):
            for number in range(targets):
                mine: dict[str, str | list[str] | bool] = {"label": f"{label}=bench{os.getpid()}-{number:02}"}
                for container in engine.containers.list(all=True, filters=mine):
                    container.remove(force=True, v=True)
                for network in engine.networks.list(filters=mine):
                    network.remove()


if __name__ == "__main__":
    main()
