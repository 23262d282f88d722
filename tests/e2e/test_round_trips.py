"""What reading an unchanged target costs: waits for the way there and back, which is what a far server makes slow."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest

from reconciler.adapters.transport.local import LocalTransport
from reconciler.cli.main import main
from reconciler.ports import RemoteProcess, Stream
from tests.e2e.job import Job

pytestmark = pytest.mark.engine


@dataclass
class Counted(LocalTransport):
    """Counts commands, and turns on the engine's sockets: what is sent after something was received."""

    commands: list[str] = field(default_factory=list)
    turns: int = 0

    def __post_init__(self) -> None:
        super().__init__()

    def run(self, command: Any, **options: Any) -> Any:
        self.commands.append(command[0])
        return super().run(command, **options)

    def start(self, command: Any) -> RemoteProcess:
        self.commands.append(command[0])
        return super().start(command)

    def connect_unix(self, path: str, *, timeout: float = 10.0) -> Stream:
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


def test_an_unchanged_target_costs_two_round_trips_more_than_the_list_of_containers(
    job: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Files, links and state come with the lock; limits, networks, layers and keepers together after the lists."""
    job.repo.edit({"stabilization": {"period": "1s", "interval": "1s"}})
    job.repo.commit("Stable soon")
    job.once()
    for _ in range(20):
        if job.state()["phase"] == "stable":
            break
        job.once()
    assert job.state()["phase"] == "stable"
    counted = Counted()
    monkeypatch.setattr("reconciler.wiring.transport_to", lambda _name, _target: counted)
    monkeypatch.chdir(job.repo.path)
    assert main(["--once"]) == 0
    assert len(counted.commands) == 1
    version, listing, details = 1, 1, 1
    assert counted.turns == version + listing + details
