"""A target in memory that behaves: commands, files, listeners, and the faults of a real connection."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from reconciler.adapters.transport.command import NOT_FOUND, argument_list, label
from reconciler.adapters.transport.streams import SocketLike, raise_dial_failure
from reconciler.model.errors import TargetTimeout, TargetUnreachable
from reconciler.ports import Completed, RemoteProcess, Stream

Respond = Callable[[bytes], bytes | None]
"""What a listener in memory answers to what it has received so far; None while it waits for more."""


@dataclass
class Call:
    """A command as its handler sees it. `write` sends output at once; `closed` is set at the end of its input."""

    command: list[str]
    stdin: bytes
    env: Mapping[str, str]
    files: dict[str, bytes]
    write: Callable[[bytes], None] = lambda data: None
    closed: threading.Event = field(default_factory=threading.Event)


Handler = Callable[[Call], Completed]


class FakeTransport:
    """Commands are handlers by their first word (`on`); an unknown one ends with 127, as in a shell.

    Faults: `drop_connection` (everything that runs ends with TargetUnreachable, and all that follows), `hang` (a
    command never ends, and its deadline passes).
    """

    def __init__(self, name: str = "fake") -> None:
        self._name = name
        self.files: dict[str, bytes] = {}
        self.unix: dict[str, Respond | OSError] = {}
        self.tcp: dict[tuple[str, int], Respond | OSError] = {}
        self._handlers: dict[str, Handler] = {}
        self._hanging: set[str] = set()
        self._lost = threading.Event()
        self._closed = False
        self._sessions = threading.BoundedSemaphore(8)
        for command, handler in _BUILTINS.items():
            self.on(command, handler)

    @property
    def name(self) -> str:
        return self._name

    def on(self, argv0: str, handler: Handler) -> None:
        """`handler` is what `argv0` does from now on."""
        self._handlers[argv0] = handler

    def hang(self, argv0: str) -> None:
        """`argv0` never ends from now on."""
        self._hanging.add(argv0)

    def drop_connection(self) -> None:
        """The connection is lost, for what runs and for all that follows."""
        self._lost.set()

    def run(
        self,
        command: Sequence[str],
        *,
        stdin: bytes = b"",
        env: Mapping[str, str] | None = None,
        timeout: float = 60.0,
    ) -> Completed:
        self._check()
        argument_list(command, env=env)
        deadline = time.monotonic() + timeout
        if not self._sessions.acquire(timeout=timeout):
            raise TargetTimeout(f"{self._name}: {label(command)}: not started: 8 commands are running already")
        try:
            process = _Process(self, Call(list(command), stdin, dict(env or {}), self.files))
            return process.wait(max(0.0, deadline - time.monotonic()))
        finally:
            self._sessions.release()

    def start(self, command: Sequence[str]) -> RemoteProcess:
        self._check()
        argument_list(command)
        return _Process(self, Call(list(command), b"", {}, self.files))

    def dial(self, command: Sequence[str], *, timeout: float = 10.0) -> Stream:
        """`cat` echoes; every other command is one that fails as its handler says."""
        self._check()
        if list(command) == ["cat"]:
            return self._stream(lambda data: data, timeout)
        return _FailedDial(self, self.run(command), timeout)

    def connect_unix(self, path: str, *, timeout: float = 10.0) -> Stream:
        self._check()
        return self._stream(self.unix.get(path, FileNotFoundError(2, "No such file or directory", path)), timeout)

    def connect_tcp(self, host: str, port: int, *, timeout: float = 10.0) -> Stream:
        self._check()
        refused = ConnectionRefusedError(f"{host}:{port}: connection refused")
        return self._stream(self.tcp.get((host, port), refused), timeout)

    def close(self) -> None:
        self._closed = True

    def _stream(self, listener: Respond | OSError, timeout: float) -> Stream:
        if isinstance(listener, OSError):
            raise listener
        return _Stream(self, listener, timeout)

    def _check(self) -> None:
        if self._closed:
            raise TargetUnreachable(f"{self._name}: the transport was closed")
        if self._lost.is_set():
            raise TargetUnreachable(f"{self._name}: connection lost; its state is unknown")


class _Process:
    """A handler that runs in a thread of its own."""

    def __init__(self, transport: FakeTransport, call: Call) -> None:
        self._transport, self._call = transport, call
        self._lines: queue.Queue[bytes] = queue.Queue()
        self._buffer = b""
        self._result: Completed | None = None
        self._error: BaseException | None = None
        self._ended = threading.Event()
        call.write = self._lines.put
        threading.Thread(target=self._work, name=f"fake-{call.command[0]}", daemon=True).start()

    def read_line(self, timeout: float) -> bytes:
        deadline = time.monotonic() + timeout
        while b"\n" not in self._buffer:
            over = self._ended.is_set()
            try:
                self._buffer += self._lines.get(timeout=0.005)
            except queue.Empty:
                self._check_connection()
                if over:
                    line, self._buffer = self._buffer, b""
                    return line
                if time.monotonic() >= deadline:
                    raise TargetTimeout(self._say(f"no line within {timeout:g} s")) from None
        line, _, self._buffer = self._buffer.partition(b"\n")
        return line

    def write(self, data: bytes) -> None:
        self._check_connection()
        if self._ended.is_set():
            raise TargetUnreachable(self._say("it has ended"))
        self._call.stdin += data

    def wait(self, timeout: float) -> Completed:
        self._call.closed.set()
        deadline = time.monotonic() + timeout
        while not self._ended.wait(0.005):
            self._check_connection()
            if time.monotonic() >= deadline:
                raise TargetTimeout(self._say(f"still running after {timeout:g} s; given up"))
        if self._error is not None:
            raise self._error
        rest = self._buffer
        while not self._lines.empty():
            rest += self._lines.get_nowait()
        assert self._result is not None
        return Completed(self._result.status, rest, self._result.stderr)

    def close(self) -> None:
        self._call.closed.set()

    def _work(self) -> None:
        command = self._call.command[0]
        if command in self._transport._hanging:
            self._transport._lost.wait()
            return
        handler = self._transport._handlers.get(command, _not_found)
        try:
            self._result = handler(self._call)
            if self._result.stdout:
                self._lines.put(self._result.stdout)
        except BaseException as error:  # noqa: BLE001 - a broken handler fails the test that runs it
            self._error = error
        self._ended.set()

    def _check_connection(self) -> None:
        if self._transport._lost.is_set():
            raise TargetUnreachable(self._say("connection lost; how it ended is unknown"))

    def _say(self, what: str) -> str:
        return f"{self._transport.name}: {label(self._call.command)}: {what}"


class _Stream(SocketLike):
    """A listener in memory, from the client's side."""

    def __init__(self, transport: FakeTransport, respond: Respond, timeout: float | None) -> None:
        super().__init__(timeout)
        self._transport, self._respond = transport, respond
        self._sent, self._ready = b"", b""

    def _receive(self, size: int) -> bytes:
        if self._transport._lost.is_set():
            raise ConnectionResetError("the connection was lost")
        if not self._ready:
            raise TimeoutError("timed out")
        piece, self._ready = self._ready[:size], self._ready[size:]
        return piece

    def _send(self, data: bytes) -> None:
        self._sent += data
        answer = self._respond(self._sent)
        if answer is not None:
            self._ready, self._sent = self._ready + answer, b""

    def is_quiet(self) -> bool:
        return not (self._closed or self._ready)

    def _end(self) -> None:
        self._ready = b""


