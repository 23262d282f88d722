"""What the model of the protocol found, in its shortest form: each was a defect, and is one run of the model."""

from __future__ import annotations

import pytest

from reconciler.cycle import deploy, verify
from reconciler.cycle.apply import UP_ATTEMPTS
from reconciler.cycle.by_hand import retry, rollback
from reconciler.cycle.reconcile import reconcile
from reconciler.model.errors import ExitCode
from reconciler.model.stored import Phase
from tests.fakes.controller import Controller, Killed, OneThread
from tests.fakes.dock import image_of
from tests.property.test_protocol import TAGS, Protocol, back_to

FIRST, SECOND, THIRD = TAGS[0], TAGS[1], TAGS[3]


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Protocol:
    monkeypatch.setattr(deploy, "ThreadPoolExecutor", OneThread)
    monkeypatch.setattr(verify, "ThreadPoolExecutor", OneThread)
    made = Protocol()
    made.say = print
    return made


def served(machine: Protocol, *tags: str, retained: int = 3, stable: tuple[str, ...] = ()) -> Controller:
    """The first desk, after it has deployed these; some of them became stable."""
    desk = machine.desks[0]
    for each in machine.desks:
        each.retained = retained
    for tag in tags:
        machine.merges(0, tag, True)
        assert desk.run(reconcile).code is ExitCode.OK
        for _ in range(5 if tag in stable else 0):
            machine.target.pass_time(20)
            desk.run(reconcile)
    return desk


def until(desk: Controller, call: str) -> None:
    """Lets the pass go on until it is about to make this call."""
    while desk.turns is not None and desk.turns.at != call:
        desk.go(1)
    assert desk.turns is not None


def test_after_a_way_back_that_failed_nobody_points_back_at_what_was_left(machine: Protocol) -> None:
    desk = served(machine, FIRST, SECOND)
    machine.compose_fails(UP_ATTEMPTS)
    assert desk.run(lambda ctx: rollback(ctx, to=None)).code is ExitCode.REVERT_FAILED
    machine.merges(0, FIRST, True)
    desk.run(reconcile)
    machine.is_safe()
    machine.teardown()


def test_a_release_whose_quarantine_is_lifted_is_not_last_good_before_it_proved_itself(machine: Protocol) -> None:
    desk = served(machine, FIRST, SECOND)
    machine.falls_ill(SECOND)
    assert desk.run(reconcile).code is ExitCode.REVERTED
    machine.somebody_prunes()
    assert desk.run(retry).code is ExitCode.OK
    assert (machine.target.last_good or "").startswith(FIRST)
    machine.is_safe()
    machine.teardown()


def test_an_image_that_nobody_held_ends_no_pass_after_its_work(machine: Protocol) -> None:
    desk = served(machine, FIRST, SECOND, THIRD)
    machine.compose_fails(UP_ATTEMPTS)
    machine.somebody_stops("web")
    machine.somebody_prunes()
    assert desk.run(reconcile).code is ExitCode.REVERTED
    machine.is_safe()
    machine.teardown()


def test_a_rollback_looks_at_what_it_goes_to_before_it_touches_anything(machine: Protocol) -> None:
    desk = served(machine, FIRST, SECOND)
    assert desk.run(lambda ctx: rollback(ctx, to=None)).code is ExitCode.OK
    served(machine, THIRD)
    machine.somebody_prunes()  # nobody holds what was left by hand
    machine.registry(False)
    before = machine.target.dock.facts()
    ended = desk.run(back_to(SECOND))
    assert ended.code is ExitCode.ERROR
    assert "nothing is touched" in ended.message
    assert machine.target.dock.facts() == before


def test_a_pass_killed_after_it_let_an_image_go_leaves_a_way_back_that_is_there(machine: Protocol) -> None:
    desk = served(machine, FIRST, SECOND, THIRD, retained=1)
    machine.merges(0, TAGS[5], True)
    desk.begin(reconcile)
    until(desk, "confirm")
    until(desk, "record")
    desk.lose(Killed, half_open=False)
    machine.target.reboot()
    machine.somebody_prunes()
    machine.merges(0, THIRD, True)
    machine.teardown()


def test_what_the_target_left_alone_while_it_stabilized_is_not_linked_again(machine: Protocol) -> None:
    desk = served(machine, FIRST, SECOND)
    machine.falls_ill(SECOND)
    machine.target.pass_time(60, is_silent=True)
    machine.target.watch_on()
    assert (machine.target.current or "").startswith(FIRST)
    assert desk.run(reconcile).code is ExitCode.BLOCKED
    assert (machine.target.current or "").startswith(FIRST)
    machine.is_safe()


def test_a_pass_killed_after_its_prune_leaves_a_last_good_that_is_there(machine: Protocol) -> None:
    desk = served(machine, FIRST, SECOND, THIRD, retained=1, stable=(FIRST,))
    for _ in range(3):
        machine.target.pass_time(20)
        desk.run(reconcile)
    machine.target.pass_time(20)
    desk.begin(reconcile)
    until(desk, "prune")
    desk.go(1)
    desk.lose(Killed, half_open=False)
    machine.is_safe()
    machine.merges(0, TAGS[5], True)
    machine.teardown()


