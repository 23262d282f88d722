"""Commands that need no target: history, show."""

from __future__ import annotations

import json

from reconciler.cli.render import Screen, print_json
from reconciler.model.errors import ExitCode
from reconciler.wiring import Desk


def show_history(desk: Desk, screen: Screen, *, as_json: bool) -> int:
    """The run records, newest first."""
    records = list(desk.records().all())[::-1]
    if as_json:
        print_json(
            [
                json.loads(record.model_dump_json(exclude={"measurements", "judgements", "plan", "changes"}))
                for record in records
            ]
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
