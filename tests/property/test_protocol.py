"""The whole protocol as a state machine: two controllers, a target, its watchdog and an engine, and faults anywhere.

Real passes of `reconciler.cycle` run on the target in memory of `tests/fakes`, turn by turn. Safety is judged before
every change and after every step (`judge.py`), liveness at the end: once the faults are over, three passes bring the
desired state, or say why not, and the next one has nothing to do.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, note, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from reconciler.core.retention import prunable
from reconciler.cycle import deploy, verify
from reconciler.cycle.by_hand import retry, rollback
from reconciler.cycle.reconcile import reconcile
from reconciler.model.errors import ExitCode, ReconcilerError, TargetUnreachable
from reconciler.model.stored import Phase as Standing
from tests.fakes.controller import Controller, End, Killed, OneThread, Operation
from tests.fakes.dock import Dock, image_of
from tests.fakes.target import Message, Target
from tests.property.judge import Judge

TAGS = [f"20260101_00000{number}" for number in range(6)]
BAD = {TAGS[2], TAGS[4]}
HAS_WORKER = {TAGS[1], TAGS[2]}
REFERENCES = ["db:1", *(f"app:{tag}" for tag in TAGS)]
LONG = 4000.0
"""Seconds after which every lock, lease and waiting time is over."""

CHECK = {"test": ["CMD", "true"], "interval": "1s", "timeout": "1s", "retries": 1}


def model_of(tag: str) -> dict[str, Any]:
    """What Compose makes of the sources: one service that is another in each release, one that hardly is, one that
    comes and goes."""
    services = {
        "web": {"image": f"app:{tag}", "depends_on": {"db": {"condition": "service_healthy"}}},
        "db": {"image": "db:1", "environment": {"KIND": str(TAGS.index(tag) // 3)}},
    }
    if tag in HAS_WORKER:
        services["worker"] = {"image": f"app:{tag}"}
    common = {"restart": "unless-stopped", "mem_limit": "64m", "healthcheck": CHECK}
    return {"name": "app", "services": {name: {**service, **common} for name, service in services.items()}}


def back_to(tag: str) -> Operation:
    return lambda ctx: rollback(ctx, to=tag)


WHO = st.sampled_from([0, 1])
OPERATIONS = st.one_of(
    st.just(reconcile),
    st.just(reconcile),
    st.just(retry),
    st.just(lambda ctx: rollback(ctx, to=None)),
    st.sampled_from(TAGS).map(back_to),
)
FATES = st.sampled_from(["lost", "done", "late", "half"])


class Protocol(RuleBasedStateMachine):
    """Everybody and everything that acts on one target."""

    def __init__(self) -> None:
        super().__init__()
        dock = Dock(registry={name: image_of(name) for name in REFERENCES})
        dock.ill = {image_of(f"app:{tag}") for tag in BAD}
        self.target = Target(dock)
        self.judge = Judge(self.target)
        self.on_the_way: list[Message] = []
        self.is_blind = False
        self.told: dict[str, End] = {}
        self.say: Callable[[str], None] = note
        self.desks = [
            Controller(name, self.target, model_of, lambda: self.is_blind, TAGS[0]) for name in ("ann", "bob")
        ]

    @initialize(
        silence=st.sampled_from(["revert", "keep"]),
        retained=st.sampled_from([1, 3]),
        skew=st.sampled_from([0, -7, 3601]),
        served=st.sampled_from([0, 1, 2, 3, 3, 3]),
        soaked=st.sets(st.sampled_from([0, 1, 3])),
    )
    def begins(self, silence: str, retained: int, skew: int, served: int, soaked: set[int]) -> None:
        """A team's choices, a second desk with its own clock, and what was deployed before."""
        for desk in self.desks:
            desk.on_silence, desk.retained = silence, retained
        self.desks[1].skew = timedelta(seconds=skew)
        for number in [0, 1, 3][:served]:
            self.merges(0, TAGS[number], True)
            assert self.desks[0].run(reconcile).code is ExitCode.OK
            for _ in range(5 if number in soaked else 0):
                self.target.pass_time(20)
                self.desks[0].run(reconcile)

    # Desks

    @rule(who=WHO, tag=st.sampled_from(TAGS), both=st.booleans())
    def merges(self, who: int, tag: str, both: bool) -> None:
        """Another tag is desired; the other desk may not have it yet."""
        self.desks[who].tag = tag
        if both:
            self.desks[1 - who].tag = tag

    @rule(who=WHO, operation=OPERATIONS)
    def passes(self, who: int, operation: Operation) -> None:
        """A whole pass, and the rest of the one that the desk is at."""
        desk = self.desks[who]
        desk.go()
        desk.run(operation)

    @rule(who=WHO, operation=OPERATIONS, turns=st.integers(0, 50))
    def begins_a_pass(self, who: int, operation: Operation, turns: int) -> None:
        """The first turns of a pass."""
        desk = self.desks[who]
        desk.go()
        desk.begin(operation)
        desk.go(turns)

    @precondition(lambda self: any(desk.turns for desk in self.desks))
    @rule(who=WHO, turns=st.integers(1, 20))
    def goes_on(self, who: int, turns: int) -> None:
        """Some more turns of it."""
        self.desks[who].go(turns)

    @precondition(lambda self: any(desk.turns for desk in self.desks))
    @rule(who=WHO, fate=FATES, steps=st.integers(1, 4), dies=st.booleans(), half_open=st.booleans())
    def is_lost(self, who: int, fate: str, steps: int, dies: bool, half_open: bool) -> None:
        """The controller dies, or its connection does; what it was sending is lost, done, done by half, or late."""
        desk = self.desks[who]
        if desk.turns is None:
            return
        message = desk.link.pending
        if message is not None and fate == "late":
            self.on_the_way.append(message)
        elif message is not None and fate != "lost":
            with suppress(ReconcilerError):
                self.target.run(message, killed_after=steps if fate == "half" else None)
        error: Callable[[], BaseException] = (
            Killed if dies else lambda: TargetUnreachable("prod: the connection is lost")
        )
        desk.lose(error, half_open=half_open)

    @rule(
        who=WHO,
        tag=st.sampled_from(TAGS),
        turns=st.integers(10, 45),
        fate=FATES,
        steps=st.integers(1, 4),
        half_open=st.booleans(),
        sleeps=st.booleans(),
    )
    def deploy_goes_wrong(
        self, who: int, tag: str, turns: int, fate: str, steps: int, half_open: bool, sleeps: bool
    ) -> None:
        """A new tag, and the controller dies or sleeps somewhere on the way: what all this is about."""
        self.merges(who, tag, False)
        self.begins_a_pass(who, reconcile, turns)
        if sleeps:
            self.sleeps(who, steps, 3)
        else:
            self.is_lost(who, fate, steps, True, half_open)

    @precondition(lambda self: any(desk.turns and desk.link.pending for desk in self.desks))
    @rule(who=WHO)
    def is_doubled(self, who: int) -> None:
        """What is being sent arrives once more, later."""
        desk = self.desks[who]
        if desk.turns is not None and desk.link.pending is not None:
            self.on_the_way.append(desk.link.pending)

    @precondition(lambda self: self.on_the_way)
    @rule()
    def arrives(self) -> None:
        """What was late arrives; never after the pass that sent it has come to its end, as SSH keeps the order."""
        message, state = self.on_the_way.pop(0), self.judge.state
        if message.generation == self.target.generation and (state is None or state.open is None):
            return
        with suppress(ReconcilerError):
            self.target.run(message)

    @precondition(lambda self: any(desk.turns for desk in self.desks))
    @rule(who=WHO)
    def is_interrupted(self, who: int) -> None:
        """Ctrl-C."""
        self.desks[who].asked.asked = True

    @precondition(lambda self: any(desk.turns for desk in self.desks))
    @rule(who=WHO, steps=st.integers(1, 4), turns=st.integers(1, 4))
    def sleeps(self, who: int, steps: int, turns: int) -> None:
        """As a lid that is closed, for too long; when it opens the watchdog has begun."""
        self.target.pass_time(25, is_silent=True)
        self.target.watch(steps)
        self.desks[who].go(turns)

    # The target

    @rule(seconds=st.sampled_from([1.0, 12.0, 25.0, 35.0, 60.0, LONG]), is_silent=st.booleans())
    def time_passes(self, seconds: float, is_silent: bool) -> None:
        """While it is silent no desk is heard."""
        self.target.pass_time(seconds, is_silent=is_silent)

    @rule(steps=st.sampled_from([1, 2, 3, 4, 5, 8, 100]))
    def watchdog(self, steps: int) -> None:
        """The target's own watchdog, where it has something to do."""
        self.target.watch(steps)

    @precondition(lambda self: self.target.busy)
    @rule()
    def watchdog_dies(self) -> None:
        """The engine is killed under its keeper, and started again."""
        self.target.kill_watchdog()

    @rule()
    def reboots(self) -> None:
        """Of the target: connections and everything that is on its way are gone."""
        self.target.reboot()
        self.on_the_way.clear()
        for desk in self.desks:
            if desk.turns is not None:
                desk.link.cut(lambda: TargetUnreachable("prod: the connection is lost"), half_open=False)

    @rule()
    def loses_power(self) -> None:
        """A reboot in the middle of a start, after which the engine holds a port for nobody."""
        self.reboots()
        self.target.dock.lose_power()

    @rule()
    def somebody_restarts_the_engine(self) -> None:
        """Which is all that helps then."""
        self.target.dock.restart()

    @rule()
    def somebody_prunes(self) -> None:
        """`docker system prune -af`."""
        self.target.dock.prune()

    @rule(is_up=st.booleans())
    def registry(self, is_up: bool) -> None:
        """It answers, or it doesn't."""
        self.target.dock.is_pullable = is_up

    @rule(count=st.sampled_from([1, 3, 6]))
    def compose_fails(self, count: int) -> None:
        """The next `compose up` can't have its port: once more helps, a pass fails on it, its way back does, too."""
        self.target.dock.refusals = count

    @rule(service=st.sampled_from(["web", "db"]))
    def somebody_stops(self, service: str) -> None:
        """A container."""
        for box in self.target.dock.boxes.values():
            if box.service == service:
                box.runs = False

    @rule(tag=st.sampled_from(TAGS))
    def falls_ill(self, tag: str) -> None:
        """A release that was well so far, and back: what it depends on is gone."""
        if tag not in BAD:
            self.target.dock.ill ^= {image_of(f"app:{tag}")}

    @rule(is_blind=st.booleans())
    def measuring(self, is_blind: bool) -> None:
        """Nothing can be measured, or everything again."""
        self.is_blind = is_blind

    # What has to hold

    @invariant()
    def is_safe(self) -> None:
        """No promise is broken, and no pass ended by a defect."""
        for desk in self.desks:
            if desk.ended is not None and desk.ended is not self.told.get(desk.name):
                self.told[desk.name] = desk.ended
                self.say(f"# {desk.name}: {desk.ended.code.name}: {desk.ended.message}")
                if desk.ended.crash is not None:
                    raise desk.ended.crash
        self.judge.look()
        assert not self.judge.violations, self.judge.violations

    def teardown(self) -> None:
        """The faults are over: it comes to rest."""
        for desk in self.desks:
            desk.go()
        while self.on_the_way:
            self.arrives()
        dock = self.target.dock
        self.is_blind, dock.is_pullable, dock.refusals = False, True, 0
        dock.restart()
        dock.ill = {image_of(f"app:{tag}") for tag in BAD}
        self.target.pass_time(LONG, is_silent=True)
        self.target.watch_on()
        self.judge.saved_itself()
        self.is_safe()
        desk = self.desks[0]
        ends = []
        for _ in range(3):
            ends.append(desk.run(reconcile))
            self.is_safe()
            self.target.pass_time(LONG, is_silent=True)
        last = desk.run(reconcile)
        self.is_safe()
        self.judge.at_rest()
        self.is_safe()
        self.came_to_rest(desk, last, ends)

    def came_to_rest(self, desk: Controller, last: End, ends: list[End]) -> None:
        """The desired release serves, or a good one with the reason said."""
        state, told = self.judge.state, [f"{end.code.name}: {end.message}" for end in (*ends, last)]
        assert last.result is not None, told
        assert last.result.plan is None or last.result.plan.is_empty, told
        assert state is not None, told
        serving = self.target.current
        if last.code is ExitCode.OK:
            assert desk.tag not in BAD, told
            assert serving is not None, told
            assert serving.startswith(desk.tag), told
        else:
            assert last.code is ExitCode.BLOCKED, told
            assert "is quarantined since" in last.message, told
            assert any(name.startswith(desk.tag) for name in state.quarantine), told
            if state.phase is Standing.FAILED:
                return  # a person was called: nothing is tried again by itself
        assert not prunable(state, list(self.target.releases), keep=desk.retained), told
        bundle = self.target.releases[str(serving)]
        wanted = {name: facts.digest for name, facts in bundle.manifest.services.items()}
        assert {c.service: c.digest for c in self.target.dock.facts()} == wanted, told
        assert all(c.runs and c.health == "healthy" for c in self.target.dock.facts()), told


EXAMPLES = os.environ.get("RECONCILER_MODEL_EXAMPLES")
"""How long to look for something new, and then for its shortest form: 3000 take some minutes. Without it the same few
hundred every time, and no search for a shorter form: that one may take as long."""


@pytest.mark.timeout(7200 if EXAMPLES else 300)
def test_no_fault_breaks_a_promise_and_it_always_comes_to_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deploy, "ThreadPoolExecutor", OneThread)
    monkeypatch.setattr(verify, "ThreadPoolExecutor", OneThread)
    run_state_machine_as_test(
        Protocol,
        settings=settings(
            max_examples=int(EXAMPLES or 400),
            stateful_step_count=25,
            derandomize=EXAMPLES is None,
            database=None,
            suppress_health_check=list(HealthCheck),
            phases=[Phase.generate, Phase.shrink] if EXAMPLES else [Phase.generate],
        ),
    )
