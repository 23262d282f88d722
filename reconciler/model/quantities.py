"""Quantities in deploy.yaml: durations (seconds), sizes (bytes), percentages, and the tag that is a date."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, PlainSerializer, WithJsonSchema

from reconciler.model.base import as_written, wrong

_DURATION = re.compile(r"(\d{1,9}(?:\.\d{1,9})?)(ms|s|m|h)", re.ASCII)
DURATION_PATTERN = r"^\d{1,9}(\.\d{1,9})?(ms|s|m|h)$"
"""Of the JSON Schema."""
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}
_LONGEST = 366 * 24 * 3600.0
_SIZE = re.compile(r"(\d{1,9}(?:\.\d{1,9})?)(B|KiB|MiB|GiB|TiB)", re.ASCII)
_BYTES = {"B": 1, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30, "TiB": 2**40}
_PERCENT = re.compile(r"(\d{1,3}(?:\.\d{1,9})?)%?", re.ASCII)
_TAG = re.compile(r"\d{8}_\d{6}", re.ASCII)


def _seconds(value: Any) -> float:
    parts = _DURATION.fullmatch(value) if isinstance(value, str) else None
    if parts is None:
        raise wrong("a duration with its unit", "such as `500ms`, `30s`, `10m` or `24h`")
    seconds = float(parts[1]) * _SECONDS[parts[2]]
    if seconds > _LONGEST:
        raise wrong("at most a year", "8784h is the longest duration")
    return seconds


def duration_text(seconds: float) -> str:
    """Seconds as deploy.yaml writes them."""
    for unit in ("h", "m", "s"):
        if seconds and seconds % _SECONDS[unit] == 0:
            return f"{seconds / _SECONDS[unit]:.0f}{unit}"
    return "0s" if not seconds else f"{seconds * 1000:.6f}".rstrip("0").rstrip(".") + "ms"


def _positive(seconds: float) -> float:
    if seconds <= 0:
        raise wrong("longer than 0s")
    return seconds


def _bytes(value: Any) -> int:
    parts = _SIZE.fullmatch(value) if isinstance(value, str) else None
    if parts is None:
        raise wrong("a size with its unit", "such as `512KiB`, `64MiB` or `2GiB`")
    return int(float(parts[1]) * _BYTES[parts[2]])


def _percent(value: Any) -> float:
    parts = _PERCENT.fullmatch(written) if isinstance(written := as_written(value), str) else None
    if parts:
        percent = float(parts[1])
    elif isinstance(value, int | float) and not isinstance(value, bool):
        percent = float(value)
    else:
        percent = -1.0
    if not 0 <= percent <= 100:
        raise wrong("a percentage from 0 to 100", "such as `80` or `80%`")
    return percent


def _tag(value: str) -> str:
    hint = "form: YYYYMMDD_HHMMSS, such as `20260122_101500`"
    if not _TAG.fullmatch(value):
        raise wrong("a tag", hint)
    try:
        datetime.strptime(value, "%Y%m%d_%H%M%S")  # noqa: DTZ007 (only asked whether it is a date)
    except ValueError:
        raise wrong("a tag with a real date and time", hint) from None
    return value


Duration = Annotated[
    float,
    BeforeValidator(_seconds),
    PlainSerializer(duration_text, return_type=str, when_used="json"),
    WithJsonSchema({"type": "string", "pattern": DURATION_PATTERN}),
]
"""Seconds, at most a year; written with a unit: `500ms`, `30s`, `10m`, `24h`."""

PositiveDuration = Annotated[Duration, AfterValidator(_positive)]
"""A `Duration` (seconds) above zero."""

Size = Annotated[
    int,
    BeforeValidator(_bytes),
    WithJsonSchema({"type": "string", "pattern": r"^\d{1,9}(\.\d{1,9})?(B|KiB|MiB|GiB|TiB)$"}),
]
"""Bytes; written with a binary unit: `64MiB`."""

Percent = Annotated[
    float,
    BeforeValidator(_percent),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "number", "minimum": 0, "maximum": 100},
                {"type": "string", "pattern": r"^\d{1,3}(\.\d{1,9})?%?$"},
            ]
        }
    ),
]
"""Percent, 0 to 100; written `80` or `80%`."""

Tag = Annotated[
    str,
    BeforeValidator(as_written),
    AfterValidator(_tag),
    WithJsonSchema({"type": "string", "pattern": r"^\d{8}_\d{6}$"}),
]
"""A release's tag: YYYYMMDD_HHMMSS, a real date and time, quoted or not."""
