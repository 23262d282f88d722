"""What the target's own watchdog makes of what it finds: whose fault it is, and how often it tries (`watch.sh`)."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest

from reconciler.adapters.host import guard
from reconciler.model.watchdog import Alone, Ended
from reconciler.remote import script
from tests.integration.lab import FOREVER, Lab
from tests.world.network import free_port

pytestmark = pytest.mark.engine


def alone(place: Path, project: str, *, silence: str, steps: str = "", home: Path | None = None) -> Alone:
    """What a watchdog leaves that finds a lease which has run out."""
    (place / "releases" / "r1").mkdir(parents=True)
    base = place / ".reconciler" / "watchdog"
    lease = base / "lease"
    lease.mkdir(parents=True)
    boot = Path("/proc/sys/kernel/random/boot_id").read_text()
    (lease / "about").write_text(
        f"mode switch\nlease l\nrun l\nentering r2\nback r1\nproject {project}\nseconds 1\nsilence {silence}\n"
        f"since 2020-01-01T00:00:00\nboot {boot}ends 0\n"
    )
    (lease / "steps").write_text(steps)
    (lease / "until").write_text("0\n")
    env: Mapping[str, str] = {**os.environ, "HOME": str(home or place)}
    watch = ["sh", "-c", script("watch"), "reconciler-watchdog", str(place), "/var/run/docker.sock", "detached"]
    done = subprocess.run(watch, env=env, capture_output=True, text=True, timeout=60, check=True)
    assert done.stderr == ""
    found = guard.alone(
        {"outcome": (base / "outcome" / "about").read_bytes(), "alone": (base / "outcome" / "told").read_bytes()}
    )
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("command", "starts", "result", "is_sick"),
    [
        (FOREVER, True, Ended.KEPT, False),
        ("exit 3", True, Ended.REVERT_FAILED, True),
        ("exit 255", True, Ended.REVERTED, False),
        (FOREVER, False, Ended.REVERTED, False),
    ],
    ids=["runs", "ended badly", "was running when the power was cut", "was never started"],
)
def test_what_was_cut_short_is_nobodys_fault_and_is_not_kept_either(
    lab: Lab, tmp_path: Path, command: str, starts: bool, result: Ended, is_sick: bool
) -> None:
    container = lab.run("web", command, start=starts)
    if command != FOREVER:
        lab.ended(container)
    found = alone(tmp_path, lab.project, silence="keep")
    assert (found.result, bool(found.sick)) == (result, is_sick), found


@pytest.mark.parametrize(("failures", "result"), [(2, Ended.REVERTED), (3, Ended.REVERT_FAILED)])
def test_compose_is_called_again_while_the_engine_is_busy(
    lab: Lab, tmp_path: Path, failures: int, result: Ended
) -> None:
    port = free_port()
    found = alone(
        tmp_path / "app",
        lab.project,
        silence="revert",
        steps="up web\n",
        home=compose_that_fails(tmp_path, failures, port),
    )
    assert found.result is result
    holds = f"the engine holds port {port} for a container that is gone"
    assert any(holds in line for line in found.told) == (result is Ended.REVERT_FAILED), found.told


def test_a_port_that_another_container_has_is_not_nobodys(lab: Lab, tmp_path: Path) -> None:
    port = free_port()
    bindings = {"8000/tcp": [{"HostIp": "127.0.0.1", "HostPort": str(port)}]}
    network = {"NetworkMode": "bridge", "PortBindings": bindings}
    lab.run("other", ExposedPorts={"8000/tcp": {}}, HostConfig=network)
    home = compose_that_fails(tmp_path, 3, port)
    found = alone(tmp_path / "app", lab.project, silence="revert", steps="up web\n", home=home)
    assert found.result is Ended.REVERT_FAILED
    assert not any("holds port" in line for line in found.told), found.told


def compose_that_fails(tmp_path: Path, times: int, port: int) -> Path:
    """A home directory with a Compose that the engine refuses the port so many times."""
    plugin = tmp_path / "home" / ".docker" / "cli-plugins" / "docker-compose"
    plugin.parent.mkdir(parents=True)
    plugin.write_text(
        f"#!/bin/sh\necho x >>{tmp_path}/calls\n"
        f'if [ "$(wc -l <{tmp_path}/calls)" -le {times} ]; then\n'
        f'    echo "Error: Bind for 127.0.0.1:{port} failed: port is already allocated" >&2\n    exit 1\nfi\n'
    )
    plugin.chmod(0o755)
    return tmp_path / "home"
