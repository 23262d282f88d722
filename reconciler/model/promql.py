"""As much of PromQL's grammar as a gate needs: variables, and how far back a query looks. Source: prometheus.io.

Pure text work, no parser: what a query means stays Prometheus' business, and its own message says what is wrong in one.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from itertools import pairwise

from reconciler.dataclass import dataclass

VARIABLES = ("app", "target", "tag", "since")
"""What a query may use as `$name`."""

_VARIABLE = re.compile(r"\$(?:\$|\{|([A-Za-z_]\w*))", re.ASCII)
_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "w": 7 * 86400.0, "y": 365 * 86400.0}
_DURATION = re.compile(r"(\d+)(ms|[smhdwy])", re.ASCII)
_TOKEN = re.compile(
    r"""(?P<blank>\s+|\#[^\n]*)
    |(?P<quoted>"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|`[^`]*`)
    |(?P<number>0[xX][0-9a-fA-F]+|(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?(?:[a-z]+\d*)*)
    |(?P<word>[A-Za-z_:$][\w:$]*)
    |(?P<sign>.)""",
    re.ASCII | re.VERBOSE | re.DOTALL,
)
_LABEL_LISTS = frozenset({"by", "without", "on", "ignoring", "group_left", "group_right"})
_WORDS = frozenset({"and", "or", "unless", "atan2", "bool", "offset", "inf", "nan", "start", "end"}) | _LABEL_LISTS


@dataclass(frozen=True, slots=True)
class _Token:
    kind: str
    text: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Selector:
    """A series selector in a query: its text, and whether a range follows (`x[5m]`), which bounds what it sees."""

    text: str
    ranged: bool


def unknown_variable(query: str) -> str | None:
    """The first `$name` that isn't one of ours, as it is written; None where all are known."""
    for found in _VARIABLE.finditer(query):
        if found[0] != "$$" and found[1] not in VARIABLES:
            return found[0]
    return None


def expanded(query: str, values: Mapping[str, str]) -> str:
    """`query` with every `$name` replaced and `$$` as `$`. Any other `$` (the end of a regular expression) stays.

    The values are escaped for a string in double or single quotes.
    """

    def value(found: re.Match[str]) -> str:
        if found[0] == "$$":
            return "$"
        text = values[found[1]].replace("\\", "\\\\").replace('"', '\\"').replace("'", "\\'")
        return text.replace("\n", "\\n")

    return _VARIABLE.sub(value, query)


def since_text(seconds: float) -> str:
    """A PromQL duration of at most `seconds`: rounded down, as a range must not begin before it should."""
    return f"{max(1, int(seconds * 1000))}ms"


def reach(query: str) -> float:
    """How far back a query looks for sure, in seconds: its written-out ranges and offsets.

    Ranges of subqueries add up (`max_over_time(rate(x[5m])[1h:1m])`); without one, the longest counts. `$since` counts
    nothing: it begins at the switch.
    """
    tokens = _tokens(query)
    ranges, offsets, nested = [0.0], [0.0], False
    for place, token in enumerate(tokens):
        if token.text == "[":
            inside = _until(tokens, place, "]")
            ranges.append(_seconds(inside[0].text) if inside else 0.0)
            nested |= any(":" in each.text for each in inside)
        if token.kind == "word" and token.text.lower() == "offset" and place + 1 < len(tokens):
            offsets.append(_seconds(tokens[place + 1].text))
    return (sum(ranges) if nested else max(ranges)) + (sum(offsets) if nested else max(offsets))


def fixed_moment(query: str) -> bool:
    """Whether a query reads samples of one fixed moment (`x @ 1609746000`): never those of the new release."""
    tokens = _tokens(query)
    return any(token.text == "@" and after.kind == "number" for token, after in pairwise(tokens))


def selectors(query: str) -> tuple[Selector, ...]:
    """The series selectors of an expanded query, each text once, in order."""
    found: dict[str, Selector] = {}
    tokens = _tokens(query)
    place = 0
    while place < len(tokens):
        token = tokens[place]
        if token.kind == "word" and token.text.lower() in _LABEL_LISTS and _text(tokens, place + 1) == "(":
            place += len(_until(tokens, place + 1, ")")) + 3
            continue
        named = token.kind == "word" and _names_a_series(tokens, place)
        if not named and token.text != "{":
            place += len(_until(tokens, place, "]")) + 2 if token.text == "[" else 1
            continue
        last = place
        if named and _text(tokens, place + 1) == "{":
            last = place + 1
        if tokens[last].text == "{":
            last += len(_until(tokens, last, "}")) + 1
        after = _until(tokens, last + 1, "]") if _text(tokens, last + 1) == "[" else []
        # A range with a step is a subquery: at each of its steps the selector looks back on its own.
        ranged = bool(after) and not any(":" in each.text for each in after)
        text = query[token.start : tokens[min(last, len(tokens) - 1)].end]
        known = found.get(text)
        found[text] = Selector(text, ranged and (known is None or known.ranged))
        place = last + 1
    return tuple(found.values())


def _names_a_series(tokens: list[_Token], place: int) -> bool:
    word, after = tokens[place].text, _text(tokens, place + 1)
    if word.lower() in _WORDS or after == "(":
        return False  # an operator, a function, an aggregation
    return after.lower() not in {"by", "without"}


def _tokens(query: str) -> list[_Token]:
    return list(_scan(query))


def _scan(query: str) -> Iterator[_Token]:
    for found in _TOKEN.finditer(query):
        if found.lastgroup is not None and found.lastgroup != "blank":
            yield _Token(found.lastgroup, found[0], found.start(), found.end())


def _text(tokens: list[_Token], place: int) -> str:
    return tokens[place].text if place < len(tokens) else ""


def _until(tokens: list[_Token], opening: int, closing: str) -> list[_Token]:
    """What stands between the bracket at `opening` and the next `closing`."""
    inside = []
    for token in tokens[opening + 1 :]:
        if token.text == closing:
            break
        inside.append(token)
    return inside


def _seconds(text: str) -> float:
    written = text.partition(":")[0]
    parts = _DURATION.findall(written)
    if parts and "".join(number + unit for number, unit in parts) == written:
        return sum(int(number) * _UNITS[unit] for number, unit in parts)
    try:
        return float(written)  # since Prometheus 3 a number of seconds is a duration, too
    except ValueError:
        return 0.0
