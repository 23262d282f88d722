"""A controller of a target in memory: real passes of `reconciler.cycle`, turn by turn, that can die at each of them."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor, Future
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import PurePosixPath
from typing import Any

from reconciler.cycle.context import Interrupted, TargetContext
from reconciler.cycle.result import PassResult
from reconciler.model.deploy import Deploy
from reconciler.model.env import EnvValues
from reconciler.model.errors import ExitCode, ReconcilerError
from reconciler.model.measure import GateKind, GateLimits, Measurement, Outcome, Subject
from reconciler.model.record import RunRecord
from reconciler.model.sources import SourceFile, SourceTree
from reconciler.model.stored import ServiceFacts
from tests.fakes.adapters import APP, DEPLOY_DIR, WRITABLE, Connection, FakeEngine, FakeHost
from tests.fakes.target import Target

SOURCES = SourceTree(
    root=PurePosixPath("."),
    files=(SourceFile(PurePosixPath("compose.yaml"), 0o644, b"services: {}\n"),),
    compose=(PurePosixPath("compose.yaml"),),
)
TURN_TIMEOUT = 60.0
"""Seconds (real ones) after which a pass that doesn't come to its next turn is a defect."""
Operation = Callable[[TargetContext], PassResult]


class Killed(BaseException):
    """SIGKILL: nothing of the pass may catch it."""


@cache
def deploy_of(tag: str, on_silence: str, retained: int) -> Deploy:
    """deploy.yaml of the model: short times, and two things that a team chooses."""
    return Deploy.model_validate(
        {
            "apiVersion": "reconciler/v1",
            "app": APP,
            "tag": tag,
            "compose": "compose.yaml",
            "image": {"repository": "app"},
            "writable": list(WRITABLE),
            "targets": {"prod": {"host": "local", "deploy_dir": DEPLOY_DIR}},
            "gates": {"window": "2s", "interval": "1s"},
            "stabilization": {"period": "80s", "interval": "10s", "on_silence": on_silence},
            "rollback": {"watchdog": "20s", "on_silence": on_silence},
            "retention": {"releases": retained},
        }
    )


class OneThread(Executor):
    """For `ThreadPoolExecutor`: what is submitted is done at once, so that every run of the model is the same one."""

    def __init__(self, max_workers: int) -> None:
        del max_workers

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        done: Future[Any] = Future()
        try:
            done.set_result(fn(*args, **kwargs))
        except BaseException as error:  # noqa: BLE001 - as the pool's own threads do
            done.set_exception(error)
        return done


class Turns:
    """Work in a thread of its own that goes on only while `next` waits for it: what runs beside it is decided."""

    def __init__(self, work: Callable[[], Any]) -> None:
        self._work, self.result, self.error = work, None, None
        self.at, self.is_over = "", False
        self._go, self._stopped = threading.Semaphore(0), threading.Semaphore(0)
        threading.Thread(target=self._run, daemon=True).start()

    result: Any
    error: BaseException | None

    def take(self, what: str) -> None:
        """Called by the work: waits for its turn."""
        self.at = what
        self._stopped.release()
        self._go.acquire()

    def next(self) -> None:
        """One turn, up to the next `take` or the end."""
        self._go.release()
        if not self._stopped.acquire(timeout=TURN_TIMEOUT):
            raise AssertionError(f"no turn was taken after {self.at}")

    def _run(self) -> None:
        self._go.acquire()
        try:
            self.result = self._work()
        except BaseException as error:  # noqa: BLE001 - Killed is one
            self.error = error
        self.is_over = True
        self._stopped.release()


@dataclass(frozen=True)
class End:
    """How a pass ended, as the command line would tell it. `crash` is a defect of the program."""

    code: ExitCode
    message: str
    result: PassResult | None = None
    crash: BaseException | None = None


@dataclass
class Records:
    """Implements `cycle.context.RecordStore`, as `RecordDirectory`: run → text."""

    kept: dict[str, str] = field(default_factory=dict)

    def text(self, record: RunRecord) -> str:
        return self.kept.get(record.run) or record.model_dump_json()

    def save(self, record: RunRecord) -> tuple[str, str]:
        text = self.kept.setdefault(record.run, record.model_dump_json())
        return record.name, text

    def collect(self, text: str) -> None:
        self.save(RunRecord.model_validate_json(text))

    def close(self, text: str, *, at: datetime, repairs: int) -> str:
        record = RunRecord.model_validate_json(text).model_copy(update={"closed_at": at, "repairs": repairs})
        self.kept[record.run] = record.model_dump_json()
        return self.kept[record.run]


class Open:
    """Implements `cycle.context.Masker`: there is no secret here."""

    def text(self, text: str) -> str:
        return text

    quoted = text

    def learn(self, *env: bytes) -> None:
        """Nothing to hide."""

    def know(self, values: Mapping[str, str]) -> None:
        """Nothing to hide."""


