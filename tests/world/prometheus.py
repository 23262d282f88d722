"""Debian's Prometheus on loopback, and the exporters that a test lets it scrape."""

from __future__ import annotations

import http.server
import json
import subprocess
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from tests.world.network import free_port

STARTUP_SECONDS = 30.0
POLL_SECONDS = 0.05
RULES = Path(__file__).parents[2] / "ops" / "prometheus"
OURS = (RULES / "reconciler.records.yml", RULES / "reconciler.alerts.yml")
LONGEST_WAIT = 60.0
"""Seconds for anything that Prometheus does each second, on a machine that has much else to do."""


class PrometheusFailed(RuntimeError):
    """It didn't start, or doesn't know what was awaited; the text holds what it said."""


@dataclass
class Prometheus:
    """A Prometheus at `address` (host:port). What it has scraped stays when it stops: `start` goes on with it."""

    address: str
    directory: Path
    log: list[str] = field(default_factory=list)
    _process: subprocess.Popen[str] | None = None
    _reader: threading.Thread | None = None

    @property
    def url(self) -> str:
        """What `gates.metrics[].prometheus` says."""
        return f"http://{self.address}"

    @property
    def pid(self) -> int:
        """Its process. Raises LookupError when it doesn't run."""
        if self._process is None:
            raise LookupError(f"the Prometheus {self.address} is stopped")
        return self._process.pid

    def start(self) -> None:
        """Start it on the same address and data, and wait until it is ready. Raises PrometheusFailed."""
        listening = threading.Event()
        self._process = subprocess.Popen(
            [
                "prometheus",
                f"--config.file={self.directory / 'prometheus.yml'}",
                f"--storage.tsdb.path={self.directory / 'data'}",
                f"--web.listen-address={self.address}",
                "--storage.tsdb.retention.time=1d",
            ],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        self._reader = threading.Thread(target=self._read_log, args=(self._process, listening), daemon=True)
        self._reader.start()
        if not listening.wait(STARTUP_SECONDS) or self._process.poll() is not None:
            self.stop()
            raise PrometheusFailed("prometheus did not start:\n" + "\n".join(self.log[-5:]))

    def stop(self) -> None:
        """Stop it, its data written: from now on its address refuses connections."""
        if self._process is not None:
            self._process.terminate()
            try:
                self._process.wait(20)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
            self._process = None
        if self._reader is not None:
            self._reader.join(10)

    def get(self, path: str, **query: str) -> Any:
        """The data of an answer of its HTTP API. Raises AssertionError with what it says where it refuses."""
        asked = f"{self.url}/api/v1/{path}?{urllib.parse.urlencode(query)}"
        try:
            with urllib.request.urlopen(asked, timeout=30) as answer:  # noqa: S310 - http
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

    def query(self, query: str) -> list[Any]:
        """The result of an instant query: a vector's series, or a scalar's time and value."""
        result: list[Any] = self.get("query", query=query)["result"]
        return result

    def await_query(self, query: str, *, seconds: float = 30.0) -> None:
        """Until `query` gives a series: Prometheus announces no scrape, so it is asked. Raises PrometheusFailed."""
        end = time.monotonic() + seconds
        while not self.query(query):
            if time.monotonic() > end:
                raise PrometheusFailed(f"no series within {seconds:g} s: {query}\n" + "\n".join(self.log[-5:]))
            time.sleep(POLL_SECONDS)

    def _read_log(self, process: subprocess.Popen[str], listening: threading.Event) -> None:
        assert process.stderr is not None
        with process.stderr as lines:
            for line in lines:
                self.log.append(line.rstrip("\n"))
                if "Server is ready to receive web requests" in line:
                    listening.set()
        listening.set()  # the end of its log: whoever waits looks whether it runs


@contextmanager
def prometheus(
    tmp: Path,
    *,
    targets: Sequence[str] = (),
    scrape_interval: str = "1s",
    job: str = "app",
    rules: Mapping[str, Any] | None = None,
    rule_files: Sequence[Path] = (),
    alertmanager: str | None = None,
) -> Iterator[Prometheus]:
    """A running Prometheus on 127.0.0.1 with its files under `tmp`, which scrapes `targets` (host:port).

    `rules` is the content of a rule file (`{"groups": […]}`), `rule_files` are others; they are evaluated as often as
    is scraped, and their alerts go to `alertmanager` (host:port).
    """
    directory = tmp / "prometheus"
    directory.mkdir()
    settings: dict[str, Any] = {
        "global": {"scrape_interval": scrape_interval, "evaluation_interval": scrape_interval},
        "scrape_configs": [{"job_name": job, "static_configs": [{"targets": list(targets)}]}],
    }
    if rules is not None:
        (directory / "rules.yml").write_text(yaml.safe_dump(dict(rules)))
        rule_files = (*rule_files, directory / "rules.yml")
    settings["rule_files"] = [str(file.resolve()) for file in rule_files]
    if alertmanager is not None:
        settings["alerting"] = {"alertmanagers": [{"static_configs": [{"targets": [alertmanager]}]}]}
    (directory / "prometheus.yml").write_text(yaml.safe_dump(settings))
    server = Prometheus(f"127.0.0.1:{free_port()}", directory)
    try:
        server.start()
        yield server
    finally:
        server.stop()


@dataclass
class Exporter:
    """Answers /metrics with `values`: metric (labels included) to number. Every request is counted in `scrapes`."""

    address: str = ""
    values: dict[str, float] = field(default_factory=dict)
    scrapes: int = 0
    _changed: threading.Condition = field(default_factory=threading.Condition)

    def set(self, **values: float) -> None:
        """Change values of metrics without labels."""
        with self._changed:
            self.values.update(values)

    def await_scrapes(self, count: int, *, seconds: float = 30.0) -> None:
        """Until it was asked `count` times from now on. Raises AssertionError."""
        with self._changed:
            wanted = self.scrapes + count
            assert self._changed.wait_for(lambda: self.scrapes >= wanted, seconds), "nobody scrapes"

    def _page(self) -> bytes:
        with self._changed:
            page = "".join(f"{name} {value}\n" for name, value in self.values.items())
            self.scrapes += 1
            self._changed.notify_all()
        return page.encode()


@contextmanager
def exporter(**values: float) -> Iterator[Exporter]:
    """An exporter on loopback until the block ends."""
    made = Exporter(values=dict(values))

    class Answering(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            page = made._page()
            self.send_response(200)
            self.send_header("Content-Type", "text/plain; version=0.0.4")
            self.send_header("Content-Length", str(len(page)))
            self.end_headers()
            self.wfile.write(page)

        def log_message(self, *_: Any) -> None:
            return None

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answering)
    server.daemon_threads = True
    server.block_on_close = False
    made.address = f"127.0.0.1:{server.server_address[1]}"
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    try:
        yield made
    finally:
        server.shutdown()
        server.server_close()


@contextmanager
def exposed(answer: Callable[[str], tuple[bytes, str]]) -> Iterator[str]:
    """A server of /metrics; `answer` gives body and content type for a header `Accept`. Gives `host:port`."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body, kind = answer(self.headers.get("Accept", ""))
            self.send_response(200)
            self.send_header("Content-Type", kind)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            return

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
