"""Container state: what should run runs and is healthy, and nothing crashed since the switch.

Restarts count from the switch on: a container that has been running since before it has none, however often it
restarted last month; its count at that time is subtracted later.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from datetime import datetime
from enum import Enum, auto

from reconciler.adapters.gates.base import GateEngine, Reporter
from reconciler.dataclass import dataclass
from reconciler.model.gates import ContainersGate
from reconciler.model.measure import GateKind, Measurement, Outcome
from reconciler.model.observed import ContainerFacts
from reconciler.model.stored import ServiceFacts
from reconciler.ports import Clock

_MOST_SHOWN = 5


class _Is(Enum):
    """What one container amounts to. FAILED is fatal where too few others run, LOOPS always."""

    GOOD = auto()
    WAITING = auto()
    DOWN = auto()
    FAILED = auto()
    LOOPS = auto()


@dataclass(frozen=True, slots=True)
class _Finding:
    service: str
    what: _Is
    seen: str
    container: str | None = None


class ContainersCheck:
    """State, restarts and engine health of the app's containers; one-shots that succeeded, or are gone, are fine.

    `running` percent of all expected replicas (rounded up) have to run and be healthy; whatever the percentage, more
    than `max_restarts` restarts, or a one-shot that failed, breach at once. `expected` maps services to the release's
    facts; containers of other services, and one-off runs, are drift's concern. `since` is the engine's clock.
    """

    name = "containers"
    kind = GateKind.CONTAINERS

    def __init__(
        self,
        spec: ContainersGate,
        engine: GateEngine,
        *,
        project: str,
        expected: Mapping[str, ServiceFacts],
        since: datetime,
        clock: Clock,
        redact: Callable[[str], str],
    ) -> None:
        self._spec = spec
        self._engine = engine
        self._project = project
        self._expected = expected
        self._since = since
        self._restarts_before: dict[str, int] = {}
        self._wanted = sum(facts.replicas for facts in expected.values() if not facts.one_shot)
        self._needed = math.ceil(self._wanted * spec.running / 100 - 1e-9)
        query = (
            f"running and healthy of {self._wanted} containers, at least {self._needed}, restarts ≤ {spec.max_restarts}"
        )
        self._report = Reporter(self.name, self.kind, query, clock, redact)
        self.limits = self._report.limits

    def measure(self) -> Measurement:
        """`value` is the number of replicas that run and are healthy. Raises TargetUnreachable."""
        findings = self._findings()
        good, waiting = self._count(findings, _Is.GOOD), self._count(findings, _Is.WAITING)
        one_shots = [f for f in findings if self._expected[f.service].one_shot]
        at_once = next((f for f in findings if f.what is _Is.LOOPS or (f in one_shots and f.what is _Is.FAILED)), None)
        if at_once:
            return self._say(Outcome.BREACH, findings, good, first=at_once, fatal=True)
        if good >= self._needed:
            unfinished = next((f for f in one_shots if f.what is _Is.WAITING), None)
            return self._say(Outcome.INCONCLUSIVE if unfinished else Outcome.PASS, findings, good, first=unfinished)
        if good + waiting >= self._needed:
            return self._say(Outcome.INCONCLUSIVE, findings, good)
        failed = next((f for f in findings if f.what is _Is.FAILED), None)
        down = next((f for f in findings if f.what is _Is.DOWN), None)
        return self._say(Outcome.BREACH, findings, good, first=failed or down, fatal=failed is not None)

    def _say(
        self,
        outcome: Outcome,
        findings: list[_Finding],
        good: int,
        *,
        first: _Finding | None = None,
        fatal: bool = False,
    ) -> Measurement:
        """Names what isn't good, the decisive one first."""
        order = [f for f in findings if f is first] + [f for f in findings if f is not first and f.what is not _Is.GOOD]
        problems = [f.seen for f in order[:_MOST_SHOWN]]
        if len(order) > _MOST_SHOWN:
            problems.append(f"and {len(order) - _MOST_SHOWN} more")
        seen = "; ".join(problems) or f"{good} of {self._wanted} running"
        return self._report.say(outcome, seen, value=good, fatal=fatal, container=first.container if first else None)

    def _count(self, findings: list[_Finding], what: _Is) -> int:
        """Replicas of long-running services; more than a service needs don't make up for another's."""
        return sum(
            min(facts.replicas, sum(f.what is what for f in findings if f.service == service))
            for service, facts in self._expected.items()
            if not facts.one_shot
        )

    def _findings(self) -> list[_Finding]:
        found: list[_Finding] = []
        containers = self._engine.containers(self._project, details=True)
        for service, facts in self._expected.items():
            own = [c for c in containers if c.service == service and not c.one_off and not _is_anothers_run(c, facts)]
            found += [self._judge(c, facts, c.name if len(own) > 1 else service) for c in own]
            if not facts.one_shot and len(own) < facts.replicas:
                gone = "no container" if not own else f"{len(own)} of {facts.replicas} containers"
                found.append(_Finding(service, _Is.DOWN, f"{service}: {gone}"))
        return found

    def _judge(self, c: ContainerFacts, facts: ServiceFacts, label: str) -> _Finding:
        what, seen = self._state(c, facts)
        return _Finding(c.service, what, f"{label}: {seen}", c.id)

    def _state(self, c: ContainerFacts, facts: ServiceFacts) -> tuple[_Is, str]:
        restarts = self._restarts(c)
        again = f" after {restarts} restart{'s' if restarts > 1 else ''}" if restarts else ""
        out_of_memory = c.oom_killed and (not c.runs or self._started_since_the_switch(c))
        code = c.exit_code
        if code is None and restarts > self._spec.max_restarts:
            code = self._engine.last_exit_code(c.id)  # it runs again, and its state has forgotten
        ended = f"{'out of memory, ' if out_of_memory else ''}exited with code {code}{again}"
        if restarts > self._spec.max_restarts:
            return _Is.LOOPS, ended if code is not None else f"{c.state}{again}"
        match c.state:
            case "exited" if facts.one_shot and c.exit_code == 0:
                return _Is.GOOD, "done"
            case "exited" | "dead":
                return _Is.FAILED, ended
            case "restarting":
                return _Is.DOWN, ended  # fewer restarts than are allowed: it may come up
            case "running":
                return self._running(c, facts, out_of_memory)
            case "created" if c.exit_code:
                return _Is.FAILED, f"could not be started (code {c.exit_code})"
            case "created" if facts.one_shot:
                return _Is.WAITING, "not started yet"
            case _:
                return _Is.DOWN, "not started" if c.state == "created" else c.state

    def _running(self, c: ContainerFacts, facts: ServiceFacts, out_of_memory: bool) -> tuple[_Is, str]:
        if facts.one_shot:
            return _Is.WAITING, "not done yet"
        if out_of_memory:
            return _Is.FAILED, "out of memory: one of its processes was killed"
        if c.health == "unhealthy":
            printed = self._report.quote(self._engine.health_output(c.id))
            return _Is.FAILED, f"unhealthy: {printed}".removesuffix(": ")
        if c.health == "starting":
            return _Is.WAITING, "health check still starting"
        return _Is.GOOD, "running"

    def _restarts(self, c: ContainerFacts) -> int:
        total = c.restarts or 0
        if c.started_at is not None and not self._started_since_the_switch(c):
            self._restarts_before[c.id] = total
        return max(0, total - self._restarts_before.get(c.id, 0))

    def _started_since_the_switch(self, c: ContainerFacts) -> bool:
        return c.started_at is not None and c.started_at >= self._since


def _is_anothers_run(c: ContainerFacts, facts: ServiceFacts) -> bool:
    """A one-shot that has succeeded never runs again; what lies there then may be the failed run of another release."""
    return facts.one_shot and c.digest is not None and c.digest != facts.digest
