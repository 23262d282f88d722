"""`env.template`: which keys there are, and by annotations in their comments what a value must be.

    # Seconds from one sample to the next.
    # @type number  @public
    CAPTURE_INTERVAL=1

An annotation line is a comment that begins with `@`; it belongs to the key that the block of comments ends at, with
no empty line between. One after the value (`KEY=1 # @type int`) works, too. docs/env.md lists them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import field

from reconciler.adapters.env.dotenv import DotenvError, Statement, statements
from reconciler.dataclass import dataclass
from reconciler.model.env_contract import RESERVED, TYPES, Contract, Declaration, Finding, Kind, is_placeholder
from reconciler.model.errors import EnvError

_COMMENT = re.compile(r"\s*#\s*(.*?)\s*")
_WORD = re.compile(r"@(\S*)\s*")
_FLAGS = ("secret", "public", "required", "optional")
_KNOWN = ("type", "enum", "pattern", *_FLAGS)
_EXCLUSIVE = (("secret", "public"), ("required", "optional"))
_LONGEST_PATTERN = 1000


@dataclass(slots=True)
class _Notes:
    """The annotations of one key, and the line of each."""

    arguments: dict[str, str] = field(default_factory=dict)
    lines: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Template:
    """A template as read: what it declares, its statements for the defaults, and what is wrong with it."""

    contract: Contract
    statements: tuple[Statement, ...]
    problems: tuple[Finding, ...]


def read_template(text: str, *, file: str) -> Template:
    """The whole template with everything that is wrong with it. Never raises."""
    return _Reader(text, file).read()


def contract_of(text: str, *, file: str) -> Template:
    """The template. Raises EnvError for the first thing that is wrong with it: `file:line: what; what to do`."""
    template = read_template(text, file=file)
    for problem in template.problems:
        remedy = f"; {problem.remedy}" if problem.remedy else ""
        raise EnvError(f"{problem.place}: {problem.what}{remedy}")
    return template


class _Reader:
    def __init__(self, text: str, file: str) -> None:
        self._file, self._text = file, text
        self._lines = text.removeprefix("\ufeff").split("\n")
        self._problems: list[Finding] = []

    def read(self) -> Template:
        found = list(statements(self._text, file=self._file, refuse=self._unreadable))
        inside = {line for each in found for line in range(each.line, max(each.line, each.last) + 1)}
        attached: set[int] = set()
        declarations: list[Declaration] = []
        for each in found:
            notes = _Notes()
            for line in self._block_above(each.line, inside):
                attached.add(line)
                self._take(notes, self._comment(line), line)
            self._take(notes, each.comment, max(each.line, each.last))
            declarations.append(self._declaration(each, notes))
        if not any(problem.kind is Kind.UNREADABLE for problem in self._problems):  # else it may be that line's
            self._stray(inside | attached)
        self._twice_or_reserved(found)
        self._problems.sort(key=lambda problem: problem.line)
        return Template(Contract(self._file, tuple(declarations)), tuple(found), tuple(self._problems))

    def _unreadable(self, error: DotenvError) -> None:
        self._problem(Kind.UNREADABLE, error.line, error.what, "", error.key)

    def _problem(self, kind: Kind, line: int, what: str, remedy: str, key: str | None = None) -> None:
        self._problems.append(Finding(kind, self._file, line, what, remedy, key))

    def _block_above(self, line: int, inside: set[int]) -> list[int]:
        first = line
        while first > 1 and first - 1 not in inside and self._lines[first - 2].lstrip().startswith("#"):
            first -= 1
        return list(range(first, line))

    def _comment(self, line: int) -> str:
        match = _COMMENT.fullmatch(self._lines[line - 1])
        return match[1] if match else ""

    def _take(self, notes: _Notes, comment: str, line: int) -> None:
        """Adds the annotations of one comment, if it is one of annotations."""
        for name, argument, wrong in _annotations(comment):
            if wrong is None and name in notes.lines:
                wrong = f"@{name} stands twice (first on line {notes.lines[name]})"
            if wrong is not None:
                self._problem(Kind.ANNOTATION, line, wrong, "docs/env.md lists the annotations")
                continue
            notes.arguments[name] = argument
            notes.lines[name] = line
        for one, other in _EXCLUSIVE:
            if one in notes.lines and other in notes.lines and line in (notes.lines[one], notes.lines[other]):
                what = f"@{one} and @{other} exclude each other"
                self._problem(Kind.ANNOTATION, line, what, "keep one of them")

    def _declaration(self, statement: Statement, notes: _Notes) -> Declaration:
        choices = tuple(notes.arguments["enum"].split("|")) if "enum" in notes.arguments else ()
        declaration = Declaration(
            key=statement.key,
            line=statement.line,
            is_required=_is_required(statement, notes),
            default=statement.text,
            type=notes.arguments.get("type", "str"),
            choices=choices,
            pattern=notes.arguments.get("pattern"),
            is_public="public" in notes.arguments,
            is_marked_secret="secret" in notes.arguments,
        )
        for choice in choices:
            if not TYPES[declaration.type][0].fullmatch(choice):
                what = f"{statement.key}: @enum has a choice that isn't {TYPES[declaration.type][1]}"
                self._problem(Kind.ANNOTATION, notes.lines["enum"], what, "correct @enum or @type", statement.key)
                break
        refers = "$" in statement.text and statement.quote != "'"
        wanted = None if not statement.text or refers or is_placeholder(statement.text) else declaration.wanted
        if wanted is not None and (words := wanted(statement.text)):
            what = f"{statement.key}: the default isn't what the annotations ask for: {words}"
            self._problem(Kind.ANNOTATION, statement.line, what, "correct one of them", statement.key)
        return declaration

    def _stray(self, taken: set[int]) -> None:
        for line in range(1, len(self._lines) + 1):
            if line not in taken and (found := _WORD.match(self._comment(line))):
                what = f"@{found[1]} belongs to no key: no key follows this block of comments directly"
                remedy = "put it on the lines above its key, with no empty line between"
                self._problem(Kind.ANNOTATION, line, what, remedy)

    def _twice_or_reserved(self, found: list[Statement]) -> None:
        first: dict[str, int] = {}
        for each in found:
            if each.key in RESERVED:
                self._problem(Kind.RESERVED, each.line, RESERVED[each.key], "remove the line", each.key)
            if each.key in first:
                what = f"{each.key} stands twice (first on line {first[each.key]})"
                self._problem(Kind.DUPLICATE, each.line, what, "keep one", each.key)
            first.setdefault(each.key, each.line)


def _annotations(comment: str) -> Iterator[tuple[str, str, str | None]]:
    """Each annotation of a comment: its name, its argument, and what is wrong with it."""
    position = 0
    while position < len(comment):
        word = _WORD.match(comment, position)
        if word is None:
            if position:
                yield "", "", f"`{comment[position:].split()[0]}` is neither an annotation nor the argument of one"
            return
        name, position = word[1], word.end()
        if name in _FLAGS:
            yield name, "", None
        elif name == "pattern":
            yield name, comment[position:], _wrong_pattern(comment[position:])
            return
        elif name in ("type", "enum"):
            argument = comment[position:].split(maxsplit=1)[:1]
            text = argument[0] if argument and not argument[0].startswith("@") else ""
            position += len(text)
            position += len(comment[position:]) - len(comment[position:].lstrip())
            yield name, text, _wrong_type(text) if name == "type" else _wrong_enum(text)
        else:
            yield name, "", f"@{name} isn't an annotation; there are {', '.join(f'@{each}' for each in _KNOWN)}"


def _wrong_type(text: str) -> str | None:
    return None if text in TYPES else f"@type should be {', '.join(TYPES)}, not `{text}`"


def _wrong_enum(text: str) -> str | None:
    return None if text and all(text.split("|")) else "@enum should be choices such as debug|info, without blanks"


def _wrong_pattern(text: str) -> str | None:
    if not text or len(text) > _LONGEST_PATTERN:
        return "@pattern should be followed by a regular expression, to the end of the line"
    try:
        re.compile(text)
    except (re.error, RecursionError, OverflowError) as error:
        return f"@pattern isn't a regular expression: {error}"
    return None


def _is_required(statement: Statement, notes: _Notes) -> bool:
    if "optional" in notes.arguments:
        return False
    if "required" in notes.arguments or not statement.assigned or (not statement.text and not statement.quote):
        return True
    return statement.comment.lower().startswith("required") or is_placeholder(statement.text)
