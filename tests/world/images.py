"""The observer's images for one test session: built when first asked for, removed at its end."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field

import docker
from docker.errors import ImageNotFound

from ops.demo.images import LABEL, Fault, build, remove

GOOD = ("20260101_000001", "20260101_000002", "20260101_000003")
"""Tags of good releases, oldest first."""


@dataclass
class Images:
    """Images of one repository that is this session's own, so that two sessions on one engine don't meet."""

    repository: str
    _built: dict[tuple[str, Fault], str] = field(default_factory=dict)

    def good(self, tag: str = GOOD[0]) -> str:
        """Make sure that `tag` is there and works; returns the tag."""
        return self.bad(Fault.NONE, tag)

    def bad(self, fault: Fault, tag: str | None = None) -> str:
        """Make sure that `tag` is there and has `fault`; returns the tag (one of its own for each fault)."""
        tag = tag or f"20260202_{list(Fault).index(fault):06d}"
        if (tag, fault) not in self._built or not self._present(tag):
            self._built = {key: image for key, image in self._built.items() if key[0] != tag}
            self._built[tag, fault] = build(tag, fault, self.repository)
        return tag

    def reference(self, tag: str) -> str:
        """`repository:tag`."""
        return f"{self.repository}:{tag}"

    def id(self, tag: str) -> str:
        """The image id (`sha256:…`) of a tag that was built. Raises LookupError."""
        return {built: image for (built, _), image in self._built.items()}[tag]

    def _present(self, tag: str) -> bool:
        with closing(docker.DockerClient.from_env()) as engine:
            try:
                return str(engine.images.get(self.reference(tag)).id) == self.id(tag)
            except ImageNotFound:
                return False  # a test pruned it


@contextmanager
def session_images() -> Iterator[Images]:
    """The images of this session; whatever of its repository is on the engine goes at the end."""
    images = Images(f"observer-test-{os.getpid()}")
    try:
        yield images
    finally:
        with closing(docker.DockerClient.from_env()) as engine:
            ours = engine.images.list(name=images.repository, filters={"label": f"{LABEL}=1"})
            for reference in [tag for image in ours for tag in image.tags if tag.startswith(f"{images.repository}:")]:
                remove(reference)
