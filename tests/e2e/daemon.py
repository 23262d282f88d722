"""A daemon as its users run it: a bare repository that it follows, a process of its own, and its web address."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.e2e.job import Job
from tests.world.network import free_port
from tests.world.world import CHECKOUT


@dataclass
class Daemon:
    """A `reconcile run`. `said` is its log so far; `job.repo` is the developer's clone of `remote`."""

    job: Job
    remote: Path
    state: Path
    port: int
    process: subprocess.Popen[str]
    said: list[str] = field(default_factory=list)
    _heard: threading.Condition = field(default_factory=threading.Condition)

    def push(self, message: str = "Change") -> str:
        """What a merge does: commit everything, and push it on top of what the daemon pushed. The commit's id."""
        self.job.repo.commit(message)
        self.job.repo.git("pull", "--quiet", "--rebase", "origin", "main")
        self.job.repo.git("push", "--quiet", "origin", "HEAD:main")
        return self.job.repo.git("rev-parse", "HEAD")

    def release(self, tag: str) -> str:
        """Pushes a commit that changes the tag."""
        self.job.repo.git("pull", "--quiet", "--rebase", "origin", "main")
        self.job.repo.set(tag=tag)
        return self.push(f"Release {tag}")

    def ask(self, path: str, headers: Mapping[str, str] | None = None, data: bytes | None = None) -> tuple[int, str]:
        """Status and body of one request."""
        url = f"http://127.0.0.1:{self.port}{path}"
        request = urllib.request.Request(url, data=data, headers=dict(headers or {}))
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310 - http, to loopback
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()

    def metric(self, name: str, **labels: str) -> float | None:
        """The value of one series; None where there is none, or nobody answers yet."""
        try:
            _, body = self.ask("/metrics")
        except urllib.error.URLError:
            return None
        for line in body.splitlines():
            if line.startswith((f"{name}{{", f"{name} ")):
                found = dict(re.findall(r'(\w+)="([^"]*)"', line))
                if all(found.get(key) == value for key, value in labels.items()):
                    return float(line.rpartition(" ")[2])
        return None

    def wait_for(self, text: str, *, seconds: float = 30.0, after: int = 0) -> str:
        """The first line of its log, from the line `after` on, that has `text` in it."""
        end = time.monotonic() + seconds
        with self._heard:
            while True:
                found = next((line for line in self.said[after:] if text in line), None)
                if found is not None:
                    return found
                left = end - time.monotonic()
                if left <= 0 or self.process.poll() is not None:
                    raise AssertionError(f"not said within {seconds} s: {text!r}\n" + "\n".join(self.said[-40:]))
                self._heard.wait(min(left, 0.5))

    def listen(self) -> None:
        """Reads its log until it ends."""
        assert self.process.stderr is not None
        for line in self.process.stderr:
            with self._heard:
                self.said.append(line.rstrip())
                self._heard.notify_all()

    def remote_file(self, path: str, branch: str = "main") -> str:
        """A file's content at the remote."""
        return _git(self.remote, "show", f"{branch}:{path}")

    def remote_records(self, branch: str = "main") -> list[str]:
        """Names of the records that the remote has."""
        listed = _git(self.remote, "ls-tree", "--name-only", branch, "ops/run_records/")
        return [Path(line).stem for line in listed.splitlines() if line.endswith(".md")]

    def commits(self, branch: str = "main") -> list[str]:
        """Subjects of the remote's commits, newest first."""
        return _git(self.remote, "log", "--format=%s", branch).splitlines()

    def end(self, *, expect: int | None = 0, seconds: float = 120.0) -> None:
        """SIGTERM, and its end."""
        if self.process.poll() is None:
            self.process.terminate()
        try:
            self.process.wait(timeout=seconds)
        except subprocess.TimeoutExpired:
            self.process.send_signal(signal.SIGABRT)  # Python's faulthandler says where each thread is
            self.process.wait(timeout=10)
            raise AssertionError(f"not ended within {seconds} s:\n" + "\n".join(self.said[-200:])) from None
        text = "\n".join(self.said)
        assert "Traceback" not in text, text
        assert "a defect of this program" not in text, text
        if expect is not None:
            assert self.process.returncode == expect, text


def published(job: Job, remote: Path) -> None:
    """The developer's repository gets a remote, a bare one, that has everything so far."""
    _git(remote.parent, "init", "--quiet", "--bare", "--initial-branch=main", str(remote))
    job.repo.git("remote", "add", "origin", str(remote))
    job.repo.git("push", "--quiet", "origin", "HEAD:main")


@contextmanager
def daemon(
    job: Job,
    tmp: Path,
    *,
    edits: Mapping[str, Any] | None = None,
    env: Mapping[str, str] | None = None,
    port: int | None = None,
) -> Iterator[Daemon]:
    """Starts a daemon that follows a bare repository; it, and what it was started with, are gone at the end."""
    remote, state, port = tmp / "remote.git", tmp / "state", port or free_port()
    if not remote.exists():
        job.repo.edit(
            {
                "git": {"url": str(remote), "every": "500ms", "grace": "2s"},
                "records.push": True,
                "records.push_every": "1s",
                "daemon": {"listen": f"127.0.0.1:{port}", "state_dir": str(state)},
                "drift.every": "5m",
                **(edits or {}),
            }
        )
        job.repo.commit("Followed by a daemon")
        published(job, remote)
    else:
        job.repo.edit({"daemon.listen": f"127.0.0.1:{port}"})
    with started(job, remote, state, port, env) as running:
        yield running


@contextmanager
def started(job: Job, remote: Path, state: Path, port: int, env: Mapping[str, str] | None = None) -> Iterator[Daemon]:
    """A daemon over what is there."""
    process = subprocess.Popen(
        [sys.executable, "-m", "reconciler.cli.main", "run", "--log-level", "debug"],
        cwd=job.repo.path,
        env={**os.environ, "PYTHONPATH": str(CHECKOUT), "PYTHONFAULTHANDLER": "1", **(env or {})},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    running = Daemon(job, remote, state, port, process)
    reader = threading.Thread(target=running.listen, daemon=True)
    reader.start()
    try:
        yield running
    except AssertionError as error:
        error.add_note(
            "what the daemon said:\n" + "\n".join(line for line in running.said if "apscheduler" not in line)
        )
        raise
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()
        reader.join(5.0)
        if process.stderr is not None:
            process.stderr.close()


def await_value(what: str, read: Callable[[], object], wanted: object, *, seconds: float = 30.0) -> None:
    """Until `read()` gives `wanted`: for what no line announces."""
    deadline = time.monotonic() + seconds
    while (found := read()) != wanted:
        assert time.monotonic() < deadline, f"{what} is {found!r} and not {wanted!r} after {seconds} s"
        time.sleep(0.1)


def _git(cwd: Path, *arguments: str) -> str:
    return subprocess.run(["git", *arguments], cwd=cwd, capture_output=True, text=True, check=True).stdout
