"""Debian's Alertmanager on loopback, which sends nothing to anybody: what it was told is asked of its API."""

from __future__ import annotations

import json
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.world.network import free_port

STARTUP_SECONDS = 30.0
CONFIG = "route: {receiver: nobody, group_wait: 1s}\nreceivers: [{name: nobody}]\n"


@dataclass(frozen=True, slots=True)
class Alertmanager:
    """At `address` (host:port)."""

    address: str

    def alerts(self) -> list[dict[str, Any]]:
        """Every alert that it knows of, as its API gives them (version 2)."""
        with urllib.request.urlopen(f"http://{self.address}/api/v2/alerts", timeout=10) as answer:
            found: list[dict[str, Any]] = json.load(answer)
        return found

    def names(self) -> set[str]:
        """The names of the alerts that fire."""
        return {str(alert["labels"]["alertname"]) for alert in self.alerts()}


@contextmanager
def alertmanager(tmp: Path) -> Iterator[Alertmanager]:
    """A running one with its files under `tmp`."""
    directory = tmp / "alertmanager"
    directory.mkdir()
    (directory / "config.yml").write_text(CONFIG)
    address = f"127.0.0.1:{free_port()}"
    command = [
        "prometheus-alertmanager",
        f"--config.file={directory / 'config.yml'}",
        f"--storage.path={directory / 'data'}",
        f"--web.listen-address={address}",
        "--cluster.listen-address=",
    ]
    with (directory / "log").open("wb") as log:
        process = subprocess.Popen(command, cwd=directory, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    try:
        _await_ready(process, address, directory / "log")
        yield Alertmanager(address)
    finally:
        process.terminate()
        process.wait(timeout=30)


def _await_ready(process: subprocess.Popen[bytes], address: str, log: Path) -> None:
    end = time.monotonic() + STARTUP_SECONDS
    while True:
        assert process.poll() is None, log.read_text()
        assert time.monotonic() < end, log.read_text()
        try:
            with urllib.request.urlopen(f"http://{address}/-/ready", timeout=5):
                return
        except OSError:
            time.sleep(0.1)
