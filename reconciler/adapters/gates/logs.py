"""Fatal log lines since the switch. A measurement holds counts and patterns, never a line (P9)."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from reconciler.adapters.gates.base import GateEngine, Reporter
from reconciler.model.gates import LogsGate
from reconciler.model.measure import GateKind, Measurement, Outcome
from reconciler.ports import Clock

READ_BYTES = 4 * 2**20
"""What is read of one container at a time; of more, the newest."""
_OVERLAP = timedelta(seconds=1)
"""Read again each time: a container's two streams are stamped before they are written, not always in that order."""


@dataclass
class _Place:
    """How far one container was read: `since` on the engine's clock, and the lines from there on that were counted."""

    since: datetime
    counted: frozenset[bytes] = frozenset()


class LogsCheck:
    """Counts lines that a pattern is found in, over all containers of `services`, from `since` (the engine's clock) on.

    A line counts once, for the first pattern that it matches. Patterns are the team's own: one that takes exponential
    time takes it here, too.
    """

    name = "logs"
    kind = GateKind.LOGS

    def __init__(
        self,
        spec: LogsGate,
        engine: GateEngine,
        *,
        project: str,
        services: Collection[str],
        since: datetime,
        clock: Clock,
        redact: Callable[[str], str],
    ) -> None:
        self._patterns = [re.compile(pattern) for pattern in spec.fatal]
        self._most = spec.max
        self._engine = engine
        self._project = project
        self._services = services
        self._since = since
        self._places: dict[str, _Place] = {}
        self._hits: Counter[tuple[str, str]] = Counter()
        query = f"log lines matching {' or '.join(spec.fatal)} since the switch, at most {spec.max}"
        self._report = Reporter(self.name, self.kind, query, clock, redact)
        self.limits = self._report.limits

    def measure(self) -> Measurement:
        """`value` is the number of lines so far. Raises TargetUnreachable.

        No data where a container keeps no readable log, or where there is no container; a breach outweighs that.
        """
        unread: list[str] = []
        read = 0
        worst: str | None = None
        for container in self._engine.containers(self._project, details=False):
            if container.one_off or container.service not in self._services:
                continue
            output = self._read(container.id)
            if output is None:
                unread.append(container.service)
                continue
            read += 1
            if self._count(container.service, output):
                worst = worst or container.id
        total = self._hits.total()
        if total > self._most:
            return self._report.say(Outcome.BREACH, self._found(), value=total, container=worst)
        if unread:
            seen = f"no readable log of {', '.join(sorted(set(unread)))}: its log driver keeps none"
            return self._report.say(Outcome.NO_DATA, seen)
        if not read:
            return self._report.say(Outcome.NO_DATA, "no container, no log")
        return self._report.say(Outcome.PASS, self._found() if total else "no such line", value=total)

    def _found(self) -> str:
        parts = [
            f"{count} line{'s' if count > 1 else ''} of {service} matching {pattern}"
            for (service, pattern), count in self._hits.most_common()
        ]
        return ", ".join(parts)

    def _read(self, container_id: str) -> list[bytes] | None:
        """The lines that weren't counted yet, with their stamps."""
        place = self._places.setdefault(container_id, _Place(self._since))
        output = self._engine.stamped_logs(container_id, since=place.since, limit=READ_BYTES)
        if output is None:
            return None
        lines = output.split(b"\n")
        if len(output) >= READ_BYTES:
            del lines[0]  # its beginning was cut off
        lines = [line for line in lines if line]
        fresh = [line for line in lines if line not in place.counted]  # stamps of nanoseconds make each its own
        stamps = [stamp for line in lines if (stamp := _stamp(line))]
        if stamps:
            place.since = max(place.since, max(stamps) - _OVERLAP)
            place.counted = frozenset(line for line in lines if (stamp := _stamp(line)) and stamp >= place.since)
        return fresh

    def _count(self, service: str, lines: list[bytes]) -> bool:
        before = self._hits.total()
        for line in lines:
            text = line.partition(b" ")[2].rstrip(b"\r").decode(errors="replace")
            if pattern := next((p.pattern for p in self._patterns if p.search(text)), None):
                self._hits[service, pattern] += 1
        return self._hits.total() > before


def _stamp(line: bytes) -> datetime | None:
    """The time at the beginning of a line, cut to microseconds; None where a line has none."""
    try:
        return datetime.fromisoformat(line.partition(b" ")[0].decode("ascii")).astimezone(UTC)
    except ValueError:
        return None
