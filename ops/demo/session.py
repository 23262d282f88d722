"""How the demo looks and measures: a terminal session with its commands, and a client that never stops asking."""

from __future__ import annotations

import http.client
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

PATIENCE = 60.0
"""Seconds that a command gets to end by itself after Ctrl-C: `reconcile` reverts first."""

say = partial(print, flush=True)


class DemoFailed(RuntimeError):
    """Something went otherwise than the demo says; the text says what."""


@dataclass
class Terminal:
    """Runs commands in one directory as a person would see them."""

    directory: Path
    env: Mapping[str, str]
    scenes: int = 0

    def scene(self, title: str) -> None:
        """A heading."""
        self.scenes += 1
        heading = f"{self.scenes}. {title}"
        say(f"\n{_bold(heading)}\n{'─' * len(heading)}")

    def run(self, *command: str, expect: int | None = 0, until: str | None = None) -> None:
        """Show a command, run it, show its exit code. Raises DemoFailed for another than `expect`; None takes any.

        Of a long output, `until` starts the line from which on it is left out.
        """
        say(_bold(f"$ {' '.join(command)}"))
        sink = None if until is None else subprocess.PIPE
        process = subprocess.Popen(command, cwd=self.directory, env=self.env, stdin=subprocess.DEVNULL, stdout=sink)
        try:
            if until is not None:
                _say_until(until, process.communicate()[0].decode())
            status = process.wait()
        except BaseException:
            _let_end(process)
            raise
        if status or expect:
            say(f"[exit {status}]")
        if expect is not None and status != expect:
            raise DemoFailed(f"`{' '.join(command)}` ended with {status}, and {expect} was expected")

    def quietly(self, *command: str) -> str:
        """The output of a command that is no part of the show. Raises DemoFailed."""
        done = subprocess.run(command, cwd=self.directory, env=self.env, capture_output=True, text=True, check=False)
        if done.returncode:
            raise DemoFailed(f"`{' '.join(command)}` ended with {done.returncode}: {done.stderr.strip()}")
        return done.stdout.strip()


@dataclass
class Client:
    """Asks `url` every 20 ms from `start` to `stop`, each time on a new connection."""

    url: str
    asked: int = 0
    failed: int = 0
    _ended: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin to ask, and to count."""
        self.asked = self.failed = 0
        self._ended.clear()
        self._thread = threading.Thread(target=self._ask_on, daemon=True)
        self._thread.start()

    def stop(self) -> str:
        """Stop asking; what was counted, as a sentence."""
        self._ended.set()
        if self._thread is not None:
            self._thread.join()
        return f"a client asked {self.asked} times meanwhile, and {self.failed} of its requests failed"

    def _ask_on(self) -> None:
        while not self._ended.wait(0.02):
            self.asked += 1
            self.failed += get(self.url) is None


def get(url: str) -> str | None:
    """The body of a GET answered with 200, without white space at its ends; None for anything else."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=2)
    try:
        connection.request("GET", parts.path)
        answer = connection.getresponse()
        body = answer.read().decode().strip()
        return body if answer.status == http.HTTPStatus.OK else None
    except (OSError, http.client.HTTPException):
        return None
    finally:
        connection.close()


def _let_end(process: subprocess.Popen[bytes]) -> None:
    """Ctrl-C reached the command, too: it may clean up. After a while, or at another Ctrl-C, it is killed."""
    deadline = time.monotonic() + PATIENCE
    try:
        process.wait(deadline - time.monotonic())
    except (subprocess.TimeoutExpired, KeyboardInterrupt):
        process.kill()
        process.wait()


def _say_until(start: str, output: str) -> None:
    lines = output.splitlines()
    end = next((number for number, line in enumerate(lines) if line.startswith(start)), len(lines))
    say("\n".join(lines[:end]).rstrip())
    if end < len(lines):
        say(f"({len(lines) - end} more lines, for machines)")


def _bold(text: str) -> str:
    return f"\033[1m{text}\033[0m" if sys.stdout.isatty() else text
