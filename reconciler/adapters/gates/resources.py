"""CPU and memory of the app's containers, and the disk under it, against limits in percent."""

from __future__ import annotations

import re
from collections.abc import Callable

from reconciler.adapters.gates.base import GateEngine, Reporter, is_only_slow
from reconciler.dataclass import dataclass
from reconciler.model.errors import TargetTimeout
from reconciler.model.gates import ResourcesGate
from reconciler.model.measure import GateKind, Measurement, Outcome
from reconciler.ports import Clock, Transport

DF_SECONDS = 15.0
_DF_LINE = re.compile(r"\s(\d+)\s+(\d+)\s+(-?\d+)\s+(\d+)%\s+(/.*)$")


@dataclass(frozen=True, slots=True)
class _Reading:
    """`percent` of what `what` has, and how near it is to its limit (over 1 is a breach)."""

    what: str
    percent: float
    limit: float

    @property
    def nearness(self) -> float:
        return self.percent / self.limit if self.limit else float("inf") if self.percent else 1.0

    def __str__(self) -> str:
        return f"{self.what} {self.percent:.0f} %"


class ResourcesCheck:
    """Each running container's CPU (of all processors) and memory (of its limit, else the host's), and the fill of the
    file systems of `deploy_dir` and, where the target's shell can see it, of the engine's data root.

    CPU takes two readings: the first measurement judges only memory and disk, and says so.
    """

    name = "resources"
    kind = GateKind.RESOURCES

    def __init__(
        self,
        spec: ResourcesGate,
        engine: GateEngine,
        transport: Transport,
        *,
        project: str,
        deploy_dir: str,
        clock: Clock,
        redact: Callable[[str], str],
    ) -> None:
        self._spec = spec
        self._engine = engine
        self._transport = transport
        self._project = project
        self._deploy_dir = deploy_dir
        self._disk_root: str | None = None
        limits = {"CPU": spec.cpu_percent, "memory": spec.memory_percent, "disk": spec.disk_percent}
        query = ", ".join(f"{what} ≤ {limit:g}" for what, limit in limits.items() if limit is not None)
        self._report = Reporter(self.name, self.kind, f"percent in use: {query}", clock, redact)
        self.limits = self._report.limits

    def measure(self) -> Measurement:
        """`value` is the percentage nearest to its limit, or furthest over it. Raises TargetUnreachable."""
        readings, notes = self._containers()
        if self._spec.disk_percent is not None:
            disks, trouble = self._disks(self._spec.disk_percent)
            if not disks:
                return self._report.say(Outcome.ERROR, f"disk not measured: {trouble}")
            readings += disks
        if not readings:
            return self._report.say(Outcome.INCONCLUSIVE, "; ".join(notes) or "no container runs")
        readings.sort(key=lambda reading: reading.nearness, reverse=True)
        over = [reading for reading in readings if reading.percent > reading.limit]
        if over:
            seen = ", ".join(f"{reading}, limit {reading.limit:g} %" for reading in over)
            return self._report.say(Outcome.BREACH, seen, value=over[0].percent)
        seen = "; ".join([", ".join(map(str, readings[:3])), *notes])
        return self._report.say(Outcome.PASS, seen, value=readings[0].percent)

    def _containers(self) -> tuple[list[_Reading], list[str]]:
        cpu, memory = self._spec.cpu_percent, self._spec.memory_percent
        if cpu is None and memory is None:
            return [], []
        readings: list[_Reading] = []
        unknown_cpu = False
        for container in self._engine.containers(self._project, details=False):
            if not container.runs or container.one_off:
                continue
            usage = self._engine.usage(container.id)
            if cpu is not None and usage.cpu is not None:
                readings.append(_Reading(f"{container.name} CPU", usage.cpu, cpu))
            unknown_cpu |= cpu is not None and usage.cpu is None
            if memory is not None and usage.memory_limit:
                percent = 100 * usage.memory / usage.memory_limit
                readings.append(_Reading(f"{container.name} memory", percent, memory))
        return readings, ["CPU not yet known: it takes two readings"] if unknown_cpu else []

    def _disks(self, limit: float) -> tuple[list[_Reading], str]:
        """Each file system once, by its mount point; nothing, and why, where that of `deploy_dir` can't be read."""
        if self._disk_root is None:
            self._disk_root = self._engine.disk_root()
        try:
            done = self._transport.run(["df", "-Pk", self._deploy_dir, self._disk_root], timeout=DF_SECONDS)
        except TargetTimeout as error:
            is_only_slow(self._transport, error)
            return [], f"df gave no answer within {DF_SECONDS:g} s"
        found = [
            found for line in done.stdout.decode(errors="replace").splitlines() if (found := _DF_LINE.search(line))
        ]
        complained = self._report.quote(done.stderr.decode(errors="replace"))
        if not found or (done.status != 0 and self._deploy_dir in complained):
            return [], complained or f"df ended with status {done.status}"
        return [
            _Reading(f"disk {mount}", float(percent), limit) for mount, percent in {f[5]: f[4] for f in found}.items()
        ], ""
