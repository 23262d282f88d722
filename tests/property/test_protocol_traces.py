"""What the model of the protocol found, in its shortest form: each was a defect, and is one run of the model."""

from __future__ import annotations

import pytest

from reconciler.cycle import deploy, verify
from reconciler.cycle.apply import UP_ATTEMPTS
from reconciler.cycle.by_hand import retry, rollback
from reconciler.cycle.reconcile import reconcile
from reconciler.model.errors import ExitCode
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
