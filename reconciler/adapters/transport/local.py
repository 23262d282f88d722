"""The transport to this machine: the same behaviour as SSH, without a connection."""

from __future__ import annotations

import os
import socket
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from reconciler.adapters.transport.command import NOT_EXECUTABLE, NOT_FOUND, argument_list, dial_stdio, label
from reconciler.adapters.transport.local_process import LocalProcess, ProcessStream, kill_group
from reconciler.model.errors import TargetTimeout, TargetUnreachable
from reconciler.ports import Completed, RemoteProcess, Stream


class LocalTransport:
    """Runs commands on this machine, in the home directory as sshd does, each in a session of its own.

    With `sudo`, commands and the way to the engine's socket go through `sudo -n`.
    """

    def __init__(self, *, sudo: bool = False) -> None:
        self._sudo = sudo
        self._closed = False

    @property
    def name(self) -> str:
        return "local"

    def run(
        self,
        command: Sequence[str],
        *,
        stdin: bytes = b"",
        env: Mapping[str, str] | None = None,
        timeout: float = 60.0,
    ) -> Completed:
        """Raises TargetTimeout when `command` outlives `timeout` seconds; its process group is killed."""
        popen = self._popen(command, env)
        if isinstance(popen, Completed):
            return popen
        try:
            stdout, stderr = popen.communicate(stdin, timeout)
        except subprocess.TimeoutExpired as error:
            kill_group(popen)
            raise TargetTimeout(f"local: {label(command)}: still running after {timeout:g} s; killed") from error
        except BaseException:
            kill_group(popen)  # Ctrl-C: nothing of ours goes on behind the caller's back
            raise
        status = popen.returncode
        return Completed(128 - status if status < 0 else status, stdout, stderr)

    def start(self, command: Sequence[str]) -> RemoteProcess:
        popen = self._popen(command, None)
        if isinstance(popen, Completed):
            return _Ended(popen)
        return LocalProcess(popen, label(command))

    def dial(self, command: Sequence[str], *, timeout: float = 10.0) -> Stream:
        popen = self._popen(command, None)
        if isinstance(popen, Completed):
            raise FileNotFoundError(popen.stderr.decode(errors="replace").strip())
        return ProcessStream(popen, timeout, ends_itself=True)

    def connect_unix(self, path: str, *, timeout: float = 10.0) -> Stream:
        """Raises FileNotFoundError, PermissionError, ConnectionRefusedError or another OSError, naming `path`."""
        self._check_open()
        if self._sudo:
            popen = self._popen(dial_stdio(path), None)
            if isinstance(popen, Completed):
                raise FileNotFoundError(popen.stderr.decode(errors="replace").strip())
            return ProcessStream(popen, timeout)
        family = getattr(socket, "AF_UNIX", None)
        if family is None:
            raise OSError(f"{path}: this system has no Unix sockets: a local target needs Linux or macOS")
        plain = socket.socket(family, socket.SOCK_STREAM)
        try:
            plain.settimeout(timeout)
            plain.connect(path)
        except OSError as error:
            plain.close()
            # the class is chosen by errno: FileNotFoundError, PermissionError, ConnectionRefusedError
            raise OSError(error.errno, error.strerror or str(error), path) from error
        return plain

    def connect_tcp(self, host: str, port: int, *, timeout: float = 10.0) -> Stream:
        """Raises ConnectionRefusedError, TimeoutError or another OSError. `timeout` in seconds."""
        self._check_open()
        plain = socket.create_connection((host, port), timeout)
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return plain

    def close(self) -> None:
        self._closed = True

    def _check_open(self) -> None:
        if self._closed:
            raise TargetUnreachable("local: the transport was closed")

    def _popen(self, command: Sequence[str], env: Mapping[str, str] | None) -> subprocess.Popen[bytes] | Completed:
        """The started process; or how a shell would have ended, where there is nothing to start."""
        self._check_open()
        words = argument_list(command, env=env, sudo=self._sudo)
        try:
            return subprocess.Popen(
                words,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                cwd=_home(),
                start_new_session=True,
            )
        except FileNotFoundError:
            return Completed(NOT_FOUND, b"", f"{words[0]}: command not found\n".encode())
        except PermissionError:
            return Completed(NOT_EXECUTABLE, b"", f"{words[0]}: permission denied\n".encode())
        except OSError as error:
            # E2BIG, ENOEXEC, EMFILE: over SSH the shell there would say the same and end with 126
            return Completed(NOT_EXECUTABLE, b"", f"{words[0]}: {error.strerror}\n".encode())


class _Ended:
    """A command that could not be started: it ended at once, as a shell would have."""

    def __init__(self, completed: Completed) -> None:
        self._completed = completed

    def read_line(self, timeout: float) -> bytes:
        return b""

    def write(self, data: bytes) -> None:
        raise TargetUnreachable(f"local: {self._completed.stderr.decode(errors='replace').strip()}")

    def wait(self, timeout: float) -> Completed:
        return self._completed

    def close(self) -> None:
        return None


def _home() -> str:
    """Where sshd starts commands: the home directory, or the root where there is none."""
    home = os.path.expanduser("~")  # noqa: PTH111 - Path.home() raises for a user without one
    return home if Path(home).is_dir() else os.sep
