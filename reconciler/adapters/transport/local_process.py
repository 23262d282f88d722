"""A local process whose output is read by threads: Windows can't wait for pipes, and nothing here may deadlock."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import threading
import time
from typing import IO

from reconciler.adapters.transport.streams import SocketLike, raise_dial_failure
from reconciler.model.errors import TargetTimeout, TargetUnreachable
from reconciler.ports import Completed

_READ_BYTES = 65536


class LocalProcess:
    """A running local command, in a process group of its own."""

    def __init__(self, popen: subprocess.Popen[bytes], name: str) -> None:
        self._popen = popen
        self._name = name
        self._stdout = _Pump(popen.stdout, f"{name}-stdout")
        self._stderr = _Pump(popen.stderr, f"{name}-stderr")

    def read_line(self, timeout: float) -> bytes:
        try:
            return self._stdout.take_line(timeout)
        except TimeoutError as error:
            raise TargetTimeout(f"local: {self._name}: no line within {timeout:g} s") from error

    def write(self, data: bytes) -> None:
        stdin = _pipe(self._popen.stdin)
        try:
            stdin.write(data)
            stdin.flush()
        except (OSError, ValueError) as error:
            raise TargetUnreachable(f"local: {self._name}: it has ended") from error

    def wait(self, timeout: float) -> Completed:
        """Raises TargetTimeout when it outlives `timeout` seconds; its process group is killed."""
        deadline = time.monotonic() + timeout
        _close_quietly(self._popen.stdin)
        try:
            stdout = self._stdout.take_all(deadline)
            stderr = self._stderr.take_all(deadline)
            status = self._popen.wait(max(0.0, deadline - time.monotonic()))
        except (TimeoutError, subprocess.TimeoutExpired) as error:
            kill_group(self._popen)
            raise TargetTimeout(f"local: {self._name}: still running after {timeout:g} s; killed") from error
        return Completed(128 - status if status < 0 else status, stdout, stderr)

    def close(self) -> None:
        _close_quietly(self._popen.stdin)
        self._stdout.stop()
        self._stderr.stop()
        reap(self._popen)


class ProcessStream(SocketLike):
    """The standard input and output of a local process as a stream (`docker system dial-stdio`).

    At its end the process is killed; or, where it `ends_itself`, only its input ends.
    """

    def __init__(self, popen: subprocess.Popen[bytes], timeout: float | None, *, ends_itself: bool = False) -> None:
        super().__init__(timeout)
        self._ends_itself = ends_itself
        self._popen = popen
        self._stdout = _Pump(popen.stdout, "dial-stdio-stdout")
        self._stderr = _Pump(popen.stderr, "dial-stdio-stderr")

    def _receive(self, size: int) -> bytes:
        data = self._stdout.take(size, self._timeout)
        if not data and not self._closed:
            self._raise_if_failed()
        return data

    def _send(self, data: bytes) -> None:
        stdin = _pipe(self._popen.stdin)
        try:
            stdin.write(data)
            stdin.flush()
        except BrokenPipeError:
            self._raise_if_failed()
            raise

    def is_quiet(self) -> bool:
        return not self._closed and self._stdout.is_waiting()

    def _end(self) -> None:
        if self._ends_itself:
            _close_quietly(self._popen.stdin)
            reap(self._popen)
        else:
            kill_group(self._popen)
        self._stdout.stop()
        self._stderr.stop()

    def _raise_if_failed(self) -> None:
        """The end of its output is the end of the stream, unless the process says that it failed."""
        deadline = time.monotonic() + 5.0
        try:
            status = self._popen.wait(5.0)
            said = self._stderr.take_all(deadline)
        except (TimeoutError, subprocess.TimeoutExpired):
            return  # it closed its output and lives on: a plain end of the stream
        raise_dial_failure(status, said)


class _Pump:
    """Reads one pipe to its end in a thread of its own, and hands out what came."""

    def __init__(self, pipe: IO[bytes] | None, name: str) -> None:
        self._pipe = _pipe(pipe)
        self._data = bytearray()
        self._ended = False
        self._stopped = False
        self._change = threading.Condition()
        threading.Thread(target=self._pump, name=name, daemon=True).start()

    def take(self, size: int, timeout: float | None) -> bytes:
        """At most `size` bytes as soon as there are any; b"" at the end. Raises TimeoutError."""
        with self._change:
            if not self._change.wait_for(lambda: self._data or self._ended or self._stopped, timeout):
                raise TimeoutError("timed out")
            piece = bytes(self._data[:size])
            del self._data[:size]
            return piece

    def take_line(self, timeout: float) -> bytes:
        with self._change:
            if not self._change.wait_for(lambda: b"\n" in self._data or self._ended or self._stopped, timeout):
                raise TimeoutError("timed out")
            line, newline, rest = self._data.partition(b"\n")
            self._data = rest if newline else bytearray()
            return bytes(line)

    def take_all(self, deadline: float) -> bytes:
        with self._change:
            if not self._change.wait_for(lambda: self._ended or self._stopped, max(0.0, deadline - time.monotonic())):
                raise TimeoutError("timed out")
            data, self._data = bytes(self._data), bytearray()
            return data

    def is_waiting(self) -> bool:
        with self._change:
            return not (self._data or self._ended or self._stopped)

    def stop(self) -> None:
        """Wakes whoever waits; what still comes is thrown away. The thread closes the pipe at its end."""
        with self._change:
            self._stopped = True
            self._data.clear()
            self._change.notify_all()

    def _pump(self) -> None:
        with contextlib.suppress(OSError, ValueError), self._pipe as pipe:  # closed by kill_group: an end like another
            while data := os.read(pipe.fileno(), _READ_BYTES):
                with self._change:
                    if self._stopped:
                        break  # closing our end tells the process that nobody listens
                    self._data += data
                    self._change.notify_all()
        with self._change:
            self._ended = True
            self._change.notify_all()


def kill_group(popen: subprocess.Popen[bytes]) -> None:
    """Kills a process and everything in its group, and reaps it. Never raises."""
    killpg = getattr(os, "killpg", None)  # not on Windows
    with contextlib.suppress(ProcessLookupError, PermissionError):  # it ended meanwhile; sudo's children aren't ours
        if killpg is not None:
            killpg(popen.pid, signal.SIGKILL)
        else:
            popen.kill()
    _close_quietly(popen.stdin)
    reap(popen)


def reap(popen: subprocess.Popen[bytes]) -> None:
    """Collects the exit status now if it is there, or else in the background: no zombie, no waiting."""
    if popen.poll() is None:
        threading.Thread(target=popen.wait, name=f"reap-{popen.pid}", daemon=True).start()


def _pipe(pipe: IO[bytes] | None) -> IO[bytes]:
    if pipe is None:
        raise ValueError("the process must be started with pipes")
    return pipe


def _close_quietly(pipe: IO[bytes] | None) -> None:
    if pipe is not None:
        with contextlib.suppress(OSError):  # unsent input of a process that is gone
            pipe.close()
