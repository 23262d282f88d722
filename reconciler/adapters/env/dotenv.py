"""Dotenv files, read as Compose reads them (compose-go's `dotenv` package, unchanged from v2.0.2 to v2.13).

Where Compose takes something that nobody means, this refuses it with file and line instead:

| text | Compose | here |
|---|---|---|
| `KEY` without `=` | the shell's value, or nothing | refused |
| `KEY= # note` | the value is `# note` | refused |
| `KEY='a' more`, `KEY='a'B=1` | another statement | refused |
| white space inside a key, an empty key | a key that no shell can name | refused |
| `$NAME` of a variable that isn't set | a warning and an empty string | refused |
| `$NAME` that the shell sets | the shell's value | the file's value |
| a NUL (also by `\\0000`) | cut off somewhere later | refused |

`${LATER}` used before its line is the empty string by `--env-file` and the later value by `env_file:`; it is refused
as not set, so the two ways agree on everything that is read here.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterator, Mapping
from dataclasses import field, replace

from pydantic import SecretStr

from reconciler.adapters.env.interpolate import Refused, interpolate
from reconciler.dataclass import dataclass
from reconciler.model.env import EnvEntry
from reconciler.model.errors import EnvError

_BLANKS = "\t\v\f\r \x85\xa0"  # compose-go's isSpace: white space within a line
_WIDE = "\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u2028\u2029\u202f\u205f\u3000"
_SPACES = _BLANKS + "\n" + _WIDE  # Go's unicode.IsSpace
_EXPORT = re.compile(r"export[\t\n\f\r ]+")
_QUOTED = {quote: re.compile(rf"{quote}([^{quote}\\]*+(?:\\.[^{quote}\\]*+)*+){quote}", re.DOTALL) for quote in "'\""}
_PAIR = re.compile(r"\\(.)", re.DOTALL)
_ESCAPE = re.compile(r'\\(?:[abcfnrtv$"\\]|0[0-9]{0,3})')
_ESCAPED = {
    "a": "\a",
    "b": "\b",
    "f": "\f",
    "n": "\n",
    "r": "\r",
    "t": "\t",
    "v": "\v",
    "\\": "\\",
    '"': '"',
    "$": "$$",
}


MOST_UNREADABLE = 50
"""Statements that can't be read, after which the rest of a file isn't looked at."""


class DotenvError(EnvError):
    """A statement that can't be read: `file:line: what`. Never has a value."""

    def __init__(self, file: str, line: int, what: str, *, key: str | None = None) -> None:
        self.line, self.what, self.key = line, what, key
        super().__init__(f"{file}:{line}: {what}")


@dataclass(frozen=True, slots=True)
class Statement:
    """One `KEY=…` as written. `text` is the value before interpolation, `quote` is `'`, `"` or empty.

    `assigned` is False for a bare `KEY`; `comment` is what stands after the value's `#`. `line` is its first line,
    `last` the one that it ends in.
    """

    key: str
    line: int
    text: str = field(default="", repr=False)
    quote: str = ""
    assigned: bool = True
    comment: str = field(default="", repr=False)
    last: int = 0


def parse_dotenv(text: str, *, file: str) -> tuple[EnvEntry, ...]:
    """The entries of a dotenv file, in its order; of a key that stands twice the last counts, as with Compose.

    `file` is for messages. Raises DotenvError (`file:line: what`, never with a value).
    """
    return _entries(text, file, _raise)


def read_dotenv(text: str, *, file: str) -> tuple[tuple[EnvEntry, ...], tuple[DotenvError, ...]]:
    """The same, and goes on after what can't be read: the entries, and why others are none."""
    errors: list[DotenvError] = []
    return _entries(text, file, errors.append), tuple(errors)


def _entries(text: str, file: str, refuse: Callable[[DotenvError], None]) -> tuple[EnvEntry, ...]:
    entries: list[EnvEntry] = []
    known: dict[str, str] = {}
    for statement in statements(text, file=file, refuse=refuse):
        if not statement.assigned:
            # What stands there may be the second line of a value that lacks its quotes.
            what = "a line without `=` has no value; write KEY=…, and a value of several lines in quotes"
            refuse(DotenvError(file, statement.line, f"{what} (values are not taken from the shell)"))
            continue
        if not statement.text and statement.comment and not statement.quote:
            what = (
                f"{statement.key}: Compose would take the comment after `=` for the value; "
                "put the comment on its own line, or the value in quotes"
            )
            refuse(DotenvError(file, statement.line, what, key=statement.key))
            continue
        try:
            value = resolve(statement, known, file=file)
        except DotenvError as error:
            refuse(error)
            continue
        known[statement.key] = value
        entries.append(EnvEntry(key=statement.key, value=SecretStr(value), line=statement.line))
    return tuple(entries)


def _raise(error: DotenvError) -> None:
    raise error from None


