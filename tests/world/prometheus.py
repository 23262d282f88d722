"""A real Prometheus with this project's rules, that scrapes what a test exposes every second."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

RULES = Path(__file__).parents[2] / "ops" / "prometheus"
LONGEST_WAIT = 60.0
"""Seconds for anything that Prometheus does each second, on a machine that has much else to do."""


@dataclass(frozen=True, slots=True)
class Prometheus:
    """Asked by its HTTP API."""

    url: str

    def get(self, path: str, **query: str) -> Any:
        """The data of an answer. Raises AssertionError with what Prometheus says where it refuses."""
        asked = f"{self.url}/api/v1/{path}?{urllib.parse.urlencode(query)}"
        try:
            with urllib.request.urlopen(asked, timeout=30) as answer:  # noqa: S310 - ours
                return json.load(answer)["data"]
        except urllib.error.HTTPError as error:
            raise AssertionError(f"{query}: {error.read().decode()}") from error

    def vector(self, expression: str) -> list[tuple[dict[str, str], float]]:
        """Labels and values of an instant query."""
        found = self.get("query", query=expression)["result"]
        return [(each["metric"], float(each["value"][1])) for each in found]

    def until(self, expression: str, is_so: Callable[[list[tuple[dict[str, str], float]]], bool]) -> None:
        """Waits until an instant query has such a result; it can only be asked again and again."""
        end = time.monotonic() + LONGEST_WAIT
        while not is_so(found := self.vector(expression)):
            assert time.monotonic() < end, (expression, found)
            time.sleep(0.2)


@contextmanager
def exposed(answer: Callable[[str], tuple[bytes, str]]) -> Iterator[str]:
    """A server of /metrics; `answer` gives body and content type for a header `Accept`. Gives `host:port`."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body, kind = answer(self.headers.get("Accept", ""))
            self.send_response(200)
            self.send_header("Content-Type", kind)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@contextmanager
def prometheus(directory: Path, scraped: str) -> Iterator[Prometheus]:
    """One that scrapes `scraped` (host:port) as the job `reconciler`; its data and log are in `directory`."""
    for file in RULES.glob("*.yml"):
        shutil.copy(file, directory)
    config = {
        "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
        "rule_files": ["reconciler.records.yml", "reconciler.alerts.yml"],
        "scrape_configs": [{"job_name": "reconciler", "static_configs": [{"targets": [scraped]}]}],
    }
    (directory / "prometheus.yml").write_text(json.dumps(config))  # JSON is YAML
    with socket.create_server(("127.0.0.1", 0)) as free:
        address = f"127.0.0.1:{free.getsockname()[1]}"
    command = [
        "prometheus",
        "--config.file=prometheus.yml",
        "--storage.tsdb.path=data",
        f"--web.listen-address={address}",
    ]
    with (directory / "log").open("wb") as log:
        process = subprocess.Popen(command, cwd=directory, stdout=log, stderr=log)
    try:
        _await_ready(process, address, directory / "log")
        yield Prometheus(f"http://{address}")
    finally:
        process.terminate()
        process.wait(timeout=30)


def _await_ready(process: subprocess.Popen[bytes], address: str, log: Path) -> None:
    end = time.monotonic() + LONGEST_WAIT
    while True:
        assert process.poll() is None, log.read_text()
        assert time.monotonic() < end, log.read_text()
        try:
            with urllib.request.urlopen(f"http://{address}/-/ready", timeout=5):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.2)
