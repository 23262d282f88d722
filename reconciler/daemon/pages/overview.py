"""The overview: what is desired, and how every target stands to it. Pure."""

from __future__ import annotations

from collections import Counter
from urllib.parse import quote

from reconciler.core.account import drift_lines
from reconciler.core.health import Health
from reconciler.cycle.status import Status, Sync
from reconciler.daemon.pages.scene import Scene, Standing
from reconciler.daemon.pages.words import (
    PHASE_UNKNOWN,
    Badge,
    Moment,
    Tone,
    health_badge,
    maybe,
    phase_badge,
    result_badge,
    sync_badge,
    worst,
)
from reconciler.dataclass import dataclass
from reconciler.model.plan import Plan
from reconciler.model.stored import Phase, Suspension


@dataclass(frozen=True, slots=True)
class Banner:
    """What is wrong with everything at once, or what comes first."""

    tone: Tone
    title: str
    text: str


@dataclass(frozen=True, slots=True)
class Desired:
    """The desired state. `asked` is when it was last known to be the newest."""

    app: str
    tag: str
    commit: str
    since: Moment | None
    asked: Moment | None
    banner: Banner | None


@dataclass(frozen=True, slots=True)
class Facts:
    """What a look at a target found. Badges and texts; empty where there is nothing."""

    sync: Badge
    health: Badge
    phase: Badge
    phase_since: Moment | None
    serving: str
    serving_tag: str
    last_good: str


@dataclass(frozen=True, slots=True)
class Row:
    """One target. `facts` are what is so now, or (`is_current` False) what was so at `seen`: then the badges say that
    nobody knows. `lines` say what is the matter, most important first."""

    name: str
    href: str
    tone: Tone
    sync: Badge
    health: Badge
    phase: Badge
    since: Moment | None
    desired_tag: str
    facts: Facts | None
    is_current: bool
    seen: Moment | None
    lines: tuple[tuple[str, str], ...]
    drift: tuple[str, ...]
    last: Badge | None
    looked: Moment | None

    @property
    def words(self) -> str:
        """The row's states in one line: for a title."""
        return f"{self.sync.word}, {self.health.word}, {self.phase.word}"


@dataclass(frozen=True, slots=True)
class Total:
    """How many targets are so."""

    badge: Badge
    count: int


@dataclass(frozen=True, slots=True)
class Overview:
    """The first page."""

    rows: tuple[Row, ...]
    totals: tuple[tuple[str, tuple[Total, ...]], ...]
    """Axis → how many targets are how on it."""

    @property
    def summary(self) -> str:
        """All of it in one line: for a title."""
        return ", ".join(
            f"{axis.lower()}: {', '.join(f'{each.count} {each.badge.word}' for each in totals)}"
            for axis, totals in self.totals
        )


def overview(scene: Scene) -> Overview:
    """Every target at the moment of the scene."""
    standings = scene.standings()
    return Overview(tuple(row(scene, each) for each in standings), _totals(standings))


def desired(scene: Scene) -> Desired:
    """The desired state, and what is wrong with it."""
    source = scene.source
    return Desired(
        app=scene.text(source.app),
        tag=scene.text(source.tag),
        commit=scene.text(source.commit or ""),
        since=maybe(source.since, scene.now),
        asked=maybe(source.asked_at, scene.now),
        banner=_banner(scene),
    )


def _banner(scene: Scene) -> Banner | None:
    source = scene.source
    trouble = scene.text(source.trouble)
    if source.since is None:
        return Banner(Tone.UNKNOWN, "No desired state is known yet", trouble or "It is being asked for.")
    if source.is_blind:
        asked = maybe(source.asked_at, scene.now)
        since = f"since {asked.text}" if asked else "since the daemon began"
        return Banner(
            Tone.UNKNOWN, f"What is desired is unknown {since}", f"So is whether any target is in sync: {trouble}"
        )
    if trouble:
        return Banner(Tone.WARN, "The desired state stays as it was", trouble)
    return None


