"""From nothing to the engine's first answer, and from then on: our transports beside the docker library's own ssh://.

    python -m bench.bench_transport [runs]

Starts an sshd of its own on loopback and prints Markdown rows: medians in milliseconds over `runs` (20).
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from reconciler.adapters.engine.client import api_client
from reconciler.adapters.transport.local import LocalTransport
from reconciler.adapters.transport.ssh import SshTransport
from reconciler.adapters.transport.ssh_settings import SshSettings
from reconciler.ports import Transport
from tests.world.sshd import SshServer, ssh_server

WARM_CALLS = 20


def main(runs: int) -> None:
    print(f"| medians of {runs} runs, ms | cold: first list | warm: list | exec `true` |")
    print("|---|---|---|---|")
    with tempfile.TemporaryDirectory() as directory:
        tmp = Path(directory)
        with ssh_server(tmp) as server:
            _row("local socket", *_ours(LocalTransport, runs))
            _row("ssh, ours", *_ours(lambda: SshTransport(_settings(server)), runs))
            _row("docker library, ssh:// by paramiko", *_theirs(server, tmp, runs), None)
        with ssh_server(tmp, options={"AllowStreamLocalForwarding": "no"}) as server:
            _row("ssh, ours, forwarding forbidden", *_ours(lambda: SshTransport(_settings(server)), runs))
    for name, modules in [
        ("import: paramiko without invoke", "reconciler.adapters.transport._paramiko"),
        ("import: paramiko as it is", "paramiko"),
        ("import: docker without paramiko", "reconciler.adapters.engine.library"),
        ("import: docker as it is", "docker"),
    ]:
        _row(name, statistics.median(_import_seconds(modules) for _ in range(runs)), None, None)


def _settings(server: SshServer) -> SshSettings:
    empty = server.known_hosts.with_name("empty_config")
    empty.touch()
    return SshSettings(
        host=server.host,
        port=server.port,
        user=server.user,
        identity_file=server.identity_file,
        known_hosts=server.known_hosts,
        config_file=empty,
    )


def _ours(make: Callable[[], Transport], runs: int) -> tuple[float, float, float]:
    cold, warm, execs = [], [], []
    for _ in range(runs):
        began = time.perf_counter()
        transport = make()
        client = api_client(transport)
        client.containers(all=True)
        cold.append(time.perf_counter() - began)
        warm += [_timed(lambda: client.containers(all=True)) for _ in range(WARM_CALLS)]  # noqa: B023 - called at once
        execs.append(_timed(lambda: transport.run(["true"])))  # noqa: B023 - called at once
        client.close()
        transport.close()
    return statistics.median(cold), statistics.median(warm), statistics.median(execs)


def _theirs(server: SshServer, tmp: Path, runs: int) -> tuple[float, float]:
    """In a process of its own: its ssh adapter is what ours keeps out, and it takes its keys from HOME alone."""
    home = tmp / "home"
    (home / ".ssh").mkdir(parents=True, exist_ok=True)
    (home / ".ssh" / "config").write_text(f"Host {server.host}\n  IdentityFile {server.identity_file}\n")
    (home / ".ssh" / "known_hosts").write_text(server.known_hosts.read_text())
    script = (
        "import sys, time, statistics, docker\n"
        "cold, warm = [], []\n"
        f"for _ in range({runs}):\n"
        "    began = time.perf_counter()\n"
        "    client = docker.APIClient(sys.argv[1], version='auto')\n"
        "    client.containers(all=True)\n"
        "    cold.append(time.perf_counter() - began)\n"
        f"    for _ in range({WARM_CALLS}):\n"
        "        began = time.perf_counter()\n"
        "        client.containers(all=True)\n"
        "        warm.append(time.perf_counter() - began)\n"
        "    client.close()\n"
        "print(statistics.median(cold), statistics.median(warm))\n"
    )
    url = f"ssh://{server.user}@{server.host}:{server.port}"
    environment = {**os.environ, "HOME": str(home)}
    environment.pop("SSH_AUTH_SOCK", None)
    done = subprocess.run(
        [sys.executable, "-c", script, url], capture_output=True, text=True, env=environment, check=True, timeout=600
    )
    cold, warm = done.stdout.split()
    return float(cold), float(warm)


def _import_seconds(module: str) -> float:
    script = f"import time; began = time.perf_counter(); import {module}; print(time.perf_counter() - began)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60)
    return float(done.stdout)


def _timed(call: Callable[[], object]) -> float:
    began = time.perf_counter()
    call()
    return time.perf_counter() - began


def _row(name: str, *seconds: float | None) -> None:
    print(f"| {name} | {' | '.join('' if value is None else f'{value * 1000:.1f}' for value in seconds)} |")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 20)
