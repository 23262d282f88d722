"""`$NAME` and `${NAME:-default}` in dotenv values, as compose-go's `template` package reads them (v2.0.2 to v2.13).

Two things are stricter, so that nothing happens in silence: a variable that is not set is refused where Compose warns
and takes the empty string (a password with a `$` loses its end that way), and the shell's environment is not asked: a
value must not depend on who deploys.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

_NAME = "[_a-zA-Z\u017f\u212a][_a-zA-Z0-9\u017f\u212a]*"  # Go's (?i:[_a-z]…) folds these two letters in, too
_REFERENCE = re.compile(
    rf"\$(?:(?P<escaped>\$)|(?P<named>{_NAME})|\{{(?:(?P<braced>{_NAME}(?::?[-+?].*)?)\}}|(?P<invalid>)))"
)
_OPERATION = re.compile(rf"(?P<name>{_NAME})(?P<operator>:?[-+?])(?P<operand>.*)")
_DEEPEST = 20  # nested defaults; nobody writes four
_MOST = 1000  # references in one value; each may look at the rest of its line

_QUOTE_IT = "if the `$` is meant as it stands, put the value in single quotes"


class Refused(Exception):
    """A value can't be interpolated. The text says why and what to do, without any part of the value."""


def interpolate(value: str, known: Mapping[str, str], *, depth: int = 0) -> str:
    """`value` with its references replaced from `known`. Raises Refused."""
    if "$" not in value:
        return value
    if depth > _DEEPEST:
        raise Refused(f"defaults are nested deeper than {_DEEPEST}; {_QUOTE_IT}")
    parts: list[str] = []
    position = 0
    for _ in range(_MOST):
        match = _REFERENCE.search(value, position)
        if match is None:
            return "".join([*parts, value[position:]])
        replacement, length = _replace(match.group(), known, depth)
        parts += [value[position : match.start()], replacement]
        position = match.start() + length
    raise Refused(f"more than {_MOST} references in one value; {_QUOTE_IT}")


def references(text: str, *, depth: int = 0) -> Iterator[tuple[str, str]]:
    """Each variable that `text` refers to, with its operator (`:-`, `-`, `:?`, `?`, `:+`, `+`, or empty).

    Those in a default or an alternative are among them: Compose replaces them before it chooses. Raises Refused for
    what `interpolate` can't read either.
    """
    if depth > _DEEPEST:
        raise Refused(f"defaults are nested deeper than {_DEEPEST}")
    position = 0
    while (match := _REFERENCE.search(text, position)) is not None:
        whole = match.group()
        closing = _first_closing_brace(whole)
        whole = whole[: closing + 1] if closing >= 0 else whole
        position = match.start() + len(whole)
        match = _REFERENCE.match(whole)
        if match is None or match["invalid"] is not None:
            raise Refused("`${` is not closed or names no variable")
        if match["escaped"]:
            continue
        operation = _OPERATION.fullmatch(match["braced"] or "")
        if operation is None:
            yield match["named"] or match["braced"], ""
            continue
        yield operation["name"], operation["operator"]
        if not operation["operator"].endswith("?"):
            yield from references(operation["operand"], depth=depth + 1)


def _replace(text: str, known: Mapping[str, str], depth: int) -> tuple[str, int]:
    """The replacement of the reference that `text` starts with, and how much of `text` it stands for."""
    closing = _first_closing_brace(text)
    if closing >= 0:
        text = text[: closing + 1]
    match = _REFERENCE.match(text)
    if match is None or match["invalid"] is not None:
        raise Refused(f"`${{` is not closed or names no variable; {_QUOTE_IT}")
    if match["escaped"]:
        return "$", len(text)
    operation = _OPERATION.fullmatch(match["braced"] or "")
    if operation is None:
        name = match["named"] or match["braced"]
        if name not in known:
            raise Refused(f"refers with `$` to a variable that no earlier line sets; {_QUOTE_IT}")
        return known[name], len(text)
    return _operate(operation["name"], operation["operator"], operation["operand"], known, depth), len(text)


def _operate(name: str, operator: str, operand: str, known: Mapping[str, str], depth: int) -> str:
    value = known.get(name)
    holds = value is not None and (bool(value) or not operator.startswith(":"))
    if operator.endswith("?"):
        if not holds:
            raise Refused("requires with `?` a variable that no earlier line sets")
        return value or ""
    alternative = interpolate(operand, known, depth=depth + 1)  # before the choice, as Compose up to 2.29 does
    if operator.endswith("+"):
        return alternative if holds else value or ""
    return value or "" if holds else alternative


def _first_closing_brace(text: str) -> int:
    """compose-go's getFirstBraceClosingIndex: it skips the character after each opening brace; -1 for none."""
    opened = 0
    position = 0
    while position < len(text):
        if text[position] == "}":
            opened -= 1
            if opened == 0:
                return position
        elif text[position] == "{":
            opened += 1
            position += 1
        position += 1
    return -1
