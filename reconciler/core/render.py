"""From the model that the target's Compose resolved to a self-contained release (DESIGN, "On the target").

In a release nothing points back at the sources: images are ids, writable sources are `<deploy_dir>/…`, mounted config
is content-addressed, what only a build needs is gone, and our labels are in the model itself. So a person's plain
`docker compose up -d` recreates nothing, and a changed config file changes its own service alone.
"""

from __future__ import annotations

import copy
import posixpath
from collections.abc import Mapping, Sequence
from dataclasses import field
from pathlib import PurePosixPath
from typing import Any

from reconciler.core import digest
from reconciler.core.services import facts_of, replicas_of, sharing_order
from reconciler.dataclass import dataclass
from reconciler.model.errors import PreflightFailed
from reconciler.model.observed import LABEL_APP, LABEL_DIGEST
from reconciler.model.release import ManagedFile, Rendering
from reconciler.model.sources import SourceTree
from reconciler.model.stored import Condition, ServiceFacts

NOT_OF_A_CONTAINER = ("build", "depends_on", "develop", "profiles", "pull_policy", "scale")
"""Keys that don't change what a container is made from, and that no config hash of Compose's sees in a release.
Everything else is covered, whatever it does: else the next person's `up -d` would recreate what a pass left alone."""

ORDER = "x-depends_on"
"""Where a release keeps `depends_on`: for people, and so that a change of it is a release. It can't stay where it was.
Compose 2.26 hashes it, less what the command doesn't name: a person's `up` would recreate what `up SERVICE` made."""

FILES = PurePosixPath(".reconciler/files")


@dataclass(frozen=True, slots=True)
class Place:
    """Where a release goes, and what is known about that place. `key` is the target's digest key (secret).

    `keeps_values` is False where a release lies without its env values: then it is another release.
    """

    deploy_dir: PurePosixPath
    app: str
    project: str
    writable: tuple[PurePosixPath, ...]
    key: bytes = field(repr=False)
    keeps_values: bool = True


@dataclass(frozen=True, slots=True)
class SelfContained:
    """The rewritten model (secret: env values are in it), the facts of its services, and the files it mounts."""

    model: dict[str, Any] = field(repr=False)
    services: dict[str, ServiceFacts]
    files: tuple[ManagedFile, ...]
    digest: str


def image_references(rendering: Rendering) -> tuple[str, ...]:
    """Every image that the model names. Raises PreflightFailed for a service that has only a build section."""
    references = set()
    for name, service in rendering.model.get("services", {}).items():
        if not service.get("image"):
            raise PreflightFailed(f"service {name} has no image:, and nothing is built on a target; give it an image:")
        references.add(str(service["image"]))
    return tuple(sorted(references))


def external(model: Mapping[str, Any], kind: str) -> tuple[str, ...]:
    """Names of the external networks or volumes (`kind`) on the target that some service uses."""
    used = {name for service in model["services"].values() for name in _references(service.get(kind))}
    definitions = model.get(kind) or {}
    return tuple(
        sorted(
            str(definition.get("name") or name)
            for name, definition in definitions.items()
            if definition and definition.get("external") and name in used
        )
    )


def ensure_self_contained(rendering: Rendering, tree: SourceTree, place: Place) -> None:
    """Raises PreflightFailed where `self_contained` would, whatever the images are: before one of them is pulled."""
    images = {reference: reference for reference in image_references(rendering)}
    self_contained(rendering, tree, place, tag="", images=images, env={})


