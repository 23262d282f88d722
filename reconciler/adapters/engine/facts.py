"""From the Engine API's JSON to facts. Source: Docker Engine API, "ContainerList" and "ContainerInspect"."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from reconciler.adapters.engine.live import live
from reconciler.model.observed import LABEL_DIGEST, ContainerFacts
from reconciler.ports import Origin

COMPOSE_PREFIX = "com.docker.compose."
COMPOSE_PROJECT = COMPOSE_PREFIX + "project"
_SERVICE = COMPOSE_PREFIX + "service"
_ONE_OFF = COMPOSE_PREFIX + "oneoff"

_ENDED = re.compile(r"(?:Exited|Restarting) \((\d+)\)")
_HEALTH = re.compile(r"\((?:health: )?(starting|healthy|unhealthy)\)")
_ENDED_STATES = frozenset({"exited", "dead", "restarting"})

Json = Mapping[str, Any]


def from_list(listed: Json) -> ContainerFacts:
    """Facts of one entry of the list. Its status is a text for people; restarts, start and OOM aren't in it."""
    labels: Json = listed.get("Labels") or {}
    status = str(listed.get("Status") or "")
    exit_code, health = _ENDED.match(status), _HEALTH.search(status)
    return ContainerFacts(
        id=str(listed["Id"]),
        name=_name(listed),
        service=_service(labels),
        image_id=str(listed.get("ImageID") or ""),
        state=str(listed.get("State") or ""),
        digest=labels.get(LABEL_DIGEST),
        health=health[1] if health else None,
        exit_code=int(exit_code[1]) if exit_code else None,
        one_off=is_one_off(labels),
    )


def from_inspect(inspected: Json) -> ContainerFacts:
    """Facts of one container's details. `exit_code` is None unless it ended, or never came to run."""
    labels: Json = inspected["Config"].get("Labels") or {}
    state: Json = inspected["State"]
    status = str(state["Status"])
    exit_code = int(state.get("ExitCode") or 0)
    health = (state.get("Health") or {}).get("Status")
    return ContainerFacts(
        id=str(inspected["Id"]),
        name=str(inspected["Name"]).removeprefix("/"),
        service=_service(labels),
        image_id=str(inspected["Image"]),
        state=status,
        digest=labels.get(LABEL_DIGEST),
        health=None if health in (None, "none") else str(health),
        exit_code=exit_code if status in _ENDED_STATES or (status == "created" and exit_code) else None,
        restarts=int(inspected.get("RestartCount") or 0),
        one_off=is_one_off(labels),
        started_at=moment(state.get("StartedAt")),
        finished_at=moment(state.get("FinishedAt")),
        oom_killed=bool(state.get("OOMKilled")),
        live=live(inspected),
        mounts=tuple(
            sorted(str(mount["Source"]) for mount in inspected.get("Mounts") or () if mount.get("Type") == "bind")
        ),
    )


def origin(labels: Json) -> Origin:
    """Where Compose says that it was called, and with which files."""
    files = str(labels.get(COMPOSE_PREFIX + "project.config_files") or "").split(",")
    return Origin(str(labels.get(COMPOSE_PREFIX + "project.working_dir") or ""), tuple(file for file in files if file))


def environment(inspected: Json) -> Mapping[str, str]:
    """A container's variables (secret)."""
    pairs = (str(pair).partition("=") for pair in inspected["Config"].get("Env") or ())
    return {name: value for name, _, value in pairs}


def is_one_off(labels: Json) -> bool:
    """Whether it is a container of `docker compose run`."""
    return str(labels.get(_ONE_OFF) or "").lower() == "true"


def last_health_output(inspected: Json) -> str:
    """What the newest failed health probe printed; "" where there is none."""
    log = (inspected["State"].get("Health") or {}).get("Log") or []
    failed = [str(probe.get("Output") or "") for probe in log if probe.get("ExitCode")]
    return failed[-1] if failed else ""


def moment(text: str | None) -> datetime | None:
    """A time of the API as UTC, cut to microseconds; None for its zero time (year 1)."""
    if not text or text.startswith("0001-"):
        return None
    return datetime.fromisoformat(text).astimezone(UTC)


def _service(labels: Json) -> str:
    """The Compose service; "" for a container that somebody labelled by hand.

    Compose itself goes by the label of one-offs, which it always sets: it would never replace such a container.
    """
    return str(labels.get(_SERVICE) or "") if _ONE_OFF in labels else ""


def _name(listed: Json) -> str:
    names = [str(name).removeprefix("/") for name in listed.get("Names") or []]
    own = [name for name in names if "/" not in name]  # "/other/alias" is a legacy link to it
    return own[0] if own else str(listed["Id"])[:12]
