"""A release on its way to a target."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import field
from typing import Any

from reconciler.dataclass import dataclass
from reconciler.model.stored import Manifest


@dataclass(frozen=True, slots=True)
class Rendering:
    """What the target's Compose made of the sources: its resolved model, with env values in it (secret).

    `root` is the directory that it was rendered in; every path below it is one of the sources. `project_dir` is the
    directory of the first Compose file, in the sources. `private` is the temporary directory around `root`, empty where
    there is none: a path in it, and not below `root`, led out of the sources (`../x`). `everything` names the services
    of all profiles, active or not; None where Compose can't tell.
    """

    model: Mapping[str, Any] = field(repr=False)
    root: str
    project_dir: str
    private: str = ""
    everything: tuple[str, ...] | None = None

    @property
    def inactive(self) -> tuple[str, ...] | None:
        """Services of profiles that aren't active; None where Compose can't tell."""
        if self.everything is None:
            return None
        return tuple(sorted(set(self.everything) - set(self.model.get("services", {}))))


@dataclass(frozen=True, slots=True)
class ManagedFile:
    """A mounted config file or directory, stored by content under `.reconciler/files/<sha256>/<name>`.

    `entries` are (path below `name`, mode, bytes); a single file has one entry with an empty path.
    """

    sha256: str
    name: str
    entries: tuple[tuple[str, int, bytes], ...] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Bundle:
    """Everything that a release consists of: enough to run it with no network but SSH."""

    manifest: Manifest
    compose: bytes = field(repr=False)
    env: bytes = field(repr=False)
    files: tuple[ManagedFile, ...] = ()

    @property
    def model(self) -> Mapping[str, Any] | None:
        """The Compose model in it; None where somebody edited the file so that it is none any more."""
        try:
            found = json.loads(self.compose)
        except ValueError:
            return None
        return found if isinstance(found, Mapping) else None
