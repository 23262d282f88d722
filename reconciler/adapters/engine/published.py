"""Whose a port of the host is, as far as the engine's containers go. Source: Docker Engine API, "ContainerInspect"."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import quote

from reconciler.adapters.engine.reader import Reader

_UP = ("running", "restarting", "paused", "removing")
"""The states in which a container has its ports, or takes them by itself."""


def holders(reader: Reader, port: int) -> tuple[str, ...]:
    """Names of the containers that publish `port`, by what they were made with and by what they have now, sorted.

    The list may be a moment behind: an inspection says what is.
    """
    query = quote(json.dumps({"status": _UP}))
    listed = reader.get(f"/containers/json?all=1&filters={query}")
    answers = reader.get_all([f"/containers/{entry['Id']}/json" for entry in listed])
    inspected = [answer.json(reader.name) for answer in answers if not answer.is_missing]
    return tuple(sorted(str(each["Name"]).removeprefix("/") for each in inspected if _publishes(each, port)))


def _publishes(inspected: Mapping[str, Any], port: int) -> bool:
    is_up = inspected["State"]["Status"] in _UP
    return is_up and any(first <= port <= last for first, last in _published(inspected))


def _published(inspected: Mapping[str, Any]) -> Iterator[tuple[int, int]]:
    """Ranges of host ports. One that the engine chooses at each start is known only while the container runs."""
    asked = inspected["HostConfig"].get("PortBindings") or {}
    given = inspected["NetworkSettings"].get("Ports") or {}
    for bindings in (*asked.values(), *given.values()):
        for binding in bindings or ():
            first, _, last = str(binding.get("HostPort") or "").partition("-")
            if first:
                yield int(first), int(last or first)
