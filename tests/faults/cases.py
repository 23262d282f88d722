"""One case: a scenario, hit at one index by one fault, brought back, gone over by at most two passes, and judged."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from tests.faults.app import App
from tests.faults.inflict import FAULTS, Pace
from tests.faults.judge import Before, Made, before, judge, look, saved_itself
from tests.faults.lab import PASS_SECONDS, Lab
from tests.faults.passes import Ended, Index
from tests.faults.scenarios import SCENARIOS, NotReady, Scenario, fresh

LOCK_SECONDS = 45.0
"""A lock's holder ends 30 s after the last sign of its controller (DESIGN); so long the next pass may be refused."""
LOCKED = 5
ASKS_FOR_A_PERSON = 7
PASSES = 2
"""So many bring it to rest."""
WATCHDOG_SECONDS = 4
"""The target's deadline in cases where nobody comes back; the default is 90 s."""
ALONE_SECONDS = 40.0
"""Until then it has gone back: its deadline, a stop, a start and a health check, on a loaded machine."""
CASES_ON_ONE_APP = 15
"""After so many an app's history is long enough to cost more than a new one."""


@dataclass(frozen=True)
class Case:
    """`delay` is the seconds to the middle of the index's command."""

    scenario: str
    transport: str
    fault: str
    index: str
    delay: float = 0.0

    @property
    def key(self) -> str:
        """What tells it from the others."""
        return f"{self.scenario}/{self.transport}/{self.fault}/{self.index}"


@dataclass
class Outcome:
    """What became of a case: `found` is what was wrong. `reached` is false where the pass never came to the index."""

    case: Case
    found: list[str] = field(default_factory=list)
    reached: bool = True
    seconds: float = 0.0
    story: list[str] = field(default_factory=list)
    on_app: list[str] = field(default_factory=list)
    """The cases that the same app has seen before, oldest first."""

    @property
    def again(self) -> str:
        """The command that runs it again; with those before it, where it went on from them."""
        return "python -m tests.faults" + "".join(f" --case '{key}'" for key in (*self.on_app, self.case.key))

    def __str__(self) -> str:
        told = [f"{self.case.key}:", *(f"  ! {each}" for each in self.found), *(f"  - {each}" for each in self.story)]
        return "\n".join([*told, f"  again: {self.again}"])


@dataclass
class Bench:
    """A lab with the app that the last case left, for the next one to go on with."""

    lab: Lab
    pace: Pace
    app: App | None = None
    uses: int = 0
    seen: list[str] = field(default_factory=list)

    def count(self, scenario: Scenario, transport: str) -> tuple[Index, ...]:
        """The indices of the scenario's pass when nothing happens. Raises NotReady."""
        app = self._app(scenario, transport)
        scenario.begin(app)
        ended = self.lab.pass_of(app.repo.path, transport, scenario.arguments).end(seconds=PASS_SECONDS)
        if ended.code not in {0, 3}:
            raise NotReady(f"{scenario.name} without a fault: {ended}")
        if not ended.indices:
            raise NotReady(f"{scenario.name}: its pass has no step: the controller didn't get our transport")
        if not scenario.repeatable:
            self.drop()
        return ended.indices

    def run(self, case: Case) -> Outcome:
        """The case, judged. Never raises for what the case itself does."""
        began, outcome, scenario = time.monotonic(), Outcome(case), SCENARIOS[case.scenario]
        try:
            try:
                self._hit(scenario, case, outcome)
            except NotReady:
                self.drop()
                self.lab.repair()
                self._hit(scenario, case, outcome)
        except (NotReady, TimeoutError, OSError, LookupError, RuntimeError, ValueError, AssertionError) as error:
            outcome.found.append(f"{type(error).__name__}: {error}")
        if outcome.found or not scenario.repeatable:
            self.drop()
        if outcome.found:
            self.lab.repair()
        outcome.seconds = round(time.monotonic() - began, 1)
        return outcome

    def drop(self) -> None:
        """The next case gets a new app."""
        if self.app is not None:
            self.app.remove()
        self.app = None

    def _hit(self, scenario: Scenario, case: Case, outcome: Outcome) -> None:
        app = self._app(scenario, case.transport)
        outcome.on_app = list(self.seen)
        self.seen.append(case.key)
        _run(app, case, self.pace, outcome)

    def _app(self, scenario: Scenario, transport: str) -> App:
        goes_on = scenario.repeatable and self.uses < CASES_ON_ONE_APP
        if self.app is None or self.app.transport != transport or not goes_on:
            self.drop()
            self.app, self.uses, self.seen = fresh(self.lab, transport), 0, []
        self.uses += 1
        return self.app