def self_contained(
    rendering: Rendering,
    tree: SourceTree,
    place: Place,
    *,
    tag: str,
    images: Mapping[str, str],
    env: Mapping[str, str],
) -> SelfContained:
    """Rewrites a rendering for `place`; `images` maps each reference to its id on the target, `env` holds the values.

    Raises PreflightFailed naming the service where something outside the release is needed.
    """
    model = {key: copy.deepcopy(value) for key, value in rendering.model.items() if not key.startswith("x-")}
    model["name"] = place.project
    sources = _Sources(rendering, tree, place)
    for kind in ("configs", "secrets"):
        for name, definition in model.get(kind, {}).items():
            if "file" in definition:
                definition["file"] = sources.mounted(definition["file"], f"{kind[:-1]} {name}")
    for definition in model.get("volumes", {}).values():
        options = (definition or {}).get("driver_opts") or {}
        if "device" in options:
            options["device"] = sources.area(options["device"])
    for name, service in model["services"].items():
        # A name without a value would be taken from the shell of whoever calls Compose next.
        service["environment"] = {
            key: value for key, value in (service.get("environment") or {}).items() if value is not None
        }
        for volume in service.get("volumes") or ():
            if volume.get("type") == "bind":
                volume["source"] = sources.mounted(volume["source"], f"service {name}")
        service["image"] = images[service["image"]]
        for key in [k for k in service if k.startswith("x-") or k in {"build", "develop", "profiles", "pull_policy"}]:
            del service[key]
        service.pop("env_file", None)
        _scale_apart(service)
    sources.refuse_leftovers(model)
    services = _digests(model, rendering, place, env)
    for name, service in model["services"].items():
        if "depends_on" in service:
            service[ORDER] = service.pop("depends_on")
        labels = dict(service.get("labels") or {})
        service["labels"] = {**labels, LABEL_APP: place.app, LABEL_DIGEST: services[name].digest}
    content = {"tag": tag, "model": model, "env": dict(env), **({} if place.keeps_values else {"withheld": True})}
    return SelfContained(model=model, services=services, files=sources.files(), digest=digest.keyed(place.key, content))


def _scale_apart(service: dict[str, Any]) -> None:
    """Says how many containers a service has by `scale` alone: Compose's hash is another one with `deploy.replicas`."""
    replicas = replicas_of(service)
    if "deploy" in service:
        service["deploy"] = {key: value for key, value in (service["deploy"] or {}).items() if key != "replicas"}
        if not service["deploy"]:
            del service["deploy"]
    service.pop("scale", None)
    if replicas != 1:
        service["scale"] = replicas


def _digests(
    model: Mapping[str, Any], rendering: Rendering, place: Place, env: Mapping[str, str]
) -> dict[str, ServiceFacts]:
    """A service's digest covers what it refers to, and the services whose namespaces it shares: they go together."""
    definitions = model["services"]
    facts: dict[str, ServiceFacts] = {}
    awaited: dict[str, set[Condition]] = {name: set() for name in definitions}
    for service in definitions.values():
        for dependency, how in (service.get("depends_on") or {}).items():
            awaited.setdefault(dependency, set()).add(Condition(how.get("condition", Condition.STARTED)))
    for name, shared in sharing_order(definitions):
        service = definitions[name]
        relevant = {key: value for key, value in service.items() if key not in NOT_OF_A_CONTAINER}
        referred = {
            kind: {reference: _definition(model, kind, reference, env) for reference in _references(service.get(kind))}
            for kind in ("configs", "secrets", "networks", "volumes")
        }
        value = {"service": relevant, "refers": referred, "shares": {peer: facts[peer].digest for peer in shared}}
        original = rendering.model["services"][name]
        facts[name] = facts_of(
            service,
            digest=digest.keyed(place.key, value),
            image=str(original["image"]),
            awaited=awaited[name],
            names=definitions.keys(),
        )
    return facts


def _references(section: Any) -> Sequence[str]:
    if isinstance(section, Mapping):
        return sorted(section)
    names = (item.get("source") if isinstance(item, Mapping) else item for item in section or ())
    return sorted({str(name) for name in names if name})


def _definition(model: Mapping[str, Any], kind: str, reference: str, env: Mapping[str, str]) -> Any:
    definition = model.get(kind, {}).get(reference)
    if not isinstance(definition, Mapping):
        return None  # a bind mount's source, or nothing defined at the top level
    if kind in {"networks", "volumes"}:
        return {key: definition.get(key) for key in ("name", "external")}
    return {**definition, "value": env.get(str(definition.get("environment")))}


