"""A pass in a child process, seen from the harness: its indices as they are reached, and its end."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.world.world import CHECKOUT


@dataclass(frozen=True)
class Index:
    """One step of a pass; `seconds` is how long its command took, where it is the middle of one."""

    number: int
    name: str
    seconds: float = 0.0


@dataclass(frozen=True)
class Ended:
    """A pass that is over; `pid` as it knows itself, for that is what it signs with."""

    pid: int
    code: int
    out: str
    err: str
    indices: tuple[Index, ...]
    seconds: float

    @property
    def result(self) -> dict[str, Any]:
        """What `--output json` says of the one target; empty where it said nothing."""
        try:
            target: dict[str, Any] = json.loads(self.out)["targets"][0]
        except (ValueError, KeyError, IndexError):
            return {}
        return target

    @property
    def steps(self) -> list[str]:
        """The kinds of its plan's steps."""
        return [str(step["kind"]) for step in self.result.get("steps") or ()]

    def __str__(self) -> str:
        told = self.result
        said = f"{told.get('result')}: {told.get('message')}" if told else self.out.strip()
        return f"exit {self.code} after {self.seconds:.1f} s, {said} {self.err.strip()[-1500:]}"


@dataclass
class Pass:
    """A running pass. `wrapper` is the command that puts it where the controller is."""

    process: subprocess.Popen[bytes]
    files: Path
    channel: socket.socket
    began: float
    pid: int = 0
    indices: list[Index] = field(default_factory=list)
    _unread: bytes = b""

    def wait_until_chosen(self, *, seconds: float) -> bool:
        """Until it stands at its index; False where it ended before that. Raises TimeoutError."""
        deadline = time.monotonic() + seconds
        while (message := self._message(deadline)) is not None:
            if message.get("chosen"):
                return True
        return False

    def go_on(self) -> None:
        """Let it, where it lives."""
        with suppress(OSError):
            self.channel.send(b"g")

    def wait(self, *, seconds: float, quietly: bool = False) -> None:
        """Until it has ended, or `seconds` are over: then TimeoutError, unless `quietly`."""
        deadline = time.monotonic() + seconds
        with suppress(TimeoutError):
            while self._message(deadline) is not None:
                pass
        try:
            self.process.wait(max(0.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            if not quietly:
                raise TimeoutError(self._hangs(seconds)) from None

    def end(self, *, seconds: float) -> Ended:
        """Its end. Raises TimeoutError after `seconds`; then it is killed."""
        try:
            self.wait(seconds=seconds)
        except TimeoutError:
            self.kill()
            raise
        finally:
            self.channel.close()
        took = time.monotonic() - self.began
        code = self.process.returncode
        return Ended(self.pid, code, self._said("out"), self._said("err"), tuple(self.indices), took)

    def kill(self) -> None:
        """The end of the whole process group."""
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def _message(self, deadline: float) -> dict[str, Any] | None:
        """The next line from the child; None at the end. Raises TimeoutError."""
        while b"\n" not in self._unread:
            self.channel.settimeout(max(0.01, deadline - time.monotonic()))
            try:
                more = self.channel.recv(65536)
            except ConnectionResetError:
                return None
            if not more:
                return None
            self._unread += more
        line, _, self._unread = self._unread.partition(b"\n")
        message: dict[str, Any] = json.loads(line)
        if "pid" in message:
            self.pid = message["pid"]
        else:
            self.indices.append(Index(message["index"], message["name"], message.get("seconds", 0.0)))
        return message

    def _hangs(self, seconds: float) -> str:
        return f"it still ran after {seconds:g} s; it had said: {self._said('err')[-1500:]}"

    def _said(self, stream: str) -> str:
        return self.files.with_suffix(f".{stream}").read_text(errors="replace")


def start(
    arguments: Sequence[str],
    *,
    wrapper: Sequence[str],
    files: Path,
    env: Mapping[str, str],
    options: Sequence[str] = (),
) -> Pass:
    """Start `reconcile ARGUMENTS --output json`; what it prints goes to `files`.out and .err.

    `wrapper` is the command that puts it where the controller is; `options` are those of `tests.faults.controller`.
    """
    ours, theirs = socket.socketpair()
    with theirs, files.with_suffix(".out").open("wb") as out, files.with_suffix(".err").open("wb") as err:
        process = subprocess.Popen(
            [
                *wrapper,
                sys.executable,
                *("-m", "tests.faults.controller", "--channel", str(theirs.fileno())),
                *options,
                "--",
                *arguments,
                *("--output", "json"),
            ],
            env={**os.environ, **env, "PYTHONPATH": str(CHECKOUT)},
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=err,
            pass_fds=[theirs.fileno()],
            start_new_session=True,
        )
    return Pass(process, files, ours, time.monotonic())
