"""A run record as Markdown: a body for people, and a fenced YAML block at its end for machines."""

from __future__ import annotations

import json

import yaml
from pydantic import ValidationError

from reconciler.model.errors import ReconcilerError
from reconciler.model.record import RecordedMeasurement, RunRecord

_FENCE = "```"
_MOST_ROWS = 40


def to_markdown(record: RunRecord) -> str:
    """The whole document. It parses back to the same record."""
    lines = [f"# {record.kind.value} of {record.app} on {record.target}: {record.verdict}", "", record.reason, ""]
    lines += ["# Meta", ""]
    lines += [f"- {key}: {value}" for key, value in _meta(record)]
    for title, items in (("Drift", record.drift), ("Plan", record.plan), ("Changes", record.changes)):
        if items:
            lines += ["", f"## {title}", "", *(f"- {_inline(item)}" for item in items)]
    if record.measurements:
        lines += ["", "## Measurements", "", "| time (UTC) | gate | outcome | seen |", "|---|---|---|---|"]
        lines += [_row(measurement) for measurement in _telling(record.measurements)]
    if record.durations:
        spent = ", ".join(f"{part} {seconds:g} s" for part, seconds in record.durations.items())
        lines += ["", "## Durations", "", spent]
    block = yaml.safe_dump(
        json.loads(record.model_dump_json()),
        sort_keys=False,
        allow_unicode=True,
        width=100_000,
        default_flow_style=False,
    )
    return "\n".join([*lines, "", "## Data", "", f"{_FENCE}yaml", block.rstrip(), _FENCE, ""])


def from_markdown(text: str, *, name: str) -> RunRecord:
    """The record in the last YAML block of a document. Raises ReconcilerError naming the document `name`."""
    _, opened, rest = text.rpartition(f"\n{_FENCE}yaml\n")
    block, closed, _ = rest.partition(f"\n{_FENCE}")
    if not opened or not closed:
        raise ReconcilerError(f"{name}: no YAML block at its end; is it a run record?")
    try:
        return RunRecord.model_validate(yaml.load(block, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader)))  # noqa: S506 - safe
    except (yaml.YAMLError, ValidationError) as error:
        raise ReconcilerError(
            f"{name}: its YAML block can't be read as a run record: {str(error).splitlines()[0]}"
        ) from None


def _meta(record: RunRecord) -> list[tuple[str, str]]:
    rows = [
        ("Document ID", record.name),
        ("Status", "Done"),
        ("Created", f"{record.started_at:%Y-%m-%d %H:%M:%S} UTC"),
        ("Finished", f"{record.finished_at:%Y-%m-%d %H:%M:%S} UTC"),
        ("Author", record.controller),
        ("Parent Document", record.parent or "none"),
        ("Related Reference", record.decision or "none"),
        ("Version", str(record.version)),
        ("Target", f"{record.target} (project {record.project})"),
        ("Commit", record.commit or "none"),
        ("Tag", record.tag),
        ("Release", record.release or "none"),
        ("Served before", record.from_release or "nothing"),
        ("Serves now", record.to_release or "nothing"),
    ]
    if record.superseded:
        rows.append(("Superseded before they ran", ", ".join(record.superseded)))
    if record.quarantined:
        rows.append(("Quarantined", record.quarantined))
    if record.closed_at:
        times = "once" if record.repairs == 1 else f"{record.repairs} times"
        rows.append(("Over", f"{record.closed_at:%Y-%m-%d %H:%M:%S} UTC, put back {times}"))
    if record.evidence:
        rows.append(("Evidence", f"{record.evidence} on the target"))
    return rows


def _telling(measurements: tuple[RecordedMeasurement, ...]) -> list[RecordedMeasurement]:
    """For people: what wasn't a pass, and the last of each gate; all of it is in the data."""
    last = {measurement.gate: measurement for measurement in measurements}
    chosen = [m for m in measurements if m.outcome != "pass" or last[m.gate] is m]
    return chosen[-_MOST_ROWS:]


def _row(measurement: RecordedMeasurement) -> str:
    cells = (f"{measurement.at:%H:%M:%S}", measurement.gate, measurement.outcome.value, measurement.seen)
    return "| " + " | ".join(_inline(cell).replace("|", "\\|") for cell in cells) + " |"


def _inline(text: str) -> str:
    return " ".join(text.split()).replace("`", "'")