def row(scene: Scene, standing: Standing) -> Row:
    """One target's row; its page begins with the same."""
    view, facts = standing.view, facts_of(scene, standing)
    badges = (
        sync_badge(standing.sync),
        health_badge(standing.health),
        facts.phase if facts and standing.is_current else PHASE_UNKNOWN,
    )
    result = scene.text(view.last.result) if view.last else ""
    return Row(
        name=scene.text(view.name),
        href=f"/targets/{quote(view.name, safe='')}",
        tone=worst(*badges),
        sync=badges[0],
        health=badges[1],
        phase=badges[2],
        since=maybe(standing.since, scene.now),
        desired_tag=scene.text(scene.source.tag),
        facts=facts,
        is_current=standing.is_current,
        seen=maybe(standing.seen_at, scene.now),
        lines=tuple(_lines(scene, standing)),
        drift=tuple(scene.text(line) for line in drift_lines(plan)) if (plan := plan_of(standing)) else (),
        last=result_badge(result) if result else None,
        looked=maybe(view.looked_at, scene.now),
    )


def facts_of(scene: Scene, standing: Standing) -> Facts | None:
    """What the newest look found; None where there was none yet."""
    status = standing.status
    if status is None:
        return None
    memory = standing.view.memory
    past = memory.state.releases.get(status.serving or "") if memory else None
    return Facts(
        sync=sync_badge(status.sync),
        health=health_badge(status.health),
        phase=phase_badge(status.phase),
        phase_since=maybe(status.since, scene.now),
        serving=scene.text(status.serving or ""),
        serving_tag=scene.text(past.tag if past else (status.serving or "").rpartition("-")[0]),
        last_good=scene.text(status.last_good or ""),
    )


def plan_of(standing: Standing) -> Plan | None:
    """What a pass would do now; None where nobody can tell without making one.

    The look knows it while what serves is what is asked for. Where that is in quarantine, the last pass held what
    serves against its own release, and left what it didn't put back.
    """
    if not standing.is_current or standing.status is None or standing.is_outdated:
        return None
    if standing.status.plan is not None:
        return standing.status.plan
    last = standing.view.last
    if last is None or last.plan is None or last.result not in {"blocked", "drifted"}:
        return None
    return last.plan if last.plan.is_empty else None  # what had steps was carried out


def _lines(scene: Scene, standing: Standing) -> list[tuple[str, str]]:
    """Each with the word that introduces it. What the target itself says is left out while it isn't known."""
    word = "Changed" if standing.is_outdated else "Unknown"
    lines = [(word, standing.why_unknown)] if standing.why_unknown else []
    status = standing.status
    if not standing.is_current or status is None:
        return lines
    last, frozen = standing.view.last, suspension_of(standing)
    if status.phase is Phase.FAILED:
        lines.append(("Failed", "a person is needed"))
    if frozen is not None:
        lines.append(("Suspended", scene.text(f"by {frozen.by}: {frozen.message}")))
    lines += [("Quarantined", scene.text(line)) for line in status.quarantine]
    if not standing.is_outdated and (because := _because(scene, standing, status)):
        lines.append(("Because", scene.text(because)))
    told_already = last is not None and last.result == "blocked" and (frozen is not None or status.quarantine)
    if last is not None and int(last.exit_code) != 0 and not told_already:
        lines.append(("Last pass", scene.text(last.message)))
    return lines


def suspension_of(standing: Standing) -> Suspension | None:
    """The freeze that is in force, where it is known."""
    memory, status = standing.view.memory, standing.status
    if memory is None or status is None or status.phase is not Phase.SUSPENDED:
        return None
    return memory.state.suspended


def _because(scene: Scene, standing: Standing, status: Status) -> str:
    """The look's reason without what has a line of its own."""
    plan, frozen, rest = plan_of(standing), suspension_of(standing), status.reason
    drift = "; ".join(f"{each.vector}: {each.line}" for each in plan.drift) if plan else ""
    froze = scene.mask(f"suspended by {frozen.by}: {frozen.message}") if frozen else ""
    for told in (drift, froze):
        rest = rest.removeprefix(told).removeprefix("; ")
    return rest


def _totals(standings: tuple[Standing, ...]) -> tuple[tuple[str, tuple[Total, ...]], ...]:
    """Those left out that there are none of."""
    synced = Counter(standing.sync for standing in standings)
    healthy = Counter(standing.health for standing in standings)
    if not standings:
        return ()
    return (
        ("Sync", tuple(Total(sync_badge(each), synced[each]) for each in Sync if synced[each])),
        ("Health", tuple(Total(health_badge(each), healthy[each]) for each in Health if healthy[each])),
    )
