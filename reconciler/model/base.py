"""What every section of deploy.yaml is made of: the frozen strict model, and how a value is refused."""

from __future__ import annotations

from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Strict
from pydantic_core import PydanticCustomError

T = TypeVar("T")
Location = tuple[str | int, ...]
"""Where a value stands in deploy.yaml: keys and list positions from the root on."""

WRONG = "wrong"
"""Error type: the value has the wrong form; `expected` says the right one, and the value may be shown."""
REFUSED = "refused"
"""Error type: the value can't be accepted; `what` says why and is the whole text."""


class Model(BaseModel):
    """A section of deploy.yaml: unknown keys and implicit conversions are errors, and nothing changes afterwards."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, strict=True, defer_build=True, allow_inf_nan=False, hide_input_in_errors=True
    )


class WrittenInt(int):
    """A whole number that still knows its text, for the fields that are text (`user: 1000`)."""

    written: str

    def __new__(cls, text: str) -> WrittenInt:
        number = super().__new__(cls, text)
        number.written = text
        return number


class WrittenFloat(float):
    """A decimal number that still knows its text (`3.10` is not `3.1` where it is a version)."""

    written: str

    def __new__(cls, text: str) -> WrittenFloat:
        number = super().__new__(cls, text)
        number.written = text
        return number


def as_written(value: Any) -> Any:
    """A number becomes the text that it was written as; everything else stays as it is."""
    return value.written if isinstance(value, WrittenInt | WrittenFloat) else value


def wrong(expected: str, hint: str | None = None) -> PydanticCustomError:
    """An error that reads `should be <expected>, not <the value>; <hint>`."""
    return PydanticCustomError(WRONG, "should be {expected}", {"expected": expected, "hint": hint})


def refused(what: str, hint: str | None = None, at: Location = ()) -> PydanticCustomError:
    """An error that reads `<what>; <hint>`. `at` leads from the validated section to the value that is meant."""
    return PydanticCustomError(REFUSED, "{what}", {"what": what, "hint": hint, "at": at})


def _one_as_list(value: Any) -> Any:
    return value if isinstance(value, list | tuple | dict) or value is None else [value]


Listing = Annotated[tuple[T, ...], Strict(False)]
"""A YAML list; kept as a tuple. Its items stay strict."""

OneOrMany = Annotated[tuple[T, ...], Strict(False), BeforeValidator(_one_as_list, json_schema_input_type=T | list[T])]
"""One value, or a list of them; kept as a tuple."""
