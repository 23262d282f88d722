"""How what runs is, from what the engine says of its containers."""

from __future__ import annotations

from enum import StrEnum

from reconciler.model.observed import ContainerFacts, Observed
from reconciler.model.stored import Manifest


class Health(StrEnum):
    """How what runs is."""

    HEALTHY = "healthy"
    PROGRESSING = "progressing"
    DEGRADED = "degraded"
    MISSING = "missing"
    UNKNOWN = "unknown"


def health_of(manifest: Manifest | None, observed: Observed) -> tuple[Health, str]:
    """The health of the release that should serve, and the ailment where there is one."""
    if manifest is None:
        return Health.MISSING, ""
    found = Health.HEALTHY
    for name, facts in manifest.services.items():
        if facts.one_shot or facts.replicas == 0:
            continue
        containers = observed.of(name)
        if not containers:
            return Health.MISSING, f"{name} has no container"
        bad = next((container for container in containers if _is_bad(container)), None)
        if bad is not None:
            return Health.DEGRADED, f"{bad.name} is {bad.health if bad.runs else bad.state}"
        if any(container.health == "starting" for container in containers):
            found = Health.PROGRESSING
    return found, ""


def _is_bad(container: ContainerFacts) -> bool:
    return not container.runs or container.health == "unhealthy"
