"""What is going on when the fault strikes, and where it has to end."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tests.faults.app import App, new_app
from tests.faults.lab import Lab


@dataclass(frozen=True)
class Goal:
    """Where the target has to be in the end: what serves (its tag and its ROUND), what the last pass may answer, the
    tag of the release that has to be quarantined, how many releases may be on the disk, and the phase."""

    tag: str
    round: int
    codes: tuple[int, ...] = (0,)
    quarantined: str | None = None
    most_releases: int = 99
    phases: tuple[str, ...] = ("stabilizing", "stable", "rolled_back")


@dataclass(frozen=True)
class Scenario:
    """`begin` makes the world what it is before the pass, from one in which what deploy.yaml says is served."""

    name: str
    begin: Callable[[App], Goal]
    arguments: tuple[str, ...] = ("--once",)
    repeatable: bool = True
    """Whether it may go on from another case's end, and another from its: a repair is paced by those before it."""


class NotReady(RuntimeError):
    """The world before the fault isn't what the case needs: no fault of the fault."""


def fresh(lab: Lab, transport: str) -> App:
    """A new app whose first release serves. Raises NotReady."""
    app = new_app(lab, transport)
    app.want(lab.tag[0])
    once(app)
    app.plant()
    return app


def once(app: App) -> None:
    """A pass that has to converge. Raises NotReady."""
    ended = app.lab.plain_pass(app.repo.path, app.transport, "--once")
    if ended.code != 0:
        raise NotReady(str(ended))


def _deploy(app: App) -> Goal:
    app.want(_other(app))
    return Goal(app.tag, app.round)


def _env_only(app: App) -> Goal:
    app.want(_serving(app))
    return Goal(app.tag, app.round)


def _revert(app: App) -> Goal:
    tag, served = _serving(app), app.served_round()
    bad = app.lab.tag[2]
    app.want(bad)
    return Goal(tag, served, codes=(4,), quarantined=f"{bad}-")


def _heal(app: App) -> Goal:
    app.service("web").stop(timeout=1)
    for path in (app.dir / ".reconciler" / "files").glob("*/*"):
        path.chmod(0o644)
        path.write_text("threads=999\n")
    return Goal(_serving(app), app.served_round())


def _prune(app: App) -> Goal:
    if len(list((app.dir / "releases").iterdir())) < 2:
        app.want(_other(app))
        once(app)
    app.want(_other(app), retention=1)
    return Goal(app.tag, app.round, most_releases=2)


def _stable(app: App) -> Goal:
    """The oldest of three releases is last good; the newest becomes it in the pass, and the oldest is pruned."""
    app.repo.edit({"stabilization.period": "100ms"})
    once(app)
    app.repo.edit({"stabilization.period": "24h"})
    for _ in range(2):
        app.want(_other(app))
        once(app)
    app.repo.edit({"stabilization.period": "100ms", "retention.releases": 1})
    app.repo.commit("Soon stable")
    return Goal(app.tag, app.round, most_releases=2, phases=("stable",))


def _serving(app: App) -> str:
    state: dict[str, Any] = app.state()
    return str(state["releases"][state["serving"]]["tag"])


def _other(app: App) -> str:
    """The good tag that doesn't serve."""
    return next(tag for tag in app.lab.tag[:2] if tag != _serving(app))


SCENARIOS = {
    scenario.name: scenario
    for scenario in (
        Scenario("deploy", _deploy),
        Scenario("env-only", _env_only, ("--once", "--env-only")),
        Scenario("revert", _revert),
        Scenario("heal", _heal, repeatable=False),
        Scenario("prune", _prune),
        Scenario("stable", _stable, repeatable=False),
    )
}
