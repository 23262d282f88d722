"""core/services.py: what a resolved service says about its containers' lives."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import pytest

from reconciler.core.services import facts_of, replicas_of, seconds, sharing_order
from reconciler.model.errors import PreflightFailed
from reconciler.model.stored import Condition, ServiceFacts

CHECK = {"test": ["CMD", "true"]}


def facts(
    service: dict[str, Any], *, awaited: Collection[Condition] = (), names: Collection[str] = ("a", "b", "c")
) -> ServiceFacts:
    return facts_of({"image": "sha256:1", **service}, digest="d", image="app:1", awaited=awaited, names=names)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("10s", 10.0),
        ("1m30s", 90.0),
        ("1h0m0.5s", 3600.5),
        ("200ms", 0.2),
        ("1m0s500ms", 60.5),
        ("50us", 50e-6),
        ("50µs", 50e-6),
        ("7ns", 7e-9),
        ("", 4.0),
        (None, 4.0),
    ],
)
def test_compose_durations_in_seconds(text: str | None, expected: float) -> None:
    assert seconds(text, 4.0) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("service", "expected"),
    [
        ({}, 1),
        ({"scale": 3}, 3),
        ({"scale": 0}, 0),
        ({"deploy": {"replicas": 2}}, 2),
        ({"deploy": {"replicas": 0}}, 0),
        ({"deploy": {"replicas": None}, "scale": None}, 1),
        ({"deploy": {"resources": {}}, "scale": 4}, 4),
        ({"deploy": None}, 1),
    ],
)
def test_replicas(service: dict[str, Any], expected: int) -> None:
    assert replicas_of(service) == facts(service).replicas == expected


@pytest.mark.parametrize(
    ("service", "awaited", "expected"),
    [
        ({"restart": "no"}, (), True),
        ({}, (), False),
        ({"restart": "on-failure"}, (), False),
        ({"restart": "always"}, (), False),
        ({}, (Condition.COMPLETED,), True),
        ({}, (Condition.HEALTHY, Condition.STARTED), False),
    ],
)
def test_a_one_shot_says_so_or_is_awaited_to_its_end(
    service: dict[str, Any], awaited: tuple[Condition, ...], expected: bool
) -> None:
    """A service that merely says nothing isn't one: stopped by somebody, it would look finished."""
    assert facts(service, awaited=awaited).one_shot is expected


@pytest.mark.parametrize(
    ("check", "awaited", "has_health", "startup"),
    [
        (None, (), False, 0.0),
        (CHECK, (), True, 180.0),
        ({**CHECK, "interval": "1s", "timeout": "500ms", "retries": 4, "start_period": "2s"}, (), True, 8.0),
        ({**CHECK, "retries": 0}, (), True, 180.0),
        ({**CHECK, "disable": True}, (Condition.HEALTHY,), False, 0.0),
        ({"disable": True}, (), False, 0.0),
        ({"test": ["NONE"]}, (Condition.HEALTHY,), False, 0.0),
        ({"test": []}, (), False, 0.0),
        # The image's own check: seen here only where somebody waits for it; its pace is the engine's default.
        (None, (Condition.HEALTHY,), True, 180.0),
        ({"interval": "1s", "timeout": "1s"}, (Condition.HEALTHY,), True, 6.0),
    ],
)
def test_health(check: dict[str, Any] | None, awaited: tuple[Condition, ...], has_health: bool, startup: float) -> None:
    found = facts({"healthcheck": check}, awaited=awaited)
    assert found.has_health is has_health
    assert found.startup == pytest.approx(startup)


def test_the_rest() -> None:
    found = facts(
        {
            "stop_grace_period": "1m30s",
            "depends_on": {"a": {"condition": "service_healthy", "required": True}, "b": {}},
        }
    )
    assert found.stop == 90.0
    assert facts({}).stop == 10.0
    assert found.depends_on == {"a": Condition.HEALTHY, "b": Condition.STARTED}
    assert (found.digest, found.image, found.image_id) == ("d", "app:1", "sha256:1")


@pytest.mark.parametrize(
    ("service", "shares", "beside"),
    [
        ({}, (), ()),
        ({"network_mode": "service:a"}, ("a",), ("a",)),
        ({"network_mode": "host", "ipc": "shareable", "pid": "host"}, (), ()),
        ({"ipc": "service:b", "pid": "service:a", "network_mode": "service:a"}, ("a", "b"), ("a", "b")),
        ({"uts": "service:a", "cgroup": "service:b"}, ("a", "b"), ("a", "b")),
        ({"volumes_from": ["c:ro", "container:a"]}, ("c",), ("c",)),
        ({"links": ["a", "b:database"]}, (), ("a", "b")),
        ({"network_mode": "service:gone", "links": ["gone"]}, (), ()),
        ({"network_mode": "container:a"}, (), ()),
    ],
)
def test_who_goes_with_it(service: dict[str, Any], shares: tuple[str, ...], beside: tuple[str, ...]) -> None:
    found = facts(service)
    assert (found.shares, found.beside) == (shares, beside)


def test_peers_come_first() -> None:
    services: dict[str, dict[str, Any]] = {
        "a": {"pid": "service:b"},
        "b": {"network_mode": "service:c"},
        "c": {},
        "d": {"volumes_from": ["c", "a"]},
    }
    assert sharing_order(services) == [("c", ()), ("b", ("c",)), ("a", ("b",)), ("d", ("a", "c"))]


@pytest.mark.parametrize(
    "services",
    [
        {"a": {"network_mode": "service:a"}},
        {"a": {"ipc": "service:b"}, "b": {"volumes_from": ["a"]}, "c": {}},
    ],
)
def test_a_circle_is_refused_and_named(services: dict[str, dict[str, Any]]) -> None:
    with pytest.raises(PreflightFailed, match=r"in a circle: a(, b)?$"):
        sharing_order(services)
