"""Everything about one project in two round trips: the lists, and then all details at once."""

from __future__ import annotations

import json
from dataclasses import replace
from urllib.parse import quote

from reconciler.adapters.engine import facts, live
from reconciler.adapters.engine.keeper import is_sound
from reconciler.adapters.engine.reader import Answer, Reader
from reconciler.model.observed import LABEL_KEEPER, ContainerFacts
from reconciler.ports import Survey

DEAD = "dead"
"""A container whose removal was cut short: its layer may be gone, and then the engine can't say what changed in it."""


def survey(reader: Reader, project: str, *, layers: bool, kept: frozenset[str]) -> Survey | None:
    """The containers of `project`, with their layers where asked for, and which of the images `kept` no keeper holds.

    None where a container vanished between the list and its details. Raises what `engine_errors` expects.
    """
    name = reader.name
    listings = [listing(f"{facts.COMPOSE_PROJECT}={project}")]
    listings += [listing(f"{LABEL_KEEPER}={project}")] if kept else []
    listed, *rest = [answer.json(name) for answer in reader.get_all(listings)]
    keepers = [keeper for keeper in rest[0] if keeper["State"] == "running"] if rest else []
    parts = ("json", "changes") if layers else ("json",)
    paths = [f"/containers/{entry['Id']}/{part}" for entry in listed for part in parts]
    answers = reader.get_all([*paths, *(f"/containers/{keeper['Id']}/json" for keeper in keepers)])
    own, theirs = answers[: len(paths)], answers[len(paths) :]
    if any(answer.is_missing for answer in own):
        return None
    found = [_facts(name, own[start : start + len(parts)]) for start in range(0, len(own), len(parts))]
    held = {
        str(keeper["ImageID"])
        for keeper, answer in zip(keepers, theirs, strict=True)
        if not answer.is_missing and is_sound(answer.json(name))
    }
    return Survey(tuple(sorted(found, key=lambda container: container.name)), kept - held)


def listing(label: str) -> str:
    """The path of the list of all containers with this label."""
    return f"/containers/json?all=1&filters={quote(json.dumps({'label': [label]}))}"


def _facts(name: str, answers: list[Answer]) -> ContainerFacts:
    inspected = answers[0].json(name)
    container = facts.from_inspect(inspected)
    if len(answers) == 1 or container.live is None or container.state == DEAD:
        return container
    layer = live.layer(inspected, answers[1].json(name))
    return replace(container, live=container.live.model_copy(update={"layer": layer}))