def _run(app: App, case: Case, pace: Pace, outcome: Outcome) -> None:
    scenario, fault = SCENARIOS[case.scenario], FAULTS[case.fault]
    heals = scenario.starts
    goal = scenario.begin(app)
    if any("/day-ahead/" in key for key in outcome.on_app):
        # What was verified by a clock that was ahead is the newest verified release, last good, until that day comes.
        goal = replace(goal, most_releases=goal.most_releases + 1)
    served = app.served()
    app.repo.edit({"rollback.watchdog": f"{WATCHDOG_SECONDS}s" if fault.alone else None})
    was = before(app, started=heals)
    options = ["--at", case.index, "--delay", str(case.delay)]
    options += ["--dies"] if fault.kills else []
    options += ["--dead-peer", str(pace.dead_peer)] if pace.dead_peer else []
    running = app.lab.pass_of(app.repo.path, case.transport, scenario.arguments, options)
    try:
        outcome.reached = running.wait_until_chosen(seconds=PASS_SECONDS)
        if outcome.reached and not fault.kills:
            fault.play(app.lab, running, pace)
    finally:
        ended = running.end(seconds=PASS_SECONDS)
    outcome.story.append(f"hit: {ended}")
    hit = look(app, started=heals)
    if fault.alone:
        outcome.found += _left_alone(app, [served, (goal.tag, goal.round)], was, started=heals)
        app.repo.edit({"rollback.watchdog": None})
    now = look(app, started=heals)
    # What the target has undone alone since then was done all the same.
    passes = [Made(ended, was.print, hit if hit != was.print else now)]
    left, is_stuck = PASSES, False
    while left:
        passes.append(_plain(app, outcome, ["--once"], now, heals))
        now, left = passes[-1].after, left - 1
        if not is_stuck and _says_stuck(passes[-1]) and app.port_is_nobodys():
            # The one thing that we can't put right. The pass has said what a person has to do, and so it is done.
            outcome.story.append("the engine held the port for nobody, and was restarted")
            app.lab.server.restart()
            now, left, is_stuck = look(app, started=heals), PASSES, True
        elif _is_settled(passes[-1], goal.codes):
            break
    else:
        passes.append(_plain(app, outcome, ["plan"], now, heals))
    outcome.found += judge(app, goal, was, passes)


def _says_stuck(made: Made) -> bool:
    return made.pass_.code == ASKS_FOR_A_PERSON and "restart docker" in made.pass_.out


def _left_alone(app: App, goals: list[tuple[str, int]], was: Before, *, started: bool) -> list[str]:
    """Waits for the watchdog to do what it does, and for the engine's health checks; then looks who serves.

    A pass that has touched nothing leaves nothing to save: what was stopped before it still is.
    """
    base = app.dir / ".reconciler" / "watchdog"
    deadline = time.monotonic() + ALONE_SECONDS

    def unsaved() -> list[str]:
        return [] if look(app, started=started) == was.print else saved_itself(app, goals)

    def undecided() -> bool:
        about = base / "lease" / "about"
        is_armed = about.exists() and "mode switch" in about.read_text()
        return is_armed or (base / "reverting").exists() or bool(unsaved())

    while undecided() and time.monotonic() < deadline:
        time.sleep(0.2)  # nobody tells who isn't there
    return [] if app.port_is_nobodys() else unsaved()


def _plain(app: App, outcome: Outcome, arguments: Sequence[str], print_: dict[str, str], heals: bool) -> Made:
    began = time.monotonic()
    while True:
        ended: Ended = app.lab.plain_pass(app.repo.path, app.transport, *arguments)
        waited = time.monotonic() - began
        if ended.code != LOCKED or waited > LOCK_SECONDS:
            break
        time.sleep(0.5)  # the lock gives no sign of its own to who is refused
    outcome.story.append(
        f"then: {ended}" + (f" (locked for {waited - ended.seconds:.0f} s)" if waited > ended.seconds + 0.5 else "")
    )
    return Made(ended, print_, look(app, started=heals))


def _is_settled(made: Made, codes: tuple[int, ...]) -> bool:
    return made.pass_.code in codes and not made.pass_.steps and not made.mutated
