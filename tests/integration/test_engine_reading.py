"""Many containers read at once: how many turns it takes, and what a broken connection makes of it."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from reconciler.adapters.engine.client import DEFAULT_SOCKET
from reconciler.adapters.engine.engine import DockerEngine
from reconciler.adapters.transport.local import LocalTransport
from reconciler.model.errors import TargetTimeout, TargetUnreachable
from tests.integration.lab import Lab
from tests.world import unfenced
from tests.world.turns import Counted

pytestmark = pytest.mark.engine


class TestReading:
    def test_all_details_cost_one_more_turn_on_one_connection(self, lab: Lab) -> None:
        for n in range(20):
            lab.run(f"s{n:02}", start=False)
        counted = Counted()
        engine = unfenced.engine(counted)
        try:
            engine.containers(lab.project, details=False)  # also the version is asked for
            counted.turns = 0
            assert len(engine.containers(lab.project, details=True)) == 20
            assert (counted.turns, counted.opened) == (2, 1)
            counted.turns = 0
            seen = engine.survey(lab.project, layers=True, kept=frozenset({"sha256:none"}))
            assert len(seen.containers) == 20
            assert seen.unheld == {"sha256:none"}
            assert all(each.live and each.live.layer == () for each in seen.containers)
            assert (counted.turns, counted.opened) == (1 + 2, 1)  # 40 questions, 32 at a time
        finally:
            engine.close()

    def test_more_than_go_out_at_once_come_back_in_their_order(self, lab: Lab, engine: DockerEngine) -> None:
        made = {lab.run(f"s{n:02}", start=False, Labels={"n": str(n)}) for n in range(40)}
        found = engine.containers(lab.project, details=True)
        assert {each.id for each in found} == made
        assert [each.name for each in found] == sorted(lab.details(each.id)["Name"][1:] for each in found)
        assert all(lab.details(each.id)["Config"]["Labels"]["n"] == str(int(each.service[1:])) for each in found[::7])

    def test_many_threads_each_get_their_own_answers(self, lab: Lab, engine: DockerEngine) -> None:
        made = {lab.run(f"s{n}", start=False) for n in range(3)}

        def look(number: int) -> set[str]:
            return {each.id for each in engine.containers(lab.project if number % 2 else "nobody", details=True)}

        with ThreadPoolExecutor(8) as pool:
            assert list(pool.map(look, range(32))) == [set(), made] * 16

    def test_an_answer_that_is_cut_off_is_unknown_and_the_next_question_is_answered(
        self, lab: Lab, tmp_path: Path
    ) -> None:
        for n in range(3):
            lab.run(f"s{n}", start=False)
        with relay(tmp_path / "engine.sock") as cut_after:
            engine = unfenced.engine(LocalTransport(), str(tmp_path / "engine.sock"))
            try:
                listed = len(engine.containers(lab.project, details=True))
                for size in (0, 10, 500, 9_000):
                    cut_after(size)
                    with pytest.raises(TargetUnreachable):
                        engine.containers(lab.project, details=True)
                    cut_after(None)
                    assert len(engine.containers(lab.project, details=True)) == listed == 3
            finally:
                engine.close()

    def test_an_answer_that_comes_too_late_is_not_taken_for_the_next_one(
        self, lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("reconciler.adapters.engine.engine.TIMEOUT_SECONDS", 2.0)
        made = {lab.run(f"s{n}", start=False) for n in range(3)}
        with relay(tmp_path / "engine.sock") as cut_after:
            engine = unfenced.engine(LocalTransport(), str(tmp_path / "engine.sock"))
            try:
                assert {each.id for each in engine.containers(lab.project, details=True)} == made
                cut_after(9_000, stall=True)
                with pytest.raises(TargetTimeout):
                    engine.containers(lab.project, details=True)
                cut_after(None)
                assert {each.id for each in engine.containers(lab.project, details=True)} == made
            finally:
                engine.close()


@contextmanager
def relay(path: Path) -> Iterator[Callable[..., None]]:
    """A socket that leads to the real engine.

    After so many bytes of answers to come it cuts a connection, or with `stall` carries no more over it to its end.
    """
    left: list[int | None] = [None]
    stalls: list[bool] = [False]
    over = threading.Event()
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(path))
    listener.listen()

    def pump(source: socket.socket, sink: socket.socket, *, answers: bool) -> None:
        with suppress(OSError):
            while data := source.recv(65536):
                if answers and left[0] is not None:
                    data, left[0] = data[: left[0]], max(0, left[0] - len(data))
                    sink.sendall(data)
                    if left[0] == 0:
                        if stalls[0]:
                            over.wait()
                        break
                else:
                    sink.sendall(data)
        for end in (source, sink):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def serve() -> None:
        with suppress(OSError):
            while True:
                client, _ = listener.accept()
                server = socket.socket(socket.AF_UNIX)
                server.connect(DEFAULT_SOCKET)
                threading.Thread(target=pump, args=(client, server), kwargs={"answers": False}, daemon=True).start()
                threading.Thread(target=pump, args=(server, client), kwargs={"answers": True}, daemon=True).start()

    threading.Thread(target=serve, daemon=True).start()

    def cut_after(size: int | None, *, stall: bool = False) -> None:
        left[0], stalls[0] = size, stall

    try:
        yield cut_after
    finally:
        over.set()
        with suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)
        listener.close()
