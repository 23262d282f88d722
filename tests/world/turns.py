"""A transport that counts what reading costs: commands, connections, and waits for the way there and back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from reconciler.adapters.transport.local import LocalTransport
from reconciler.ports import Completed, RemoteProcess, Stream


@dataclass
class Counted(LocalTransport):
    """Counts the turns on the engine's sockets: whatever is sent after something was received is one more."""

    turns: int = 0
    opened: int = 0
    commands: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__()

    def run(self, command: Sequence[str], **options: Any) -> Completed:
        self.commands.append(command[0])
        return super().run(command, **options)

    def start(self, command: Sequence[str]) -> RemoteProcess:
        self.commands.append(command[0])
        return super().start(command)

    def connect_unix(self, path: str, *, timeout: float = 10.0) -> Stream:
        self.opened += 1
        stream: Any = _Stream(super().connect_unix(path, timeout=timeout), self)
        return stream  # type: ignore[no-any-return]


class _Stream:
    def __init__(self, stream: Any, counter: Counted) -> None:
        self._stream, self._counter = stream, counter

    def sendall(self, data: bytes) -> None:
        self._counter.turns += 1
        self._stream.sendall(data)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)
