"""`housekeeping`: the sweep of temp/ and the watch over logs/. Off unless configured (P10's one exception)."""

import re
from pathlib import PurePosixPath
from typing import Annotated, Any, Self

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema, model_validator

from reconciler.model.base import Location, Model, refused, wrong
from reconciler.model.quantities import PositiveDuration, Size

SWEPT = PurePosixPath("temp")
"""The one writable area that is ever swept, relative to deploy_dir."""
WATCHED = PurePosixPath("logs")
"""The one whose size is watched; nothing in it is ever touched."""

_DAYS = re.compile(r"(\d{1,4}(?:\.\d{1,6})?)d", re.ASCII)


def _days_as_hours(value: Any) -> Any:
    days = _DAYS.fullmatch(value) if isinstance(value, str) else None
    return f"{float(days[1]) * 24:.6f}h" if days else value


def _above_zero(size: int) -> int:
    if size <= 0:
        raise wrong("more than 0B", "to keep nothing for long, use a short `max_age`")
    return size


Age = Annotated[
    PositiveDuration,
    BeforeValidator(_days_as_hours),
    WithJsonSchema({"type": "string", "pattern": r"^\d{1,9}(\.\d{1,9})?(ms|s|m|h|d)$"}),
]
"""A `PositiveDuration` (seconds) that may also be written in days: `7d`."""

_Limit = Annotated[Size, AfterValidator(_above_zero)]


class TempSweep(Model):
    """What goes from temp/: regular files, by their modification time."""

    max_age: Age | None = Field(
        None, description="Files that nobody wrote to for longer go (a duration; `7d` is seven days)."
    )
    max_size: _Limit | None = Field(
        None, description="Then the oldest go until all together have no more than this (a size)."
    )

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if self.max_age is None and self.max_size is None:
            raise refused("names neither `max_age` nor `max_size`", "add one, or leave `temp` out")
        return self


class LogsWatch(Model):
    """When the size of logs/ is worth a warning."""

    warn_size: _Limit = Field(description="Warn when the files in logs/ have more than this together (a size).")


class Housekeeping(Model):
    """The sweep of temp/ and the watch over logs/."""

    temp: TempSweep | None = Field(None, description="What is removed from temp/; left out: nothing, ever.")
    logs: LogsWatch | None = Field(None, description="When logs/ is too large; nothing in it is ever removed.")
    every: PositiveDuration = Field(
        24 * 3600.0, description="Time from one sweep to the next (a duration); each that removes leaves a record."
    )

    @property
    def is_on(self) -> bool:
        """Whether anything is configured."""
        return self.temp is not None or self.logs is not None

    def conflict(self, writable: tuple[PurePosixPath, ...]) -> tuple[str, str, Location] | None:
        """Why these writable areas don't allow it, what to do, and where in the section; None where they do."""
        if self.temp is None:
            return None
        if SWEPT not in writable:
            return (
                f"can't be swept: `{SWEPT}` isn't in `writable:`",
                f"add `{SWEPT}` there, or leave this out",
                ("temp",),
            )
        inner = next((area for area in writable if area != SWEPT and area.is_relative_to(SWEPT)), None)
        if inner is not None:
            what = f"would also sweep the writable area `{inner}`"
            return what, f"move `{inner}` out of `{SWEPT}`, or take it off `writable:`", ("temp",)
        return None
