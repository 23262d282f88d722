"""`reconcile status`."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, replace

from reconciler.cli.render import Screen, print_json
from reconciler.core.health import Health
from reconciler.cycle.status import Status, Sync, status
from reconciler.model.errors import ExitCode, worst
from reconciler.wiring import Desk


def show_status(desk: Desk, screen: Screen, names: list[str], *, as_json: bool) -> int:
    """Sync, health and phase of every target. 6 when one is out of reach, 2 when one is out of sync, else 0."""
    with (
        desk.contexts(names, lambda _target, _text: None) as contexts,
        ThreadPoolExecutor(max_workers=desk.deploy.rollout.max_parallel) as pool,
    ):
        found = list(pool.map(status, contexts))
    if as_json:
        print_json({"targets": [_json(one) for one in found]})
    else:
        for one in found:
            _show(screen, one)
    return worst([_code(one) for one in found])


def _code(one: Status) -> ExitCode:
    if one.sync is Sync.UNKNOWN:
        return ExitCode.UNREACHABLE
    return ExitCode.OK if one.sync is Sync.IN_SYNC else ExitCode.CHANGES_PENDING


def _json(one: Status) -> dict[str, object]:
    told = {key: value for key, value in asdict(replace(one, plan=None)).items() if key != "plan"}
    return {**told, "since": one.since.isoformat() if one.since else None}


def _show(screen: Screen, one: Status) -> None:
    good = one.sync is Sync.IN_SYNC and one.health is Health.HEALTHY
    words = f"{one.sync}, {one.health}, {one.phase or 'no phase yet'}"
    screen.line(f"{screen.paint(one.target, 'bold')}: {screen.paint(words, 'green' if good else 'yellow')}")
    since = f" since {one.since:%Y-%m-%d %H:%M:%S} UTC" if one.since else ""
    screen.line(f"  serving    {one.serving or 'nothing'}{since}")
    screen.line(f"  desired    {one.desired_tag}")
    screen.line(f"  last good  {one.last_good or 'none yet'}")
    if one.reason:
        screen.line(f"  because    {one.reason}")
    for line in one.quarantine:
        screen.line(f"  quarantine {line}")
