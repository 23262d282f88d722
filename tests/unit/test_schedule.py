"""The daemon's timetable: one at a time, what was missed once, and an end that waits for nothing it holds up."""

from __future__ import annotations

import threading

import pytest

from reconciler.daemon.schedule import Schedule


def test_a_job_that_adds_another_while_it_ends_does_not_hold_it_up() -> None:
    schedule, begun, may_end = Schedule(), threading.Event(), threading.Event()

    def job() -> None:
        begun.set()
        may_end.wait(10)
        schedule.once("another", 60.0, job)

    schedule.start()
    schedule.once("first", 0.0, job)
    assert begun.wait(10)
    stopping = threading.Thread(target=schedule.stop, daemon=True)
    stopping.start()
    may_end.set()
    stopping.join(10)
    assert not stopping.is_alive()


def test_a_job_of_the_same_name_takes_the_place_of_the_other() -> None:
    schedule, done, late = Schedule(), threading.Event(), threading.Event()
    schedule.start()
    schedule.once("job", 0.3, late.set)
    schedule.once("job", 0.0, done.set)
    assert done.wait(10)
    assert not late.wait(0.6)
    schedule.stop()


def test_a_job_never_runs_twice_at_the_same_time() -> None:
    """Due every 10 ms, and slow: the rounds that it misses meanwhile are not made up for."""
    schedule, together, most, rounds = Schedule(), 0, 0, 0
    lock, enough = threading.Lock(), threading.Event()

    def job() -> None:
        nonlocal together, most, rounds
        with lock:
            together, rounds = together + 1, rounds + 1
            most = max(most, together)
        threading.Event().wait(0.05)
        with lock:
            together -= 1
        if rounds >= 3:
            enough.set()

    schedule.start()
    schedule.every("job", 0.01, job, at_once=True)
    assert enough.wait(20)
    schedule.stop()
    assert most == 1


def test_dropping_takes_those_of_one_target() -> None:
    schedule, mine, other = Schedule(), threading.Event(), threading.Event()
    schedule.start()
    schedule.once("a/drift", 0.3, mine.set)
    schedule.once("ab/drift", 0.3, other.set)
    schedule.drop("a/")
    assert other.wait(10)
    assert not mine.is_set()
    schedule.stop()


@pytest.mark.filterwarnings("error::pytest.PytestUnhandledThreadExceptionWarning")
def test_it_ends_quietly_in_the_middle_of_a_round() -> None:
    """A job ends it, so to speak: the library is about to take that job off its list at that moment."""
    for _ in range(20):
        schedule, done = Schedule(), threading.Event()
        schedule.start()
        schedule.once("job", 0.0, done.set)
        assert done.wait(10)
        schedule.stop()
