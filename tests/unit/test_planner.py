"""core/planner.py: from desired and observed to ordered steps, each with its reason."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from reconciler.core.planner import make_plan
from reconciler.core.repairs import finished, matches
from reconciler.model.observed import ContainerFacts, HostView, Observed
from reconciler.model.plan import Action, Plan, Remove, Stage, Start, Step, Stop, Switch, Up
from reconciler.model.stored import Condition, Manifest, Phase, ServiceFacts, TargetState

NEW, OLD = "20260102_000000-bbbbbbbb", "20260101_000000-aaaaaaaa"
IMAGE, ANOTHER = "sha256:" + "1" * 64, "sha256:" + "2" * 64


def service(digest: str = "d1", **changes: Any) -> ServiceFacts:
    return ServiceFacts(digest=digest, image="app:1", image_id=IMAGE).model_copy(update=changes)


def manifest(release: str = NEW, tag: str = "20260102_000000", /, **services: ServiceFacts) -> Manifest:
    return Manifest(
        release=release,
        tag=tag,
        app="app",
        project="app",
        digest="f" * 64,
        public_digest="e" * 64,
        created_at=datetime(2026, 1, 1, tzinfo=UTC),
        services=services,
    )


def container(name: str = "web", /, **changes: Any) -> ContainerFacts:
    facts = ContainerFacts(
        id=f"id-{name}", name=f"app-{name}-1", service=name, image_id=IMAGE, state="running", digest="d1"
    )
    return replace(facts, **changes)


def seen(
    *containers: ContainerFacts,
    serving: Manifest | None = None,
    releases: tuple[str, ...] = (NEW, OLD),
    **state: Any,
) -> Observed:
    host = HostView(
        ours=True,
        current=serving.release if serving else None,
        manifest=serving,
        releases=releases,
        state=TargetState(app="app", project="app", **state),
    )
    return Observed(host=host, containers=containers)


def healed(facts: ServiceFacts, *containers: ContainerFacts, **state: Any) -> Plan:
    """The plan for a release that serves already and has one service, web."""
    desired = manifest(web=facts)
    return make_plan(desired, seen(*containers, serving=desired, **state))


def up(action: Action, reason: str, stop: float = 0.0) -> Up:
    return Up("web", action, reason, stop)


RUNNING = container()
TWO = (RUNNING, container(id="id-2", name="app-web-2"))


@pytest.mark.parametrize(
    ("facts", "containers", "steps", "vector"),
    [
        pytest.param(service(), [RUNNING], [], None, id="as it should be"),
        pytest.param(service(), [container(health="unhealthy")], [], None, id="health is the gates' business"),
        pytest.param(
            service(),
            [container(state="restarting")],
            [
                Remove("web", "id-web", "app-web-1", "app-web-1: expected running, found restarting", 10.0),
                up(Action.RECREATE, "app-web-1: expected running, found restarting"),
            ],
            "container",
            id="in a crash loop: started again it would be the same",
        ),
        pytest.param(
            service(), [], [up(Action.CREATE, "web: expected 1 container, found none")], "container", id="missing"
        ),
        pytest.param(service(replicas=0), [], [], None, id="none wanted, none there"),
        pytest.param(
            service(replicas=3),
            [*TWO],
            [up(Action.SCALE, "web: expected 3 containers, found 2")],
            "container",
            id="too few: nothing is stopped",
        ),
        pytest.param(
            service(replicas=1),
            [*TWO],
            [up(Action.SCALE, "web: expected 1 container, found 2", 10.0)],
            "container",
            id="too many: one is stopped",
        ),
        pytest.param(
            service("d2", stop=3.0),
            [RUNNING],
            [up(Action.RECREATE, "web: its definition changed", 3.0)],
            "definition",
            id="another definition",
        ),
        pytest.param(
            service(),
            [container(image_id=ANOTHER)],
            [up(Action.RECREATE, "web: image 222222222222 → 111111111111 (app:1)", 10.0)],
            "image",
            id="another image behind the same definition",
        ),
        pytest.param(
            service(),
            [container(digest=None)],
            [up(Action.RECREATE, "web: app-web-1 was not started by a release of this app", 10.0)],
            "definition",
            id="made by a person's Compose from other files",
        ),
        pytest.param(
            service(replicas=2),
            [RUNNING, container(id="id-2", digest="d0")],
            [up(Action.RECREATE, "web: its definition changed", 10.0)],
            "definition",
            id="one of two is odd",
        ),
        pytest.param(
            service(),
            [container(state="dead")],
            [
                Remove("web", "id-web", "app-web-1", "app-web-1: expected running, found dead", 10.0),
                up(Action.RECREATE, "app-web-1: expected running, found dead"),
            ],
            "container",
            id="dead",
        ),
        pytest.param(
            service(),
            [container(state="exited", exit_code=137)],
            [Start("web", "id-web", "app-web-1", "app-web-1: expected running, found exited with code 137")],
            "container",
            id="stopped: nothing is recreated",
        ),
        pytest.param(
            service(),
            [container(state="paused")],
            [Start("web", "id-web", "app-web-1", "app-web-1: expected running, found paused")],
            "container",
            id="paused",
        ),
        pytest.param(
            service(),
            [container(state="created")],
            [Start("web", "id-web", "app-web-1", "app-web-1: expected running, found created")],
            "container",
            id="never started",
        ),
        pytest.param(service(), [RUNNING, container(id="x", one_off=True, digest="d0")], [], None, id="a one-off run"),
    ],
)
def test_a_service(
    facts: ServiceFacts, containers: list[ContainerFacts], steps: list[Step], vector: str | None
) -> None:
    plan = healed(facts, *containers)
    assert list(plan.steps) == steps
    assert plan.is_empty is not bool(steps)
    assert not plan.switches
    assert [drift.vector for drift in plan.drift] == ([vector] if vector else [])


@pytest.mark.parametrize("phase", [Phase.STABILIZING, Phase.HELD])
def test_a_crash_loop_of_what_still_proves_itself_is_the_gates_business(phase: Phase) -> None:
    assert healed(service(), container(state="restarting"), phase=phase).is_empty


ONCE = service(one_shot=True)
ENDED = container(state="exited", exit_code=0)


@pytest.mark.parametrize(
    ("containers", "completed", "reason"),
    [
        pytest.param([], (), "web: it hasn't run yet", id="never ran"),
        pytest.param([], ("d1",), None, id="ran, and is gone: no drift"),
        pytest.param([], ("d0",), "web: it hasn't run yet", id="another definition ran"),
        pytest.param([ENDED], (), None, id="succeeded"),
        pytest.param([RUNNING], (), None, id="at it"),
        pytest.param([container(state="exited", exit_code=3)], (), "web: it ended with code 3", id="failed"),
        pytest.param([container(state="created")], (), "web: its container is created", id="created, never started"),
        pytest.param([replace(ENDED, digest="d0")], (), "web: its definition changed", id="changed"),
        pytest.param([replace(ENDED, digest="d0")], ("d1", "d0"), None, id="gone back to one that succeeded before"),
        pytest.param([replace(ENDED, image_id=ANOTHER)], (), "web: its definition changed", id="another image"),
    ],
)
def test_a_one_shot(containers: list[ContainerFacts], completed: tuple[str, ...], reason: str | None) -> None:
    """It runs until it has succeeded once as it is defined now, and never again."""
    plan = healed(ONCE, *containers, completed={"web": completed})
    assert [step for step in plan.steps if isinstance(step, Up)] == ([up(Action.RUN, reason)] if reason else [])
    assert len(plan.steps) == (1 if reason else 0)
    assert plan.drift == ()
    observed = seen(*containers, completed={"web": completed})
    assert finished("web", ONCE, observed) is (reason is None and RUNNING not in containers)


def test_an_adopted_container_stands_for_its_definition() -> None:
    adopted = container(digest=None)
    state = TargetState(app="app", project="app", accepted={"id-web": "d1"})
    assert matches(adopted, service(), state)
    assert not matches(adopted, service("d2"), state)
    assert not matches(replace(adopted, id="another"), service(), state)
    assert not matches(adopted, service(), None)
    assert healed(service(), adopted, accepted={"id-web": "d1"}).is_empty
    assert healed(service("d2"), adopted, accepted={"id-web": "d1"}).steps == (
        up(Action.RECREATE, "web: its definition changed", 10.0),
    )


class TestReleases:
    """Stage and switch come first, with what changed."""

    def test_the_first(self) -> None:
        plan = make_plan(manifest(web=service()), seen(releases=()))
        assert plan.steps == (
            Stage(NEW, "it isn't on the target yet"),
            Switch(None, NEW, "first release on this target"),
            up(Action.CREATE, "web: expected 1 container, found none"),
        )
        assert plan.drift == ()
        assert (plan.release, plan.switches) == (NEW, True)

    def test_another_tag(self) -> None:
        serving = manifest(OLD, "20260101_000000", web=service())
        plan = make_plan(manifest(web=service("d2")), seen(RUNNING, serving=serving))
        assert plan.steps[0] == Switch(OLD, NEW, "tag 20260101_000000 → 20260102_000000")
        assert plan.drift == ()

    def test_the_same_tag_with_other_values(self) -> None:
        serving = manifest(OLD, web=service(), gone=service(), same=service())
        desired = manifest(web=service(replicas=2), same=service(), new=service())
        switch = make_plan(desired, seen(serving=serving)).steps[0]
        assert isinstance(switch, Switch)
        assert switch.reason == "same tag, other definitions or env (gone, new, web)"

    def test_a_switch_alone(self) -> None:
        """Two releases that run the same containers: one rename, and nothing is touched."""
        plan = make_plan(manifest(web=service()), seen(RUNNING, serving=manifest(OLD, web=service())))
        assert plan.steps == (Switch(OLD, NEW, "same tag, other definitions or env (no service)"),)

    def test_an_id_that_is_not_known_yet(self) -> None:
        plan = make_plan(manifest(web=service()), seen(releases=()), release_known=False)
        assert plan.release is None
        assert plan.steps[0] == Stage("20260102_000000-????????", "it isn't on the target yet")


class TestOthers:
    """Containers that no service of the release explains."""

    def test_a_service_that_the_release_does_not_have_goes_before_anything_comes(self) -> None:
        """The new one may need its port."""
        serving = manifest(OLD, old=service(stop=2.0))
        plan = make_plan(manifest(web=service()), seen(container("old"), serving=serving))
        assert [type(step) for step in plan.steps] == [Switch, Remove, Up]
        assert plan.steps[1] == Remove("old", "id-old", "app-old-1", "old: the release has no such service", 2.0)

    @pytest.mark.parametrize(
        ("stranger", "said"),
        [
            (container("debug", digest=None), "app-debug-1 is not ours (no label io.reconciler.app): left alone"),
            (
                container("", digest=None, name="by-hand"),
                "by-hand is not ours (no label io.reconciler.app): left alone",
            ),
            (container(one_off=True), "app-web-1 is a one-off run: left alone"),
            (container("gone", one_off=True), "app-gone-1 is a one-off run: left alone"),
        ],
    )
    def test_strangers_are_reported_and_left_alone(self, stranger: ContainerFacts, said: str) -> None:
        plan = healed(service(), RUNNING, stranger)
        assert plan.is_empty
        assert plan.notes == (said,)

    def test_one_that_a_person_started_is_stopped_and_stays(self) -> None:
        """It may hold what nobody else has: nothing is removed."""
        desired = manifest(web=service()).model_copy(update={"inactive": ("debug",)})
        by_hand = container("", digest=None, name="by-hand", id="id-hand")
        plan = make_plan(desired, seen(RUNNING, by_hand, serving=desired))
        assert [(type(step), getattr(step, "container_id", "")) for step in plan.steps] == [(Stop, "id-hand")]
        assert [(drift.vector, drift.object) for drift in plan.drift] == [("foreign_container", "by-hand")]
        stopped = make_plan(desired, seen(RUNNING, replace(by_hand, state="exited"), serving=desired))
        assert (stopped.steps, stopped.drift) == ((), ())
        assert stopped.notes == ("by-hand is not of this release, and doesn't run: left alone",)
        debug = make_plan(desired, seen(RUNNING, container("debug", digest=None), serving=desired))
        assert (debug.steps, debug.notes) == ((), ("app-debug-1 is of a profile that isn't active: left alone",))

    def test_an_adopted_one_goes_like_ours(self) -> None:
        plan = healed(service(), RUNNING, container("old", digest=None), accepted={"id-old": "d9"})
        assert [step.service for step in plan.steps if isinstance(step, Remove)] == ["old"]
        assert plan.notes == ("old may take up to 10 s to stop, if it ignores SIGTERM",)


def test_what_may_take_long_is_said() -> None:
    plan = healed(service("d2", stop=90.0), RUNNING)
    assert plan.notes == ("web may take up to 90 s to stop, if it ignores SIGTERM",)
    assert healed(service("d2", stop=5.5), RUNNING).notes == (
        "web may take up to 5.5 s to stop, if it ignores SIGTERM",
    )
    assert healed(service("d2", stop=5.0), RUNNING).notes == ()
    assert healed(service(stop=90.0)).notes == ()  # nothing is stopped


class TestSharing:
    """Who is in another's namespaces loses them when that one is made, or started, anew."""

    def plan(self, *containers: ContainerFacts, **changes: ServiceFacts) -> Plan:
        services = {
            "gate": service(),
            "client": service(shares=("gate",), stop=1.0),
            "probe": service(shares=("client",)),
            "other": service(),
            **changes,
        }
        desired = manifest(**services)
        return make_plan(desired, seen(*containers, serving=desired))

    def test_a_lost_one_takes_them_along_however_far(self) -> None:
        plan = self.plan(container("client"), container("probe"), container("other"))
        assert [(type(step), getattr(step, "service", "")) for step in plan.steps] == [
            (Remove, "client"),
            (Remove, "probe"),
            (Up, "gate"),
            (Up, "client"),
            (Up, "probe"),
        ]
        assert plan.steps[0] == Remove(
            "client", "id-client", "app-client-1", "client: it is in the namespaces of gate", 1.0
        )
        assert [(drift.vector, drift.object) for drift in plan.drift] == [("container", "gate")]

    def test_a_stopped_one_too_and_nobody_is_merely_started_into_what_is_gone(self) -> None:
        stopped = {"state": "exited", "exit_code": 1}
        plan = self.plan(
            container("gate", **stopped), container("client", **stopped), container("probe"), container("other")
        )
        assert [(type(step), getattr(step, "service", "")) for step in plan.steps] == [
            (Remove, "client"),
            (Remove, "probe"),
            (Start, "gate"),
            (Up, "client"),
            (Up, "probe"),
        ]

    def test_what_changes_anyway_is_not_planned_twice(self) -> None:
        plan = self.plan(
            container("gate"),
            container("client"),
            container("probe"),
            container("other"),
            gate=service("g2"),
            client=service("c2", shares=("gate",)),
            probe=service("p2", shares=("client",)),
        )
        assert [(type(step), getattr(step, "service", "")) for step in plan.steps] == [
            (Up, "gate"),
            (Up, "client"),
            (Up, "probe"),
        ]

    def test_more_of_the_same_loses_nothing(self) -> None:
        plan = self.plan(
            container("gate"), container("client"), container("probe"), container("other"), gate=service(replicas=2)
        )
        assert [type(step) for step in plan.steps] == [Up]

    def test_a_finished_one_shot_does_not_run_again_for_it(self) -> None:
        plan = self.plan(
            replace(container("client"), state="exited", exit_code=0),
            container("other"),
            client=service(shares=("gate",), one_shot=True),
            probe=service(replicas=0),
        )
        assert [getattr(step, "service", "") for step in plan.steps] == ["gate"]


def test_conditions_do_not_change_a_plan() -> None:
    """Order is core/order.py's business; a plan names what changes."""
    facts = service(depends_on={"db": Condition.HEALTHY})
    assert healed(facts, RUNNING).is_empty
