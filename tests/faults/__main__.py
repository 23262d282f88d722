"""python -m tests.faults: every index × every fault, or the part that is asked for. Exit code 1: a violation."""

from __future__ import annotations

import argparse
import signal
import sys
import threading
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from tests.faults import campaign
from tests.faults.cases import Bench, Case
from tests.faults.inflict import BOTH, FAULTS, WHOLE, Pace
from tests.faults.scenarios import SCENARIOS


def main(argv: Sequence[str] | None = None) -> int:
    """Parse, run, print the table."""
    asked = _parser().parse_args(argv)
    pace = Pace(asked.stopped, asked.dead_peer)
    if asked.fresh and asked.done:
        asked.done.unlink(missing_ok=True)
    done = campaign.Done(asked.done)
    began, stopped = time.monotonic(), threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, partial(_end, stopped))
    with campaign.benches(1 if asked.index or asked.list or asked.case else asked.jobs, pace) as benches:
        todo = _named(benches[0], asked, done) if asked.case else _todo(benches[0], asked, done)
        if asked.seed is not None:
            todo = campaign.shuffled(todo, asked.seed)
        if asked.index and not todo:
            _say("the pass has no such index")
            return 64
        _say(f"{len(todo)} cases, {len([case for case in todo if done.has(case)])} of them done")

        def over() -> bool:
            return stopped.is_set() or (bool(asked.minutes) and time.monotonic() - began > asked.minutes * 60)

        campaign.run(benches, todo, done, _say, over)
        for bench in benches:
            bench.drop()
    for outcome in done.violations:
        _say(f"VIOLATION {outcome.case.key}: {'; '.join(outcome.found)[:600]}\n  again: {outcome.again}")
    _say(done.table())
    _say(done.summary())
    return 1 if done.violations else 0


def _end(stopped: threading.Event, number: int, _: object) -> None:
    """The first request lets the cases that are at work come to their end, the second one doesn't."""
    if stopped.is_set():
        raise KeyboardInterrupt
    stopped.set()
    _say(f"{signal.Signals(number).name}: ending after the cases that are at work")


def _todo(bench: Bench, asked: argparse.Namespace, done: campaign.Done) -> list[Case]:
    todo: list[Case] = []
    for transport in asked.transport or BOTH:
        for scenario in asked.scenario or SCENARIOS:
            indices = done.counted(scenario, transport, partial(bench.count, SCENARIOS[scenario], transport))
            _say(f"{scenario} over {transport}: {len(indices)} indices")
            if asked.list:
                for index in indices:
                    _say(f"  {index.number:>3}  {index.name}")
                continue
            if asked.index:
                indices = [i for i in indices if asked.index in {i.name, str(i.number)}]
            todo += campaign.cases_of(scenario, transport, indices, asked.fault or list(FAULTS))
    return todo


def _named(bench: Bench, asked: argparse.Namespace, done: campaign.Done) -> list[Case]:
    """The cases that were asked for by name, in that order, on one app."""
    delays: dict[tuple[str, str, str], float] = {}
    todo = []
    for key in asked.case:
        scenario, transport, fault, index = key.split("/", 3)
        if not any(known[:2] == (scenario, transport) for known in delays):
            for each in done.counted(scenario, transport, partial(bench.count, SCENARIOS[scenario], transport)):
                delays[scenario, transport, each.name] = round(each.seconds / 2, 4)
        todo.append(Case(scenario, transport, fault, index, delays.get((scenario, transport, index), 0.0)))
    bench.drop()
    return todo


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    parser.add_argument("--scenario", action="append", choices=SCENARIOS)
    parser.add_argument("--transport", action="append", choices=BOTH)
    parser.add_argument("--fault", action="append", choices=FAULTS)
    parser.add_argument("--index", help="the name or the number of one index")
    parser.add_argument("--case", action="append", help="one case by its name; several run in this order on one app")
    parser.add_argument("--list", action="store_true", help="only count, and print the indices")
    parser.add_argument("--jobs", type=int, default=2, help="servers side by side (default: 2)")
    parser.add_argument("--done", type=Path, help="keep what is done in this file, and go on from it")
    parser.add_argument("--fresh", action="store_true", help="begin anew, whatever the file says")
    parser.add_argument("--seed", type=int, help="shuffle")
    parser.add_argument("--minutes", type=float, help="begin no case after so many minutes")
    parser.add_argument("--stopped", type=float, default=WHOLE.stopped, help="seconds that a stopped sshd stands still")
    parser.add_argument("--dead-peer", type=int, help="seconds of silence after which a peer is dead (the product's)")
    return parser


def _say(text: str) -> None:
    print(text, flush=True)  # noqa: T201 # the table is what this command is for


if __name__ == "__main__":
    sys.exit(main())
