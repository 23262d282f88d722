"""How an error about deploy.yaml reads: one line, short, without control characters, and without secrets."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping
from typing import Any

from reconciler.model.base import REFUSED, WRONG, Location, as_written

_SECRET_KEY = re.compile(r"pass|secret|token|credential", re.IGNORECASE)
_LONGEST = 240
_LOGIN_IN_URL = re.compile(r"//[^/\s]*@")

_EXPECTED: Mapping[str, tuple[str, str | None]] = {
    "model_type": ("a mapping", None),
    "dict_type": ("a mapping", None),
    "tuple_type": ("a list", "write `[a, b]`, or one `- a` on each line"),
    "string_type": ("text", None),
    "bool_type": ("true or false", "YAML's `yes`, `no`, `on` and `off` are text here"),
    "int_type": ("a whole number", "without quotes, underscores or leading zeros"),
    "float_type": ("a number", None),
    "finite_number": ("a finite number", None),
}
"""Pydantic's error types that the models can raise, in the words of people."""

_LIMITS = {"greater_than_equal": ("at least", "ge"), "less_than_equal": ("at most", "le")}


_MISSING_HINTS: Mapping[Location, str] = {
    ("apiVersion",): "add `apiVersion: reconciler/v1`",
    ("app",): "add `app: <the Compose project's name>`",
    ("tag",): "add `tag: YYYYMMDD_HHMMSS`",
    ("compose",): "add `compose: <path of the Compose file>`",
    ("targets",): "add one target with `host` and `deploy_dir`",
}


def clip(text: str, longest: int = 60) -> str:
    """`text` on one line, without control characters, at most `longest` characters."""
    short = text if len(text) <= longest else text[: longest - 1] + "…"
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in short)


def show_path(location: Location) -> str:
    """A location as people write it: `gates.http[0].url`."""
    shown = ""
    for part in location:
        if isinstance(part, int):
            shown += f"[{part}]"
        else:
            shown += f".{clip(part)}" if shown else clip(part)
    return shown


def show_value(value: Any, location: Location) -> str:
    """A value as the file has it, clipped; only its kind where it may be a secret."""
    value = as_written(value)
    match value:
        case None:
            return "empty"
        case bool():
            return "true" if value else "false"
        case dict():
            return "a mapping"
        case list() | tuple():
            return "a list"
    text = str(value)
    secret = any(isinstance(part, str) and _SECRET_KEY.search(part) for part in location)
    return "this text" if secret or _LOGIN_IN_URL.search(text) else f'"{clip(text)}"'


def closest(word: str, known: Iterable[str]) -> str | None:
    """The known word that `word` is most likely meant to be."""
    return next(iter(difflib.get_close_matches(word[:60], list(known), n=1, cutoff=0.55)), None)


def reword(error: Mapping[str, Any]) -> tuple[str, str | None]:
    """One of pydantic's errors (not an unknown key) as what and hint, each on one line."""
    what, hint = _words(error)
    return clip(what, _LONGEST), hint and clip(hint, _LONGEST)


def _words(error: Mapping[str, Any]) -> tuple[str, str | None]:
    kind, location, context = error["type"], error["loc"], error.get("ctx", {})
    shown = show_value(error["input"], location)
    match kind:
        case "missing":
            return "is required", _MISSING_HINTS.get(location)
        case k if k == REFUSED:
            return context["what"], context["hint"]
        case k if k == WRONG:
            return f"should be {context['expected']}, not {shown}", context["hint"]
        case "literal_error" | "enum":
            return f"should be {context['expected'].replace(chr(39), '`')}, not {shown}", None
        case "too_short":
            return "is empty", "it needs at least one entry"
    if kind in _LIMITS:
        words, key = _LIMITS[kind]
        return f"should be {words} {context[key]}, not {shown}", None
    expected, hint = _EXPECTED.get(kind, ("of another form", None))
    return f"should be {expected}, not {shown}", hint
