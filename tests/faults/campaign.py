"""Many cases on a few labs at a time; what is done is kept in a file, so that an interrupted run goes on."""

from __future__ import annotations

import hashlib
import json
import random
import re
import tempfile
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path

from ops.demo.images import Fault as BadImage
from tests.faults.cases import Bench, Case, Outcome
from tests.faults.inflict import BOTH, FAULTS, Pace
from tests.faults.lab import new_lab
from tests.faults.passes import Index
from tests.faults.scenarios import SCENARIOS
from tests.world.images import session_images
from tests.world.world import CHECKOUT

MOST_ALIKE = 2
"""Of the gates' connections, one each 300 ms for as long as the window lasts, the first ones stand for all."""
_GATE = re.compile(r"connect tcp#(\d+) ")


@contextmanager
def benches(number: int, pace: Pace) -> Iterator[list[Bench]]:
    """So many labs, each with a server of its own; gone when the block ends."""
    with (
        tempfile.TemporaryDirectory(prefix="reconciler-faults-", ignore_cleanup_errors=True) as tmp,
        session_images() as images,
        ExitStack() as labs,
    ):
        bad = images.bad(BadImage.CRASH)
        made = [labs.enter_context(new_lab(Path(tmp) / f"lab{n}", images, bad)) for n in range(number)]
        yield [Bench(lab, pace) for lab in made]


def cases_of(scenario: str, transport: str, indices: Sequence[Index], faults: Sequence[str]) -> list[Case]:
    """Each index with each of the faults that make sense there."""
    return [
        Case(scenario, transport, fault, index.name, round(index.seconds / 2, 4))
        for fault in faults
        if transport in FAULTS[fault].transports
        for index in indices
        if not (gate := _GATE.match(index.name)) or int(gate[1]) <= MOST_ALIKE
    ]


@dataclass
class Done:
    """The outcomes so far, each a line of JSON in `file`. One of another version of the product doesn't count."""

    file: Path | None
    version: str = field(default_factory=lambda: product_version())
    outcomes: list[Outcome] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        if self.file is None or not self.file.exists():
            return
        for line in self.file.read_text().splitlines():
            told = json.loads(line)
            if told.pop("version") == self.version:
                self.outcomes.append(Outcome(**{**told, "case": Case(**told["case"])}))

    def has(self, case: Case) -> bool:
        """Whether it was run."""
        return any(outcome.case.key == case.key for outcome in self.outcomes)

    def add(self, outcome: Outcome) -> None:
        """One more."""
        with self._lock:
            self.outcomes.append(outcome)
            if self.file is not None:
                self.file.parent.mkdir(parents=True, exist_ok=True)
                with self.file.open("a") as lines:
                    lines.write(json.dumps({"version": self.version, **asdict(outcome)}) + "\n")

    def counted(self, scenario: str, transport: str, count: Callable[[], Sequence[Index]]) -> Sequence[Index]:
        """The indices of a scenario's pass, counted once for each version of the product."""
        kept = self.file.with_suffix(f".{self.version}.{scenario}.{transport}") if self.file else None
        if kept is not None and kept.exists():
            return [Index(**each) for each in json.loads(kept.read_text())]
        indices = count()
        if kept is not None:
            kept.parent.mkdir(parents=True, exist_ok=True)
            kept.write_text(json.dumps([asdict(index) for index in indices]))
        return indices

    @property
    def violations(self) -> list[Outcome]:
        """Those with something wrong."""
        return [outcome for outcome in self.outcomes if outcome.found]

    def table(self) -> str:
        """Cases by scenario, transport and fault: how many were hit, and how many of these found something."""
        hit = Counter((o.case.scenario, o.case.transport, o.case.fault) for o in self.outcomes if o.reached)
        bad = Counter((o.case.scenario, o.case.transport, o.case.fault) for o in self.violations)
        lines = [" " * 15 + "".join(f"{fault:>13}" for fault in FAULTS)]
        for scenario in SCENARIOS:
            for transport in BOTH:
                cells = [(hit[scenario, transport, fault], bad[scenario, transport, fault]) for fault in FAULTS]
                shown = [(f"{n}" + (f" ({b}!)" if b else "")) if n or b else "-" for n, b in cells]
                lines.append(f"{scenario:<9} {transport:<5}" + "".join(f"{each:>13}" for each in shown))
        return "\n".join(lines)

    def summary(self) -> str:
        """One line."""
        missed = sum(1 for outcome in self.outcomes if not outcome.reached)
        return (
            f"{len(self.outcomes) - missed} cases, {len(self.violations)} violations"
            f" ({missed} more whose index the pass didn't come to)"
        )


def run(
    on: Sequence[Bench], todo: Sequence[Case], done: Done, say: Callable[[str], None], end: Callable[[], bool]
) -> None:
    """The cases that aren't done, in this order, as many at a time as there are benches, until `end` says so."""
    queue, lock = [case for case in todo if not done.has(case)], threading.Lock()
    whole = len(queue)

    def work(bench: Bench) -> None:
        while not end():
            with lock:
                # One that goes on with the app that is there costs less.
                mine = [c for c in queue[:40] if bench.app is not None and c.transport == bench.app.transport]
                if not queue:
                    return
                case = (mine or queue)[0]
                queue.remove(case)
                number = whole - len(queue)
            outcome = bench.run(case)
            done.add(outcome)
            word = "VIOLATION" if outcome.found else "ok" if outcome.reached else "not reached"
            say(f"{number}/{whole} {case.key} {outcome.seconds} s {word}")
            if outcome.found:
                say(str(outcome))

    with ThreadPoolExecutor(len(on)) as pool:
        for each in [pool.submit(work, bench) for bench in on]:
            each.result()


def shuffled(cases: Sequence[Case], seed: int) -> list[Case]:
    """In an order that the seed gives, in which every fault comes once before one comes twice."""
    rng = random.Random(seed)  # noqa: S311 # a sample is no secret
    piles = {fault: [case for case in cases if case.fault == fault] for fault in FAULTS}
    for pile in piles.values():
        rng.shuffle(pile)
    order = []
    while any(piles.values()):
        names = [fault for fault, pile in piles.items() if pile]
        rng.shuffle(names)
        order += [piles[fault].pop() for fault in names]
    return order


def product_version() -> str:
    """A digest of what runs on either side."""
    digest = hashlib.sha256()
    for path in sorted((CHECKOUT / "reconciler").rglob("*")):
        if path.suffix in {".py", ".sh"}:
            digest.update(path.read_bytes())
    return digest.hexdigest()[:12]
