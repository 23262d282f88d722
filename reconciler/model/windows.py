"""`windows`: when a release may be switched to."""

import re
from typing import Annotated, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema

from reconciler.model.base import Model, as_written, refused, wrong
from reconciler.model.quantities import PositiveDuration
from reconciler.model.text import Line

_FIELDS = 5


def _cron(value: str) -> str:
    fields = value.split()
    if len(fields) != _FIELDS:
        raise wrong("five fields: minute, hour, day, month, day of the week", "such as `0 8 * * mon-fri`")
    if re.search(r"\d", fields[-1]):
        hint = "write `sun`, `mon` and so on: 0 is Sunday to some programs and Monday to others"
        raise refused("has a day of the week as a number", hint)
    return " ".join(fields).lower()


def _zone(value: str) -> str:
    try:
        ZoneInfo(value)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise wrong("a time zone that this machine knows", "such as `UTC` or `Europe/Berlin`") from None
    return value


class Window(Model):
    """A time that comes again and again: it begins when the clock matches `cron`, and lasts for `duration`."""

    kind: Literal["allow", "deny"] = Field(
        description="`allow`: with one such, releases are switched to only within them; `deny`: never within it."
    )
    cron: Annotated[
        str, BeforeValidator(as_written), AfterValidator(_cron), WithJsonSchema({"type": "string", "minLength": 9})
    ] = Field(description="When it begins: minute, hour, day, month, day of the week (by name).")
    duration: PositiveDuration = Field(description="How long it lasts (a duration).")
    timezone: Annotated[Line, AfterValidator(_zone)] = Field("UTC", description="The time zone of `cron`.")