def test_what_a_pass_had_forgotten_and_not_removed_when_it_died_the_next_removes(machine: Protocol) -> None:
    desk = served(machine, FIRST, SECOND, retained=1)
    machine.merges(0, THIRD, True)
    desk.begin(reconcile)
    until(desk, "prune")
    desk.lose(Killed, half_open=False)
    assert any(name.startswith(FIRST) for name in machine.target.releases)
    assert desk.run(reconcile).code is ExitCode.OK
    assert sorted(name[: len(FIRST)] for name in machine.target.releases) == [SECOND, THIRD]
    assert image_of(f"app:{FIRST}") not in machine.target.dock.images
    machine.is_safe()
    machine.teardown()


def test_the_watchdog_leaves_a_pass_alone_that_came_while_it_looked_twice(machine: Protocol) -> None:
    desk = served(machine, FIRST, SECOND)
    machine.target.pass_time(60, is_silent=True)
    machine.target.dock.ill.add(image_of(f"app:{SECOND}"))
    machine.target.watch(1)
    machine.target.dock.ill.discard(image_of(f"app:{SECOND}"))
    machine.merges(0, THIRD, True)
    desk.begin(reconcile)
    until(desk, "commit")
    machine.target.watch(3)
    desk.go()
    assert desk.ended is not None
    assert desk.ended.code is ExitCode.OK
    machine.is_safe()


def test_a_pass_that_came_between_the_watchdogs_generation_and_its_fence_is_refused(machine: Protocol) -> None:
    ann, bob = served(machine, FIRST, SECOND), machine.desks[1]
    machine.merges(0, THIRD, True)
    ann.begin(reconcile)
    until(ann, "up")
    ann.lose(Killed, half_open=False)
    bob.begin(reconcile)
    until(bob, "lock: next generation")
    machine.target.pass_time(25, is_silent=True)
    machine.target.watch(3)  # it has its generation, and not yet the fence
    bob.go(2)
    machine.target.watch_on()
    bob.go()
    assert bob.ended is not None
    assert bob.ended.code is ExitCode.LOCKED
    machine.is_safe()
    machine.teardown()


def test_an_engine_that_holds_a_port_for_nobody_is_to_blame_and_no_release(machine: Protocol) -> None:
    desk = served(machine, FIRST, SECOND)
    machine.merges(0, THIRD, True)
    desk.begin(reconcile)
    until(desk, "up")
    desk.lose(Killed, half_open=False)
    machine.loses_power()
    machine.target.watch_on()
    for _ in range(2):
        ended = desk.run(reconcile)
        assert ended.code is ExitCode.REVERT_FAILED
        assert "holds 0.0.0.0:80 for a container that is gone" in ended.message
        assert "`systemctl restart docker`" in ended.message
        assert "the pass failed" not in ended.message
        machine.is_safe()
    machine.somebody_restarts_the_engine()
    for _ in range(2):
        assert desk.run(reconcile).code is ExitCode.OK
    assert (machine.target.current or "").startswith(THIRD)
    machine.teardown()


def test_a_bad_release_stays_blamed_where_its_way_back_can_not_be_started(machine: Protocol) -> None:
    desk = served(machine, FIRST)
    machine.merges(0, TAGS[2], True)
    desk.begin(reconcile)
    until(desk, "evidence")
    machine.target.dock.lose_power()
    desk.go()
    assert desk.ended is not None
    assert desk.ended.code is ExitCode.REVERT_FAILED
    assert "restart docker" in desk.ended.message
    machine.somebody_restarts_the_engine()
    ended = desk.run(reconcile)
    assert (ended.code, machine.target.current) == (ExitCode.BLOCKED, desk.ended.result and desk.ended.result.serving)
    machine.is_safe()
    machine.teardown()


@pytest.mark.parametrize("phase", ["stabilizing", "stable"])
def test_what_can_not_be_started_again_is_neither_left_nor_blamed(machine: Protocol, phase: str) -> None:
    desk = served(machine, FIRST, SECOND, stable=(SECOND,) if phase == "stable" else ())
    machine.loses_power()
    ended = desk.run(reconcile)
    assert ended.code is ExitCode.REVERT_FAILED
    assert "restart docker" in ended.message
    machine.target.pass_time(5)
    machine.somebody_restarts_the_engine()
    assert desk.run(reconcile).code is ExitCode.OK
    assert (machine.target.current or "").startswith(SECOND)
    machine.teardown()


def test_a_rollback_by_hand_that_the_engine_can_not_carry_out_goes_on_later(machine: Protocol) -> None:
    desk = served(machine, FIRST, SECOND)
    machine.target.dock.lose_power()
    ended = desk.run(lambda ctx: rollback(ctx, to=None))
    assert ended.code is ExitCode.REVERT_FAILED
    assert "restart docker" in ended.message
    machine.somebody_restarts_the_engine()
    assert desk.run(reconcile).code is ExitCode.BLOCKED
    assert (machine.target.current or "").startswith(FIRST)
    state = machine.judge.state
    assert state is not None
    assert state.phase is Phase.ROLLED_BACK
    machine.is_safe()
    machine.teardown()