class _Sources:
    """Maps paths below the rendering's root to where they live in a release."""

    def __init__(self, rendering: Rendering, tree: SourceTree, place: Place) -> None:
        self._root = PurePosixPath(rendering.root)
        self._private = PurePosixPath(rendering.private or rendering.root)
        self._project_dir = self._root / rendering.project_dir
        self._by_path = {file.path: file for file in tree.files}
        self._place = place
        self._managed: dict[str, ManagedFile] = {}

    def files(self) -> tuple[ManagedFile, ...]:
        return tuple(self._managed[name] for name in sorted(self._managed))

    def mounted(self, source: str, whose: str) -> str:
        """A mount's source: writable areas stay in `deploy_dir`, tracked files are stored by content.

        What lies elsewhere on the host stays as it is. Raises PreflightFailed for a path that leads out of the sources.
        """
        path = PurePosixPath(source)
        if not path.is_relative_to(self._private):
            return source
        return self._area(path) or self._stored(path, whose)

    def area(self, source: str) -> str:
        """The place in `deploy_dir` of a path in a writable area; any other path as it is."""
        return self._area(PurePosixPath(source)) or source

    def _area(self, path: PurePosixPath) -> str | None:
        # An adoption renders in deploy_dir itself: there a writable area is where it belongs already.
        if path.is_relative_to(self._project_dir):
            relative = path.relative_to(self._project_dir)
            if any(relative.is_relative_to(area) for area in self._place.writable):
                return str(self._place.deploy_dir / relative)
        return None

    def _stored(self, path: PurePosixPath, whose: str) -> str:
        shown = posixpath.relpath(path, self._project_dir)
        if not path.is_relative_to(self._root):
            raise PreflightFailed(
                f"{whose} mounts {shown}, which lies outside of the Compose files' directory: only that is sent; move"
                " it in there, or name it by its absolute path on the target"
            )
        entries = self._entries(path.relative_to(self._root))
        if not entries:
            raise PreflightFailed(
                f"{whose} mounts ./{shown}, which is neither a writable area nor a file that git has: add it to"
                " writable: in deploy.yaml, commit it, or use a named volume (a secret: `environment:`, not `file:`)"
            )
        # The name is part of what is digested: two files of one content may have two names.
        sha = digest.tree([(posixpath.join(path.name, below), mode, data) for below, mode, data in entries])
        self._managed[sha] = ManagedFile(sha256=sha, name=path.name, entries=entries)
        return str(self._place.deploy_dir / FILES / sha / path.name)

    def _entries(self, relative: PurePosixPath) -> tuple[tuple[str, int, bytes], ...]:
        single = self._by_path.get(relative)
        if single is not None:
            return (("", single.mode, single.data),)
        if relative == PurePosixPath("."):
            return ()
        return tuple(
            (str(path.relative_to(relative)), file.mode, file.data)
            for path, file in self._by_path.items()
            if path.is_relative_to(relative)
        )

    def refuse_leftovers(self, model: Mapping[str, Any]) -> None:
        """Nothing may point into the directory that rendering used: it is gone by now (an adoption's stays)."""
        if self._root == self._place.deploy_dir:
            return
        for where, text in _strings(model, ""):
            if str(self._private) in text:
                raise PreflightFailed(
                    f"{where}: this refers to a path of the sources in a way that a release can't carry;"
                    " mount it as a volume, config or secret"
                )


def _strings(value: Any, where: str) -> list[tuple[str, str]]:
    if isinstance(value, str):
        return [(where, value)]
    if isinstance(value, Mapping):
        return [found for key, item in value.items() for found in _strings(item, f"{where}.{key}".lstrip("."))]
    if isinstance(value, list):
        return [found for index, item in enumerate(value) for found in _strings(item, f"{where}[{index}]")]
    return []