class _FailedDial(_Stream):
    def __init__(self, transport: FakeTransport, ended: Completed, timeout: float) -> None:
        super().__init__(transport, lambda data: None, timeout)
        self._ended = ended

    def _receive(self, size: int) -> bytes:
        raise_dial_failure(self._ended.status, self._ended.stderr)
        return b""


def _not_found(call: Call) -> Completed:
    return Completed(NOT_FOUND, b"", f"{call.command[0]}: command not found\n".encode())


def _cat(call: Call) -> Completed:
    if len(call.command) == 1:
        call.closed.wait()
        return Completed(0, call.stdin, b"")
    missing = [path for path in call.command[1:] if path not in call.files]
    if missing:
        return Completed(1, b"", f"cat: {missing[0]}: No such file or directory\n".encode())
    return Completed(0, b"".join(call.files[path] for path in call.command[1:]), b"")


def _rm(call: Call) -> Completed:
    for path in call.command[1:]:
        call.files.pop(path, None)
    return Completed(0, b"", b"")


_BUILTINS: Mapping[str, Handler] = {
    "true": lambda call: Completed(0, b"", b""),
    "false": lambda call: Completed(1, b"", b""),
    "cat": _cat,
    "rm": _rm,
    "printf": lambda call: Completed(0, "".join(f"{word}\0" for word in call.command[2:]).encode(), b""),
    "printenv": lambda call: Completed(0, (call.env.get(call.command[1], "") + "\n").encode(), b""),
}
