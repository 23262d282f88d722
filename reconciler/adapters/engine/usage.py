"""What containers use, from the engine's statistics. Source: Docker Engine API, "ContainerStats"."""

from __future__ import annotations

import threading
from typing import Any

from reconciler.adapters.engine.facts import Json
from reconciler.adapters.engine.library import docker
from reconciler.ports import Usage

_NOTHING = Usage(cpu=None, memory=0, memory_limit=0)
_ONE_SHOT_SINCE = (1, 41)


class UsageMeter:
    """Remembers the CPU time of each container at its last reading. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._last: dict[str, tuple[int, int]] = {}

    def read(self, client: docker.APIClient, container_id: str) -> Usage:
        """One reading; a container that is gone or doesn't run uses nothing. Raises what the docker library raises.

        An engine before API 1.41 has no single reading: it takes up to two seconds for its own pair.
        """
        one_shot = tuple(map(int, client.api_version.split("."))) >= _ONE_SHOT_SINCE
        try:
            stats: Json = client.stats(container_id, stream=False, one_shot=True if one_shot else None)
        except docker.errors.NotFound:
            self._forget(container_id)
            return _NOTHING
        memory: Json = stats.get("memory_stats") or {}
        if "usage" not in memory:
            self._forget(container_id)
            return _NOTHING
        return Usage(
            cpu=self._cpu(container_id, stats),
            memory=max(0, int(memory["usage"]) - _reclaimable(memory.get("stats") or {})),
            memory_limit=int(memory.get("limit") or 0),
        )

    def _cpu(self, container_id: str, stats: Json) -> float | None:
        """Percent of all the host's processors since the last reading; both counters are nanoseconds of all of them."""
        now = _cpu_times(stats.get("cpu_stats") or {})
        if now is None:
            return None
        with self._lock:
            before = self._last.get(container_id) or _cpu_times(stats.get("precpu_stats") or {})
            self._last[container_id] = now
        if before is None or now[1] <= before[1] or now[0] < before[0]:
            return None  # the first reading, or its counters began anew with a restart
        return 100.0 * (now[0] - before[0]) / (now[1] - before[1])

    def _forget(self, container_id: str) -> None:
        with self._lock:
            self._last.pop(container_id, None)


def _cpu_times(stats: Json) -> tuple[int, int] | None:
    own: Any = (stats.get("cpu_usage") or {}).get("total_usage")
    host: Any = stats.get("system_cpu_usage")
    return (int(own), int(host)) if own is not None and host else None


def _reclaimable(stats: Json) -> int:
    """Page cache that the kernel gives back at need: what `docker stats` leaves out, on cgroup v1 and v2."""
    return int(stats.get("total_inactive_file") or stats.get("inactive_file") or 0)
