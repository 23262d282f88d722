"""What a resolved Compose service says about how its containers live."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import Any

from reconciler.model.errors import PreflightFailed
from reconciler.model.stored import Condition, ServiceFacts

_UNITS = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 1e-3, "us": 1e-6, "µs": 1e-6, "ns": 1e-9}
_PART = re.compile(r"(\d+(?:\.\d+)?)(ms|us|µs|ns|h|m|s)")


def seconds(text: str | None, default: float) -> float:
    """A Compose duration (`1m30s`) in seconds; `default` where there is none. Compose has validated it."""
    if not text:
        return default
    return sum(float(number) * _UNITS[unit] for number, unit in _PART.findall(str(text)))


def replicas_of(service: Mapping[str, Any]) -> int:
    """How many containers a service has: `scale`, or `deploy.replicas`; they never differ, Compose sees to that."""
    deployed = (service.get("deploy") or {}).get("replicas")
    scale = service.get("scale")
    given = deployed if scale is None else scale
    return 1 if given is None else int(given)


def facts_of(
    service: Mapping[str, Any], *, digest: str, image: str, awaited: Collection[Condition], names: Collection[str]
) -> ServiceFacts:
    """The facts of one service of `names` whose `image` key holds the id by now; `awaited` says what others wait for.

    One-shot is a service that says `restart: "no"` in so many words, or that another awaits to the end: not one that
    merely says nothing, because then a server that somebody stopped would look finished.
    A service whose health is awaited without a test of its own has the image's, whose pace isn't known here.
    """
    check = service.get("healthcheck") or {}
    disabled = bool(check.get("disable")) or check.get("test") == ["NONE"]
    has_health = not disabled and (bool(check.get("test")) or Condition.HEALTHY in awaited)
    shares = peers_of(service)
    links = {str(link).split(":")[0] for link in service.get("links") or ()}
    return ServiceFacts(
        digest=digest,
        image=image,
        image_id=str(service["image"]),
        replicas=replicas_of(service),
        one_shot=service.get("restart") == "no" or Condition.COMPLETED in awaited,
        has_health=has_health,
        startup=_startup(check) if has_health else 0.0,
        stop=seconds(service.get("stop_grace_period"), 10.0),
        depends_on={
            name: Condition(how.get("condition", Condition.STARTED))
            for name, how in (service.get("depends_on") or {}).items()
        },
        shares=tuple(sorted(shares & set(names))),
        beside=tuple(sorted((shares | links) & set(names))),
    )


def _startup(check: Mapping[str, Any]) -> float:
    # Defaults of the engine: interval 30 s, timeout 30 s, retries 3, start period 0 s.
    interval = seconds(check.get("interval"), 30.0)
    timeout = seconds(check.get("timeout"), 30.0)
    return seconds(check.get("start_period"), 0.0) + int(check.get("retries") or 3) * (interval + timeout)


def sharing_order(services: Mapping[str, Mapping[str, Any]]) -> list[tuple[str, tuple[str, ...]]]:
    """Services with those whose namespaces or volumes they share, peers first.

    A container that sits in another's network namespace loses it when that one is recreated.
    Raises PreflightFailed where they share in a circle.
    """
    shared = {name: peers_of(service) & services.keys() for name, service in services.items()}
    ordered: list[tuple[str, tuple[str, ...]]] = []
    done: set[str] = set()
    while len(done) < len(shared):
        ready = sorted(name for name in shared if name not in done and shared[name] <= done)
        if not ready:
            raise PreflightFailed(
                f"services share their namespaces in a circle: {', '.join(sorted(set(shared) - done))}"
            )
        ordered += [(name, tuple(sorted(shared[name]))) for name in ready]
        done.update(ready)
    return ordered


def peers_of(service: Mapping[str, Any]) -> set[str]:
    """The services whose namespaces or volumes a service says that it shares."""
    modes = [str(service.get(key) or "") for key in ("network_mode", "ipc", "pid", "uts", "cgroup")]
    peers = {mode.removeprefix("service:") for mode in modes if mode.startswith("service:")}
    volumes = [str(name) for name in service.get("volumes_from") or ()]
    return peers | {name.split(":")[0] for name in volumes if not name.startswith("container:")}
