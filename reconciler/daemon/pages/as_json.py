"""The same as the pages for scripts: `/api/status`. Keys are only ever added; `version` says when that isn't so."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import PurePath

from reconciler.cycle.result import PassResult
from reconciler.cycle.status import Status
from reconciler.daemon.board import Memory
from reconciler.daemon.pages.overview import plan_of
from reconciler.daemon.pages.scene import Scene, Standing
from reconciler.model.plan import Plan

VERSION = 1


def as_json(scene: Scene) -> bytes:
    """UTF-8. Times are ISO 8601 in UTC, states the words of the metrics; null is what there isn't, or nobody knows."""
    source = scene.source
    told = {
        "version": VERSION,
        "at": _time(scene.now),
        "desired": {
            "app": source.app,
            "tag": source.tag,
            "commit": source.commit,
            "since": _time(source.since),
            "asked_at": _time(source.asked_at),
            "is_blind": source.is_blind,
            "trouble": scene.mask(source.trouble) or None,
        },
        "targets": [_target(scene, standing) for standing in scene.standings()],
    }
    return json.dumps(told, indent=1, ensure_ascii=True, allow_nan=False).encode() + b"\n"


def _target(scene: Scene, standing: Standing) -> dict[str, object]:
    view, status = standing.view, standing.status if standing.is_current else None
    return {
        "name": view.name,
        "sync": standing.sync.value,
        "health": standing.health.value,
        "since": _time(standing.since),
        "trouble": scene.mask(standing.why_unknown) or None,
        "desired_tag": scene.source.tag,
        **_looked(scene, status, view.memory),
        "drift": _drift(scene, plan_of(standing)),
        "looked_at": _time(view.looked_at),
        "last_pass": _passed(scene, view.last),
        "last_known": None if standing.is_current else _last_known(scene, standing),
    }


def _looked(scene: Scene, status: Status | None, memory: Memory | None) -> dict[str, object]:
    """What a look says; all of it null without one."""
    state = memory.state if memory and status else None
    frozen = state.suspended if state else None
    return {
        "phase": status.phase.value if status and status.phase else None,
        "phase_since": _time(status.since if status else None),
        "serving": status.serving if status else None,
        "last_good": status.last_good if status else None,
        "reason": scene.mask(status.reason) or None if status else None,
        "suspended": {"by": scene.mask(frozen.by), "message": scene.mask(frozen.message), "at": _time(frozen.at)}
        if frozen
        else None,
        "quarantine": [
            {
                "release": release,
                "tag": held.tag,
                "at": _time(held.at),
                "reason": scene.mask(held.reason),
                "run": held.run,
            }
            for release, held in sorted(state.quarantine.items())
        ]
        if state
        else None,
    }


def _last_known(scene: Scene, standing: Standing) -> dict[str, object] | None:
    if standing.status is None:
        return None
    return {
        "at": _time(standing.seen_at),
        "sync": standing.status.sync.value,
        "health": standing.status.health.value,
        **_looked(scene, standing.status, standing.view.memory),
    }


def _drift(scene: Scene, plan: Plan | None) -> list[dict[str, object]] | None:
    if plan is None:
        return None
    left = {drift.key: why for drift, why in plan.left}
    return [
        {
            "vector": drift.vector.value,
            "object": scene.mask(drift.object),
            "expected": scene.mask(drift.expected),
            "found": scene.mask(drift.found),
            "left": scene.mask(left[drift.key]) if drift.key in left else None,
        }
        for drift in plan.drift
    ]


def _passed(scene: Scene, last: PassResult | None) -> dict[str, object] | None:
    if last is None:
        return None
    return {
        "result": last.result,
        "exit_code": int(last.exit_code),
        "message": scene.mask(last.message),
        "record": PurePath(last.record).stem if last.record else None,
    }


def _time(at: datetime | None) -> str | None:
    return None if at is None else f"{at.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"
