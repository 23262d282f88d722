"""A Docker engine in memory: images, a registry, containers of one project, keepers, and health by image."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from reconciler.model.observed import LABEL_DIGEST, ContainerFacts

NO_PORT = "Bind for 0.0.0.0:80 failed: port is already allocated"
HAS_PORT = "web"


def image_of(reference: str) -> str:
    """The id that an image has wherever it is."""
    return f"sha256:{hashlib.sha256(reference.encode()).hexdigest()}"


@dataclass
class Box:
    """A container of the project: made from a definition (`digest`), running or stopped by somebody."""

    id: str
    service: str
    image: str
    digest: str
    runs: bool = True


@dataclass
class Dock:
    """`ill` are the images whose containers are unhealthy; `refusals` counts the next `compose up` that will fail.

    `is_stuck` is an engine that lost its power while it started `web`: it holds that one's port until it is restarted.
    """

    images: set[str] = field(default_factory=set)
    registry: dict[str, str] = field(default_factory=dict)
    boxes: dict[str, Box] = field(default_factory=dict)
    keepers: set[str] = field(default_factory=set)
    ill: set[str] = field(default_factory=set)
    refusals: int = 0
    is_pullable: bool = True
    is_stuck: bool = False
    _made: int = 0

    def facts(self) -> tuple[ContainerFacts, ...]:
        """As the engine's list and inspection tell it."""
        return tuple(self._facts(box) for box in sorted(self.boxes.values(), key=lambda box: box.service))

    def _facts(self, box: Box) -> ContainerFacts:
        health = ("unhealthy" if box.image in self.ill else "healthy") if box.runs else None
        return ContainerFacts(
            id=box.id,
            name=f"app-{box.service}-1",
            service=box.service,
            image_id=box.image,
            state="running" if box.runs else "exited",
            digest=box.digest,
            health=health,
            exit_code=0,
            restarts=0,
        )

    def sick(self) -> str:
        """`ill` of watch.sh: what a person stopped isn't ill."""
        return " ".join(
            f"{c.service} ({c.health or c.state})"
            for c in self.facts()
            if c.health == "unhealthy" or self._is_refused(c)
        )

    def stuck(self) -> str:
        """`stuck` of watch.sh."""
        return "80" if any(map(self._is_refused, self.facts())) else ""

    def _is_refused(self, container: ContainerFacts) -> bool:
        return self.is_stuck and container.service == HAS_PORT and not container.runs

    def up(self, model: Mapping[str, Any], services: Sequence[str], said: list[str]) -> Iterator[None]:
        """`docker compose up -d --no-deps --pull never SERVICE...`, which can be killed between any two steps.

        Leaves the reason in `said` where it fails.
        """
        if self.refusals:
            self.refusals -= 1
            said.append(NO_PORT)
            return
        for service in services:
            definition = model["services"].get(service)
            if definition is None:
                said.append(f"no such service: {service}")
                return
            image, digest = definition["image"], definition["labels"][LABEL_DIGEST]
            is_refused = self.is_stuck and service == HAS_PORT
            there = [box for box in self.boxes.values() if box.service == service]
            if len(there) == 1 and (there[0].image, there[0].digest) == (image, digest):
                if is_refused and not there[0].runs:
                    said.append(NO_PORT)
                    return
                there[0].runs = True
                continue
            if image not in self.images:
                said.append(f"No such image: {image}")
                return
            for box in there:
                del self.boxes[box.id]
            yield
            self._made += 1
            self.boxes[f"c{self._made}"] = Box(f"c{self._made}", service, image, digest, runs=not is_refused)
            if is_refused:
                said.append(NO_PORT)
                return
            yield

    def lose_power(self) -> None:
        """While it starts `web`, which doesn't come back."""
        self.is_stuck = True
        for box in self.boxes.values():
            box.runs = box.runs and box.service != HAS_PORT

    def restart(self) -> None:
        """As a person does: what it couldn't start it starts then."""
        if self.is_stuck:
            self.is_stuck = False
            for box in self.boxes.values():
                box.runs = box.runs or box.service == HAS_PORT

    def prune(self) -> None:
        """`docker system prune -af`: what doesn't run goes, and every image that no container is of."""
        self.boxes = {name: box for name, box in self.boxes.items() if box.runs}
        self.images &= self.keepers | {box.image for box in self.boxes.values()}