def resolve(statement: Statement, known: Mapping[str, str], *, file: str) -> str:
    """The value of a statement where the keys of `known` are set. Raises DotenvError."""
    if statement.quote == "'":
        return statement.text
    text = interpolated(statement)
    if "\0" in text:
        raise DotenvError(file, statement.line, f"{statement.key}: a value can't hold a NUL", key=statement.key)
    try:
        return interpolate(text, known)
    except Refused as error:
        raise DotenvError(file, statement.line, f"{statement.key}: {error}", key=statement.key) from None


def interpolated(statement: Statement) -> str:
    """The text of a value in which Compose replaces variables; empty where single quotes keep it as it is."""
    if statement.quote == "'":
        return ""
    return _ESCAPE.sub(_unescape, statement.text) if statement.quote else statement.text


def statements(text: str, *, file: str, refuse: Callable[[DotenvError], None] = _raise) -> Iterator[Statement]:
    """The statements of a dotenv file or template as written.

    `refuse` gets what can't be read; where it returns, reading goes on with the next line. By default it raises.
    """
    text = text.removeprefix("\ufeff")
    if "\0" in text:
        refuse(DotenvError(file, text.count("\n", 0, text.index("\0")) + 1, "holds a NUL; it is not a text file"))
        return
    position, line, counted, refused = 0, 1, 0, 0
    while refused < MOST_UNREADABLE and (position := _statement_start(text, position)) < len(text):
        line += text.count("\n", counted, position)
        counted = position
        try:
            statement, position = _statement(text, position, line=line, file=file)
        except DotenvError as error:
            refuse(error)
            refused += 1
            position = _line_end(text, position)
            continue
        yield replace(statement, last=line + text.count("\n", counted, position - 1))


def _statement_start(text: str, position: int) -> int:
    while True:
        while position < len(text) and text[position] in _SPACES:
            position += 1
        if not text.startswith("#", position):
            return position
        position = _line_end(text, position)


def _statement(text: str, position: int, *, line: int, file: str) -> tuple[Statement, int]:
    key, sign, position = _key(text, position, line=line, file=file)
    if sign not in ("=", ":"):
        return Statement(key=key, line=line, assigned=False), position
    start = _skip_blanks(text, position)
    end = _line_end(text, start)
    if not text.startswith(("'", '"'), start):
        written = text[start:end]
        if written.startswith("#") and start > position:
            return Statement(key=key, line=line, comment=written[1:].strip() or "#"), end
        value, _, comment = written.partition(" #")
        return Statement(key=key, line=line, text=value.rstrip(_SPACES), comment=comment.strip()), end
    quote = text[start]
    match = _QUOTED[quote].match(text, start)
    if match is None:
        raise DotenvError(file, line, f"{key}: the value's opening {quote} is never closed", key=key)
    end = _line_end(text, match.end())
    rest = text[match.end() : end].strip(_SPACES)
    if rest and not rest.startswith("#"):
        raise DotenvError(file, line, f"{key}: text after the closing {quote}; quote the whole value", key=key)
    value = _PAIR.sub(lambda pair: pair[1] if pair[1] == quote else pair[0], match[1])
    return Statement(key=key, line=line, text=value, quote=quote, comment=rest[1:].strip()), end


def _key(text: str, position: int, *, line: int, file: str) -> tuple[str, str, int]:
    """The key, the sign after it (`=` or `:`; a newline or nothing for a bare key), and where its value starts."""
    if match := _EXPORT.match(text, position):
        if "\n" in match.group():
            raise DotenvError(file, line, "`export` without a key")
        position = _skip_blanks(text, match.end())
    end = position
    while end < len(text) and text[end] not in "=:\n":
        if not (text[end] in _BLANKS or text[end] in "_.-[]" or unicodedata.category(text[end])[0] in "LN"):
            raise DotenvError(file, line, "not KEY=value: a key holds letters, digits and `_ . - [ ]`")
        end += 1
    key = text[position:end].strip(_SPACES)
    if not key:
        raise DotenvError(file, line, "not KEY=value: there is no key")
    if any(character in _BLANKS for character in key):
        raise DotenvError(file, line, "not KEY=value: white space inside the key")
    return key, text[end : end + 1], end + 1


def _line_end(text: str, position: int) -> int:
    end = text.find("\n", position)
    return len(text) if end < 0 else end


def _skip_blanks(text: str, position: int) -> int:
    while position < len(text) and text[position] in _BLANKS:
        position += 1
    return position


def _unescape(match: re.Match[str]) -> str:
    escape = match.group()[1:]
    if not escape.startswith("0"):
        return _ESCAPED.get(escape, match.group())
    digits = escape[1:]  # compose-go drops the 0 and asks Go, which wants three octal digits up to 255
    if len(digits) == 3 and all(digit in "01234567" for digit in digits) and int(digits, 8) <= 255:
        return chr(int(digits, 8))
    return "\\" + digits
