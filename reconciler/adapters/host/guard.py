"""Leases for the target's own watchdog, by `remote/arm.sh` and `remote/confirm.sh`; and what it left when it acted."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import assert_never

from reconciler.model.watchdog import Alone, Armed, Await, BringUp, Ended, Gone, Lease, Mode, Step


def lines(steps: tuple[Step, ...]) -> bytes:
    """The steps as `remote/watch.sh` reads them. Names of services have no blank in them: Compose's own rule."""
    return "".join(f"{_line(step)}\n" for step in steps).encode()


def arguments(lease: Lease, *, project: str, socket: str, is_home: bool, watch: str) -> tuple[str, ...]:
    """What `arm.sh` takes. `watch` is the text of `watch.sh`, for a host without a keeper that could run it."""
    return (
        lease.mode.value,
        lease.id,
        lease.run,
        lease.entering,
        lease.back,
        project,
        str(math.ceil(lease.seconds)),
        str(math.ceil(lease.lasts)),
        lease.silence.value,
        socket,
        "keeper" if is_home else "none",
        watch,
    )


def armed(found: Mapping[str, bytes]) -> Armed | None:
    """The lease that lies there; None where there is none."""
    about = _about(found.get("lease", b""))
    if "lease" not in about:
        return None
    return Armed(about["lease"], Mode(about.get("mode", Mode.SWITCH.value)), about.get("entering", ""))


def alone(found: Mapping[str, bytes]) -> Alone | None:
    """What the host did since a pass was last here; None where it did nothing."""
    about = _about(found.get("outcome", b""))
    if not {"lease", "entering", "back"} <= about.keys():
        return None
    result = about.get("result", "")
    seconds = about.get("at", "")
    return Alone(
        lease=about["lease"],
        run=about.get("run", ""),
        entering=about["entering"],
        back=about["back"],
        result=Ended(result) if result in set(Ended) else Ended.ABANDONED,  # a full disk cut the line off
        at=datetime.fromtimestamp(int(seconds), UTC) if seconds.isdigit() else datetime.now(UTC),
        sick=about.get("sick", "").strip(),
        told=tuple(_dated(line) for line in found.get("alone", b"").decode("utf-8", "replace").splitlines() if line),
        stuck=about.get("stuck", "").strip(),
    )


def _line(step: Step) -> str:
    match step:
        case Gone(service=service):
            return f"gone {service}"
        case Await(service=service, condition=condition, seconds=seconds):
            return f"wait {service} {condition} {math.ceil(seconds)}"
        case BringUp(services=services):
            return f"up {' '.join(services)}"
        case _:
            assert_never(step)


def _about(data: bytes) -> dict[str, str]:
    found = {}
    for line in data.decode("utf-8", "replace").splitlines():
        name, _, value = line.partition(" ")
        found[name] = value
    return found


def _dated(line: str) -> str:
    seconds, _, text = line.partition(" ")
    return f"{datetime.fromtimestamp(int(seconds), UTC):%Y-%m-%d %H:%M:%S} {text}" if seconds.isdigit() else line
