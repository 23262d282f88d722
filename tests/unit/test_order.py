"""core/order.py: which services come up together, after what, and who is named with them."""

from __future__ import annotations

from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.core.order import Batch, batches, with_companions
from reconciler.model.stored import Condition, ServiceFacts

S, H, C = Condition.STARTED, Condition.HEALTHY, Condition.COMPLETED
Graph = dict[str, dict[str, Condition]]


def services(graph: Graph) -> dict[str, ServiceFacts]:
    return {
        name: ServiceFacts(digest=name, image=name, image_id=name, depends_on=needs) for name, needs in graph.items()
    }


@pytest.mark.parametrize(
    ("graph", "changed", "expected"),
    [
        pytest.param({}, "", [], id="nothing"),
        pytest.param({"a": {}, "b": {}, "c": {}}, "cab", [Batch(("a", "b", "c"))], id="all at once"),
        pytest.param({"a": {"b": H}, "b": {}}, "a", [Batch(("a",))], id="what isn't changed is up"),
        pytest.param({"a": {"b": S}, "b": {}}, "ab", [Batch(("b",)), Batch(("a",))], id="started: before, not awaited"),
        pytest.param({"a": {"b": H}, "b": {}}, "ab", [Batch(("b",)), Batch(("a",), (("b", H),))], id="healthy"),
        pytest.param(
            {"app": {"migrate": C, "db": H}, "migrate": {"db": H}, "db": {"init": C}, "init": {}},
            ["app", "db", "init", "migrate"],
            [
                Batch(("init",)),
                Batch(("db",), (("init", C),)),
                Batch(("migrate",), (("db", H),)),
                Batch(("app",), (("db", H), ("migrate", C))),
            ],
            id="a chain",
        ),
        pytest.param(
            {"a": {"c": H}, "b": {"c": C, "x": H}, "c": {}, "x": {}},
            "abc",
            [Batch(("c",)), Batch(("a", "b"), (("c", C), ("c", H)))],
            id="two conditions of one",
        ),
        pytest.param(
            {"a": {"b": S}, "b": {"c": H}, "c": {}},
            "ac",
            [Batch(("c",)), Batch(("a",), (("c", H),))],
            id="through one that isn't changed",
        ),
        pytest.param({"a": {"gone": H}}, "a", [Batch(("a",))], id="a dependency that isn't required, and isn't there"),
        pytest.param(
            {"a": {"b": S}, "b": {"a": S}, "c": {"a": S}}, "c", [Batch(("c",))], id="a circle doesn't hang it"
        ),
    ],
)
def test_batches(graph: Graph, changed: str | list[str], expected: list[Batch]) -> None:
    for order in permutations(changed):
        assert list(batches(services(graph), list(order))) == expected


@given(st.data())
def test_every_need_is_met_by_an_earlier_batch(data: st.DataObject) -> None:
    """On any graph: each changed service once, after all changed ones that it needs, each condition awaited."""
    names = [f"s{number}" for number in range(data.draw(st.integers(1, 7)))]
    graph: Graph = {
        name: data.draw(
            st.dictionaries(st.sampled_from(names[:index]), st.sampled_from([S, H, C])) if index else st.just({})
        )
        for index, name in enumerate(names)
    }
    changed = data.draw(st.lists(st.sampled_from(names), unique=True))
    found = batches(services(graph), changed)
    assert sorted(name for batch in found for name in batch.services) == sorted(changed)
    up: set[str] = set()
    for batch in found:
        for name in batch.services:
            for dependency, condition in graph[name].items():
                if dependency in changed:
                    assert dependency in up
                    assert condition is S or (dependency, condition) in batch.waits
        up |= set(batch.services)


def test_companions() -> None:
    """Who shares or links is named with what it shares, however far; a one-shot isn't, because it would run again."""

    def one(*beside: str, one_shot: bool = False) -> ServiceFacts:
        return ServiceFacts(digest="", image="", image_id="", beside=beside, one_shot=one_shot)

    known = {"a": one("b"), "b": one("c", "init"), "c": one(), "d": one("a"), "init": one("c", one_shot=True)}
    assert with_companions(known, ["a"]) == ("a", "b", "c")
    assert with_companions(known, ["c"]) == ("c",)
    assert with_companions(known, ["init"]) == ("c", "init")
    assert with_companions(known, ["d", "c"]) == ("a", "b", "c", "d")
    assert with_companions({"a": one("gone")}, ["a"]) == ("a",)
    assert with_companions({"a": one("b"), "b": one("a")}, ["a"]) == ("a", "b")
