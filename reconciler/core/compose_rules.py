"""The rules for a resolved Compose model: what each finds, and where. Severity and exceptions come later.

A finding names rule, service and place, and never quotes the model: an image, a path or a capability may be made of
env values (P9). `docs/policy/<rule>.md` says why each rule is there.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from reconciler.core import compose_mounts
from reconciler.core.compose_mounts import Grounds, Mount
from reconciler.core.services import facts_of
from reconciler.dataclass import dataclass
from reconciler.model.compose_policy import Rule
from reconciler.model.release import Rendering
from reconciler.model.stored import Condition

DEFAULT_CAPABILITIES = frozenset(
    {"AUDIT_WRITE", "CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "KILL", "MKNOD", "NET_BIND_SERVICE", "NET_RAW"}
    | {"SETFCAP", "SETGID", "SETPCAP", "SETUID", "SYS_CHROOT"}
)
"""What a container has anyway; after `cap_drop: [ALL]` one of them is less than the default.
Source: Docker's documentation, "Runtime privilege and Linux capabilities"."""

_HOOKS = ("post_start", "pre_stop")
_NAMESPACES = {"ipc": "ipc", "uts": "uts", "cgroup": "cgroup", "userns_mode": "user"}
_ID = 64
"""Hex digits of an image id."""


@dataclass(frozen=True, slots=True)
class Found:
    """A rule's find: where in the service (`volumes[1]`, empty: the service as a whole), what it is, what to do."""

    rule: Rule
    service: str
    at: str
    what: str
    fix: str


@dataclass(frozen=True, slots=True)
class _Service:
    """One service, and what the others make of it: the conditions on which they wait for it."""

    name: str
    definition: Mapping[str, Any]
    awaited: frozenset[Condition]
    mounts: tuple[Mount, ...]


_Finds = Iterator[tuple[str, str, str]]
"""Where, what, and what to do."""


def find(rendering: Rendering, grounds: Grounds) -> tuple[Found, ...]:
    """Everything that the rules find, by service and in the order of `Rule`."""
    services = rendering.model.get("services", {})
    found = []
    for name in sorted(services):
        mounts = compose_mounts.mounts_of(rendering.model, services[name])
        service = _Service(name, services[name], _awaited(name, services), mounts)
        for rule in Rule:
            found += [Found(rule, name, *each) for each in _find(rule, service, rendering, grounds)]
    return tuple(found)


def _awaited(name: str, services: Mapping[str, Any]) -> frozenset[Condition]:
    needed = (other.get("depends_on") or {} for other in services.values())
    return frozenset(Condition(each[name].get("condition", Condition.STARTED)) for each in needed if name in each)


def _find(rule: Rule, service: _Service, rendering: Rendering, grounds: Grounds) -> _Finds:
    match rule:
        case Rule.WRITABLE_BIND:
            return _writable_bind(service, rendering, grounds)
        case Rule.HOST_MOUNT:
            return _host_mount(service, rendering, grounds)
        case Rule.DOCKER_SOCKET:
            return _docker_socket(service, grounds)
        case Rule.LATEST_IMAGE:
            return _latest_image(service)
        case Rule.RELEASE_TAG:
            return _release_tag(service, grounds)
        case Rule.PRIVILEGED:
            return _privileged(service)
        case Rule.ADDED_CAPABILITY:
            return _added_capability(service)
        case Rule.HOST_NETWORK:
            return _host_network(service, rendering)
        case Rule.HOST_PID:
            return _host(service, {"pid": "process"})
        case Rule.HOST_NAMESPACE:
            return _host(service, _NAMESPACES)
        case Rule.FOREIGN_CONTAINER:
            return _foreign_container(service)
        case Rule.HEALTH_CHECK | Rule.RESTART_POLICY:
            return _lives(rule, service)
        case Rule.MEMORY_LIMIT:
            return _memory_limit(service)


def _writable_bind(service: _Service, rendering: Rendering, grounds: Grounds) -> _Finds:
    for mount in service.mounts:
        only_a_socket = compose_mounts.is_socket(mount, grounds)  # read-only or not means nothing there
        if not mount.read_only and not only_a_socket and not compose_mounts.is_area(mount, rendering, grounds):
            what = "is a read-write mount of something outside of the writable areas"
            yield mount.at, what, "mount it read-only (`:ro`), or name its directory in writable:"


def _host_mount(service: _Service, rendering: Rendering, grounds: Grounds) -> _Finds:
    for mount in service.mounts:
        if not compose_mounts.is_own(mount, rendering, grounds):
            place = compose_mounts.host_place(mount)
            if place is not None:
                yield mount.at, f"mounts {place} of the host", "mount only the file that is needed, from elsewhere"


