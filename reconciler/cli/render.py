"""Results as text for people and as JSON for machines. Everything was masked before it comes here."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from typing import Any, TextIO

from reconciler.core.account import step_line
from reconciler.cycle.result import PassResult
from reconciler.model.plan import (
    Action,
    Connect,
    Disconnect,
    Hold,
    Plan,
    Pull,
    PutBack,
    Remove,
    Restart,
    Stage,
    Start,
    Step,
    Stop,
    Switch,
    Up,
    Update,
)

_COLOURS = {"green": "32", "yellow": "33", "red": "31", "cyan": "36", "bold": "1", "dim": "2"}
_MARKS = {
    Action.CREATE: ("+", "green"),
    Action.RECREATE: ("~", "yellow"),
    Action.SCALE: ("~", "yellow"),
    Action.RUN: (">", "cyan"),
}


class Screen:
    """Writes text, with colours only where a terminal shows them (https://no-color.org)."""

    def __init__(self, stream: TextIO, *, colour: bool) -> None:
        self._stream = stream
        self._colour = colour and stream.isatty() and "NO_COLOR" not in os.environ and os.environ.get("TERM") != "dumb"

    def paint(self, text: str, colour: str) -> str:
        """`text` in a colour, where there are any."""
        return f"\x1b[{_COLOURS[colour]}m{text}\x1b[0m" if self._colour else text

    def line(self, text: str = "") -> None:
        """One line of output."""
        print(text, file=self._stream)


def show_results(screen: Screen, results: Sequence[PassResult]) -> None:
    """One paragraph for each target."""
    for result in results:
        colour = "green" if result.exit_code == 0 else "yellow" if result.exit_code in {2, 4, 8} else "red"
        screen.line(f"{screen.paint(result.target, 'bold')}: {screen.paint(result.message, colour)}")
        for note in result.notes:
            screen.line(f"  note: {note}")
        if result.record:
            screen.line(f"  record: {result.record}")


def show_plans(screen: Screen, results: Sequence[PassResult]) -> None:
    """What a pass would do on each target."""
    for result in results:
        if result.plan is None or not (result.plan.steps or result.plan.drift):
            show_results(screen, [result])
            continue
        _show_plan(screen, result, result.plan)


def _show_plan(screen: Screen, result: PassResult, plan: Plan) -> None:
    release = plan.release or f"{plan.tag}-???????? (its id is known once its images and key are on the target)"
    screen.line(f"{screen.paint(result.target, 'bold')}: {result.serving or 'nothing'} → {release}")
    screen.line()
    for step in plan.steps:
        mark, colour = _mark(step)
        screen.line(f"  {screen.paint(mark, colour)} {step_line(step)}")
    if result.changes:
        screen.line()
        for change in result.changes:
            screen.line(f"      {change}")
    why = {drift.key: reason for drift, reason in plan.left}
    for drift in plan.drift:
        left = f" ({why[drift.key]})" if drift.key in why else ""
        screen.line(f"  {screen.paint('drift', 'yellow')} {drift.vector}: {drift.line}{left}")
    for note in result.notes:
        screen.line(f"  note: {note}")
    screen.line()
    screen.line(_summary(plan))


def _summary(plan: Plan) -> str:
    ups = [step for step in plan.steps if isinstance(step, Up)]
    create = sum(step.action in {Action.CREATE, Action.RUN} for step in ups)
    in_place = Start | Restart | Update | Connect | Disconnect | PutBack | Hold
    change = len(ups) - create + sum(isinstance(step, in_place) for step in plan.steps)
    remove = sum(isinstance(step, Remove | Stop) for step in plan.steps)
    return f"Plan: {create} to create, {change} to change, {remove} to remove. Nothing was changed."


def _mark(step: Step) -> tuple[str, str]:
    match step:
        case Up(action=action):
            return _MARKS[action]
        case Start() | Restart():
            return "~", "yellow"
        case Update() | Connect() | Disconnect() | PutBack() | Hold():
            return "~", "yellow"
        case Remove() | Stop():
            return "-", "red"
        case Pull() | Stage():
            return "+", "dim"
        case Switch():
            return "→", "cyan"


def result_json(result: PassResult) -> dict[str, Any]:
    """One target's result for machines; a stable contract."""
    state = result.state
    return {
        "target": result.target,
        "result": result.result,
        "exit_code": int(result.exit_code),
        "message": result.message,
        "tag": result.tag,
        "release": result.release,
        "serving": result.serving,
        "phase": state.shown_phase.value if state and state.shown_phase else None,
        "quarantine": sorted(state.quarantine) if state else [],
        "steps": [
            {"kind": type(step).__name__.lower(), "text": step_line(step)}
            for step in (result.plan.steps if result.plan else ())
        ],
        "drift": _drift_json(result.plan) if result.plan else [],
        "changes": list(result.changes),
        "notes": list(result.notes),
        "record": result.record,
        "durations": result.durations,
    }


def _drift_json(plan: Plan) -> list[dict[str, Any]]:
    left = {drift.key: why for drift, why in plan.left}
    return [
        {
            "vector": drift.vector.value,
            "object": drift.object,
            "expected": drift.expected,
            "found": drift.found,
            "at": drift.at.isoformat() if drift.at else None,
            "by": drift.hint or None,
            "left": left.get(drift.key),
        }
        for drift in plan.drift
    ]


def print_json(value: Any) -> None:
    """One JSON document on standard output."""
    json.dump(value, sys.stdout, indent=2, ensure_ascii=False)
    print()
