"""reconciler.dataclass beside the standard library's: the same object in every respect that we use."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import pytest

from reconciler import dataclass as ours

Decorator = Callable[..., Callable[[type[Any]], type[Any]]]
BOTH = [pytest.param(dataclasses.dataclass, id="standard"), pytest.param(vars(ours)["dataclass"], id="ours")]


def made_by(decorator: Decorator, **options: bool) -> type[Any]:
    class Thing:
        """A name, a secret and two things with a default."""

        name: str
        secret: str = dataclasses.field(repr=False)
        number: int = 3
        items: list[int] = dataclasses.field(default_factory=list)

    return decorator(**options)(Thing)


@pytest.mark.parametrize("dataclass", BOTH)
@pytest.mark.parametrize("slots", [True, False])
class TestADataclass:
    def test_is_made_compared_and_shown_by_its_fields(self, dataclass: Decorator, slots: bool) -> None:
        thing = made_by(dataclass, frozen=True, slots=slots)
        one = thing("a", secret="canary")
        assert (one.name, one.secret, one.number, one.items) == ("a", "canary", 3, [])
        assert one == thing("a", "canary", 3, [])
        assert one != thing("a", "canary", number=4)
        assert one != made_by(dataclass, frozen=True, slots=slots)("a", "canary"), "of another class"
        assert one.items is not thing("a", "canary").items
        assert repr(one).endswith("Thing(name='a', number=3, items=[])")
        assert dataclasses.replace(one, name="b") == thing("b", "canary")
        assert dataclasses.asdict(one) == {"name": "a", "secret": "canary", "number": 3, "items": []}
        assert thing.__match_args__ == ("name", "secret", "number", "items")

    def test_frozen_it_never_changes_and_can_be_a_key(self, dataclass: Decorator, slots: bool) -> None:
        thing = made_by(dataclass, frozen=True, slots=slots)
        one = thing("a", "b", items=())
        with pytest.raises(dataclasses.FrozenInstanceError):
            one.name = "c"
        with pytest.raises(dataclasses.FrozenInstanceError):
            del one.name
        assert {one: 1}[thing("a", "b", 3, ())] == 1
        assert hasattr(one, "__dict__") is not slots

    def test_not_frozen_it_changes_and_is_no_key(self, dataclass: Decorator, slots: bool) -> None:
        one = made_by(dataclass, slots=slots)("a", "b")
        one.name = "c"
        assert one.name == "c"
        with pytest.raises(TypeError, match="unhashable"):
            hash(one)

    @pytest.mark.parametrize(
        ("given", "named"),
        [((), {}), (("a",), {}), (("a", "b", 3, [], 5), {}), (("a", "b"), {"other": 1}), (("a", "b"), {"name": "c"})],
    )
    def test_what_does_not_fit_its_fields_is_refused(
        self, dataclass: Decorator, slots: bool, given: tuple[Any, ...], named: dict[str, Any]
    ) -> None:
        with pytest.raises(TypeError, match="Thing"):
            made_by(dataclass, frozen=True, slots=slots)(*given, **named)
