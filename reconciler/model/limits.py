"""The limits of a container that `docker update` changes, and which of them it can take away again."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

RESTART_POLICY = "RestartPolicy"

WHOLE_NUMBERS = (
    "BlkioWeight",
    "CpuPeriod",
    "CpuQuota",
    "CpuRealtimePeriod",
    "CpuRealtimeRuntime",
    "CpuShares",
    "KernelMemory",
    "Memory",
    "MemoryReservation",
    "MemorySwap",
    "NanoCpus",
    "PidsLimit",
)
TEXTS = ("CpusetCpus", "CpusetMems")
"""With RestartPolicy, everything that the engine's UpdateContainer copies. Source: moby, container/container_unix.go.

The API's "ContainerUpdate" lists more (devices, ulimits): engines accept those and change nothing (tried on 26.1).
"""

RESETS: Mapping[str, int | str] = MappingProxyType(
    {"CpuPeriod": 100_000, "CpuQuota": -1, "PidsLimit": 0, RESTART_POLICY: "no:0"}
)
"""Limit → what takes it away. For every other one zero means "unchanged" to the engine (tried on 26.1).

What looks like a way isn't one: CpuShares 1024 is another weight than none on cgroup v2, and a MemoryReservation of -1
is there the strongest protection instead of none.
"""


def is_none(name: str, value: int | str) -> bool:
    """Whether a limit's value says that there is none: absent, or put back to that by RESETS."""
    if name == "CpuQuota" or name == "PidsLimit":
        return isinstance(value, int) and value <= 0
    return value in (0, "", RESETS.get(name))


def irrevocable(wanted: Mapping[str, int | str], found: Mapping[str, int | str]) -> tuple[str, ...]:
    """The limits that are there, shouldn't be, and that no update takes away."""
    return tuple(sorted(name for name in found if name not in wanted and name not in RESETS))