def _docker_socket(service: _Service, grounds: Grounds) -> _Finds:
    fix = "let the app do without it: whoever has it is root on the host, read-only or not"
    if service.definition.get("use_api_socket"):
        yield "use_api_socket", "mounts the Docker socket", fix
    for mount in service.mounts:
        if compose_mounts.is_socket(mount, grounds):
            yield mount.at, "mounts the Docker socket", fix
        elif compose_mounts.holds_socket(mount, grounds):
            yield mount.at, "mounts the directory of the Docker socket", fix


def _latest_image(service: _Service) -> _Finds:
    reference = _Reference.of(service.definition)
    moving = reference.tag in {"", "latest"} or reference.tag.startswith("latest-") or reference.tag.endswith("-latest")
    if reference.named and not reference.pinned and moving:
        what = "has the tag latest" if reference.tag else "has no tag, which means latest"
        yield "image", what, "pin a version or a digest, or carry ${TAG}"


def _release_tag(service: _Service, grounds: Grounds) -> _Finds:
    reference = _Reference.of(service.definition)
    if reference.name in grounds.repositories and grounds.tag not in reference.tag:
        yield "image", "is of image.repository and doesn't carry the release's tag", "write `:${TAG}`"


def _privileged(service: _Service) -> _Finds:
    fix = "give it the one device or capability that it needs"
    if service.definition.get("privileged"):
        yield "privileged", "runs with all rights of the host's root", fix
    for hook in _HOOKS:
        for position, command in enumerate(service.definition.get(hook) or ()):
            if command.get("privileged"):
                yield f"{hook}[{position}].privileged", "runs with all rights of the host's root", fix


def _added_capability(service: _Service) -> _Finds:
    for position, written in enumerate(service.definition.get("cap_add") or ()):
        if str(written).upper().removeprefix("CAP_") not in DEFAULT_CAPABILITIES:
            yield f"cap_add[{position}]", "is more than Docker's default capabilities", "leave it out"


def _host_network(service: _Service, rendering: Rendering) -> _Finds:
    fix = "use a network of the app's own, and ports: for what has to be reached"
    if service.definition.get("network_mode") == "host":
        yield "network_mode", "is the host's own network", fix
    defined = rendering.model.get("networks") or {}
    for name in service.definition.get("networks") or ():
        network = defined.get(name) or {}
        if network.get("external") and network.get("name") == "host":
            yield f"networks.{name}", "is the host's own network", fix


def _host(service: _Service, keys: Mapping[str, str]) -> _Finds:
    for key, what in keys.items():
        if service.definition.get(key) == "host":
            yield key, f"is the host's own {what} namespace", "leave it out"


def _foreign_container(service: _Service) -> _Finds:
    fix = "make that container a service of this app, or do without it"
    for key in ("network_mode", "pid", "ipc"):
        if str(service.definition.get(key) or "").startswith("container:"):
            yield key, "is shared with a container of somebody else", fix
    for position, written in enumerate(service.definition.get("volumes_from") or ()):
        if str(written).startswith("container:"):
            yield f"volumes_from[{position}]", "has the mounts of a container of somebody else: not checked", fix


def _lives(rule: Rule, service: _Service) -> _Finds:
    """What a service that is to stay up needs; a one-shot needs neither."""
    definition = service.definition
    facts = facts_of(
        {**definition, "image": definition.get("image", "")}, digest="", image="", awaited=service.awaited, names=()
    )
    if facts.one_shot:
        return
    if rule is Rule.HEALTH_CHECK and not facts.has_health:
        yield "", "has no health check", "add `healthcheck:`, so that a hanging app is seen"
    if rule is Rule.RESTART_POLICY and not _restarts(definition):
        yield "", "has no restart policy", "add `restart: unless-stopped`, so that it is back after a crash or a reboot"


def _restarts(definition: Mapping[str, Any]) -> bool:
    """As Compose 2.26 does it: `deploy.restart_policy` wins over `restart`, and without a condition it means none."""
    deployed = (definition.get("deploy") or {}).get("restart_policy")
    policy = deployed.get("condition") if deployed else definition.get("restart")
    return policy not in {None, "", "no", "none"}


def _memory_limit(service: _Service) -> _Finds:
    resources = (service.definition.get("deploy") or {}).get("resources") or {}
    limit = service.definition.get("mem_limit") or (resources.get("limits") or {}).get("memory")
    if not limit or str(limit) == "0":
        yield "", "has no memory limit", "add `mem_limit:`, so that it can't take the memory of its neighbours"


@dataclass(frozen=True, slots=True)
class _Reference:
    """An image reference taken apart. `pinned`: by digest or id. Source: the distribution project's grammar."""

    name: str
    tag: str
    pinned: bool
    named: bool

    @classmethod
    def of(cls, service: Mapping[str, Any]) -> _Reference:
        written = str(service.get("image") or "")
        name, _, digest = written.partition("@")
        path, slash, last = name.rpartition("/")
        last, _, tag = last.partition(":")
        bare = written.removeprefix("sha256:")
        is_id = len(bare) == _ID and not set(bare) - set("0123456789abcdef")
        return cls(f"{path}{slash}{last}", tag, bool(digest) or is_id, bool(written))
