"""Commands that need no target: validate, history, show."""

from __future__ import annotations

import json

from reconciler.cli.render import Screen, print_json
from reconciler.model.errors import ExitCode
from reconciler.wiring import Desk


def validate(desk: Desk, screen: Screen, *, as_json: bool) -> int:
    """The desired state alone: deploy.yaml, its sources, its env values. Raises what is wrong with them."""
    tree = desk.sources()
    env = desk.env()
    unchecked = "the Compose model is resolved on the target: `reconcile plan` checks it"
    if as_json:
        print_json({"valid": True, "files": len(tree.files), "warnings": list(env.warnings), "unchecked": [unchecked]})
        return ExitCode.OK
    deploy = desk.deploy
    screen.line(f"{desk.file}: valid: {deploy.app} {deploy.tag} on {', '.join(deploy.targets)}")
    screen.line(f"  {_count(len(tree.files), 'source file')}, {_count(len(env.entries), 'env key')}")
    for warning in env.warnings:
        screen.line(f"  warning: {warning}")
    screen.line(f"  not checked: {unchecked}")
    return ExitCode.OK


def _count(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def show_history(desk: Desk, screen: Screen, *, as_json: bool) -> int:
    """The run records, newest first."""
    records = list(desk.records().all())[::-1]
    if as_json:
        print_json(
            [json.loads(record.model_dump_json(exclude={"measurements", "plan", "changes"})) for record in records]
        )
        return ExitCode.OK
    if not records:
        screen.line("no run records yet")
    for record in records:
        what = f"{record.kind.value:<9} {record.target:<12} {record.tag}  {record.verdict:<11}"
        screen.line(f"{record.run}  {what} {record.reason}")
    return ExitCode.OK


def show_record(desk: Desk, screen: Screen, run: str, *, as_json: bool) -> int:
    """One record, as it was written. Raises UsageError for a run that has none."""
    text = desk.records().text_of(run)
    if as_json:
        print_json(json.loads(desk.records().parse(text, run).model_dump_json()))
    else:
        screen.line(text.rstrip())
    return ExitCode.OK