@dataclass
class Asked:
    """Implements `cycle.context.Interruption`."""

    asked: bool = False
    why: str = "interrupted by a person"

    def __call__(self) -> bool:
        return self.asked

    def answered(self) -> None:
        self.asked = False


@dataclass
class Clock:
    """The target's time, off by `skew`."""

    link: Connection
    skew: timedelta

    def now(self) -> datetime:
        return datetime.fromtimestamp(self.link.target.now, UTC) + self.skew

    def monotonic(self) -> float:
        return self.link.target.now

    def sleep(self, seconds: float) -> None:
        self.link.turn("sleep")
        if self.link.lost is None or not isinstance(self.link.lost(), Killed):
            self.link.target.pass_time(seconds)
            return
        raise self.link.lost()


@dataclass
class HealthGate:
    """What the containers gate would say; while `is_blind` nothing can be measured."""

    engine: FakeEngine
    services: Mapping[str, ServiceFacts]
    clock: Clock
    is_blind: Callable[[], bool]
    name: str = "containers"
    kind: GateKind = GateKind.CONTAINERS
    limits: GateLimits = field(default_factory=lambda: GateLimits("containers", GateKind.CONTAINERS))

    def measure(self) -> Measurement:
        well = {c.service for c in self.engine.containers(APP, details=True) if c.runs and c.health == "healthy"}
        ill = sorted(self.services.keys() - well)
        outcome = Outcome.BREACH if ill else Outcome.PASS
        if self.is_blind():
            outcome, ill = Outcome.ERROR, []
        seen = f"unhealthy: {', '.join(ill)}" if ill else outcome.value
        return Measurement(self.name, self.kind, outcome, self.clock.now(), "health", seen, fatal=bool(ill))


@dataclass(eq=False)
class Controller:
    """One desk with a deploy.yaml of its own. `turns` is the pass that it is at, `ended` how its last one ended."""

    name: str
    target: Target
    model: Callable[[str], dict[str, Any]]
    is_blind: Callable[[], bool]
    tag: str
    on_silence: str = "revert"
    retained: int = 3
    skew: timedelta = timedelta()
    records: Records = field(default_factory=Records)
    link: Connection = field(init=False)
    turns: Turns | None = None
    asked: Asked = field(default_factory=Asked)
    ended: End | None = None

    def begin(self, operation: Operation) -> None:
        """Starts a pass; it waits for its first turn."""
        self.target.now += 1  # two passes never have the same second in their names
        self.link, self.asked = Connection(self.target), Asked()
        ctx = self._context()
        turns = Turns(lambda: _ended(operation, ctx))
        self.link.turn = turns.take
        self.turns = turns
        turns.next()
        self._noticed()

    def go(self, turns: int | None = None) -> None:
        """Lets the pass take so many turns, or all."""
        while self.turns is not None and turns != 0:
            self.turns.next()
            self._noticed()
            turns = None if turns is None else turns - 1

    def lose(self, error: Callable[[], BaseException], *, half_open: bool) -> None:
        """Every further call of the pass ends with this error; so it ends."""
        self.link.cut(error, half_open=half_open)
        self.go()

    def run(self, operation: Operation) -> End:
        """A whole pass that nothing disturbs."""
        self.begin(operation)
        self.go()
        assert self.ended is not None
        return self.ended

    def _noticed(self) -> None:
        if self.turns is not None and self.turns.is_over:
            done, self.turns = self.turns, None
            if isinstance(done.error, Killed):
                self.ended = None
            elif done.error is not None:
                self.ended = End(ExitCode.ERROR, repr(done.error), crash=done.error)
            else:
                self.ended = done.result

    def _context(self) -> TargetContext:
        deploy = deploy_of(self.tag, self.on_silence, self.retained)
        engine, clock = FakeEngine(self.link), Clock(self.link, self.skew)

        def gates(services: Mapping[str, ServiceFacts], since: datetime, subject: Subject) -> Sequence[HealthGate]:
            return [HealthGate(engine, services, clock, self.is_blind)]

        return TargetContext(
            name="prod",
            deploy=deploy,
            target=deploy.targets["prod"],
            sources=lambda: SOURCES,
            env=EnvValues(),
            delivered=lambda tag: f"TAG={tag}\n".encode(),
            commit=lambda: None,
            host=FakeHost(self.link, self.model),
            engine=engine,
            gates=gates,
            credentials=None,
            clock=clock,
            mask=Open(),
            records=self.records,
            say=lambda text: None,
            interrupted=self.asked,
            who=self.name,
        )


def _ended(operation: Operation, ctx: TargetContext) -> End:
    """As the command line ends a pass (`cli.main`)."""
    try:
        result = operation(ctx)
    except Interrupted:
        return End(ExitCode.ERROR, "interrupted before anything that runs was changed")
    except ReconcilerError as error:
        return End(error.exit_code, str(error))
    return End(result.exit_code, result.message, result)
