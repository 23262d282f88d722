"""The owner of PyYAML: bytes to plain values that know their lines, without YAML's surprises.

Only `true`, `false`, `null`, whole and decimal numbers (YAML 1.2 core) get a type; everything else is text as it was
written. Values are built from the parser's events with a stack of our own, so that no file is deep enough to recurse.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from reconciler.adapters.desired.files import ABSENT, Unreadable, read_regular
from reconciler.adapters.desired.wording import clip, show_path
from reconciler.dataclass import dataclass
from reconciler.model.base import Location, WrittenFloat, WrittenInt
from reconciler.model.errors import DesiredStateError

LARGEST_FILE = 2**20
"""Bytes."""
DEEPEST = 20
"""Levels of nesting; deploy.yaml needs six."""
MOST_NODES = 10_000
"""Values in a document once its aliases are written out."""

_Parser: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

_INT = re.compile(r"[-+]?(?:0|[1-9][0-9]{0,29})")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]{1,30}|(?:0|[1-9][0-9]{0,29})(?:\.[0-9]{0,30})?)(?:[eE][-+]?[0-9]{1,2})?")
_WORDS: dict[str, bool | None] = {"": None, "~": None, "null": None, "Null": None, "NULL": None}
_WORDS |= {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
_OFTEN_THE_INDENT = {"mapping values are not allowed in this context", "did not find expected key"}
"""Problems as libyaml words them."""
_UNPRINTABLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff\ufffe\uffff]")


@dataclass(frozen=True, slots=True)
class Document:
    """A YAML mapping as plain values, and the line (from 1) of each value's location."""

    data: dict[str, Any]
    lines: Mapping[Location, int]

    def line_of(self, location: Location) -> int:
        """The line of the value at `location`, or of the nearest thing around it that the file has."""
        while location and location not in self.lines:
            location = location[:-1]
        return self.lines[location]


def read_yaml(path: Path) -> Document:
    """The document in the file `path`. Raises DesiredStateError, with the line where there is one."""
    try:
        content = read_regular(path, LARGEST_FILE)
    except Unreadable as error:
        hint = "go to the directory that has it, or name it: `-f FILE`" if error.what == ABSENT else None
        raise DesiredStateError(error.what, file=str(path), hint=error.hint or hint) from None
    return parse_yaml(content, str(path))


def parse_yaml(content: bytes, file: str) -> Document:
    """The document in `content`; `file` is its name in messages. Raises DesiredStateError, with the line."""
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        byte = f"byte 0x{content[error.start]:02X}"
        raise DesiredStateError(f"isn't UTF-8 text ({byte})", file=file, line=line, hint="save it as UTF-8") from None
    if found := _UNPRINTABLE.search(text):
        line = text.count("\n", 0, found.start()) + 1
        raise DesiredStateError(f"holds the character U+{ord(found[0]):04X}", file=file, line=line)
    builder = _Builder(file)
    try:
        for event in _events(text):
            builder.take(event)
    except yaml.YAMLError as error:
        raise _syntax_error(error, text, file) from None
    return builder.document()


def _syntax_error(error: yaml.YAMLError, text: str, file: str) -> DesiredStateError:
    what = getattr(error, "problem", None) or getattr(error, "reason", None) or "not understood"
    mark = getattr(error, "problem_mark", None)
    if mark is None:
        return DesiredStateError(f"isn't valid YAML: {what}", file=file)
    lines = text.rstrip().split("\n")
    number = min(mark.line + 1, len(lines))
    hint = "indent with spaces, not tabs" if "\t" in lines[number - 1] else None
    if hint is None and what in _OFTEN_THE_INDENT:
        hint = "compare the indentation of this line and the one above; text that holds `: ` needs quotes"
    return DesiredStateError(f"isn't valid YAML: {what}", file=file, line=number, hint=hint)


def _events(text: str) -> Iterator[Any]:
    parser = _Parser(text)
    try:
        while parser.check_event():
            yield parser.get_event()
    finally:
        parser.dispose()


@dataclass(slots=True)
class _Open:
    """A mapping or list that isn't closed yet. `key` is the mapping's key that still waits for its value."""

    value: dict[str, Any] | list[Any]
    location: Location
    line: int
    anchor: str | None
    nodes_before: int
    key: str | None = None


class _Builder:
    """Builds the values of one document, event by event."""

    def __init__(self, file: str) -> None:
        self._file = file
        self._open: list[_Open] = []
        self._anchors: dict[str, tuple[Any, int]] = {}
        self._lines: dict[Location, int] = {}
        self._nodes = 0
        self._documents = 0
        self._root: Any = None

    def take(self, event: Any) -> None:
        """Takes the parser's next event. Raises DesiredStateError."""
        line = event.start_mark.line + 1
        match event:
            case yaml.DocumentStartEvent():
                self._documents += 1
                if self._documents > 1:
                    raise self._error("a second document starts here", line, "one file holds one document")
            case yaml.AliasEvent():
                self._alias(event.anchor, line)
            case yaml.ScalarEvent():
                self._refuse_tag(event, line)
                self._scalar(event, line)
            case yaml.MappingStartEvent() | yaml.SequenceStartEvent():
                self._refuse_tag(event, line)
                self._start({} if isinstance(event, yaml.MappingStartEvent) else [], event.anchor, line)
            case yaml.MappingEndEvent() | yaml.SequenceEndEvent():
                done = self._open.pop()
                self._place(done.value, done.line, done.anchor, self._nodes - done.nodes_before)

    def document(self) -> Document:
        """What was built. Raises DesiredStateError unless it is a mapping."""
        if self._root is None:
            raise DesiredStateError("is empty", file=self._file, hint="see docs/quickstart.md for a first one")
        if not isinstance(self._root, dict):
            raise self._error("should be a mapping at its top", self._lines[()], "lines of the form `key: value`")
        return Document(self._root, self._lines)

    def _error(self, what: str, line: int, hint: str | None = None, at: Location = ()) -> DesiredStateError:
        return DesiredStateError(what, file=self._file, line=line, path=show_path(at) or None, hint=hint)

    def _here(self) -> Location:
        """The location of the value that comes next."""
        if not self._open:
            return ()
        around = self._open[-1]
        part = len(around.value) if isinstance(around.value, list) else around.key
        return around.location if part is None else (*around.location, part)

    def _awaits_key(self) -> bool:
        return bool(self._open) and isinstance(self._open[-1].value, dict) and self._open[-1].key is None

    def _refuse_tag(self, event: Any, line: int) -> None:
        if event.tag is not None:
            raise self._error("YAML tags (`!…`) aren't accepted", line, "write the plain value", at=self._here())

    def _count(self, nodes: int, line: int) -> None:
        self._nodes += nodes
        if self._nodes > MOST_NODES:
            raise self._error(f"holds more than {MOST_NODES} values", line, "aliases count as what they stand for")

    def _start(self, value: dict[str, Any] | list[Any], anchor: str | None, line: int) -> None:
        if self._awaits_key():
            raise self._error("a key should be text", line, at=self._here())
        if len(self._open) == DEEPEST:
            raise self._error(f"is nested more than {DEEPEST} levels deep", line)
        self._open.append(_Open(value, self._here(), line, anchor, self._nodes))
        self._count(1, line)

    def _scalar(self, event: Any, line: int) -> None:
        if found := _UNPRINTABLE.search(event.value):
            raise self._error(f"holds the character U+{ord(found[0]):04X}", line, at=self._here())
        if self._awaits_key():
            self._key(event, line)
        else:
            self._count(1, line)
            plain = event.implicit[0]
            self._place(_resolve(event.value) if plain else event.value, line, event.anchor, 1)

    def _key(self, event: Any, line: int) -> None:
        around, key = self._open[-1], event.value
        location = (*around.location, key)
        if key == "<<" and event.implicit[0]:
            raise self._error("merge keys (`<<`) aren't accepted", line, "write the keys out", at=around.location)
        if key in around.value:
            first = self._lines[location]
            raise self._error(f"is a duplicate key, first set in line {first}", line, "remove one of them", at=location)
        around.key = key
        self._lines[location] = line

    def _alias(self, anchor: Any, line: int) -> None:
        if self._awaits_key():
            raise self._error("a key should be text", line, at=self._here())
        if anchor not in self._anchors:
            raise self._error(f"*{clip(anchor)} stands for nothing before it", line, at=self._here())
        value, nodes = self._anchors[anchor]
        self._count(nodes, line)
        self._place(value, line, None, nodes)

    def _place(self, value: Any, line: int, anchor: str | None, nodes: int) -> None:
        """Puts a finished value where it belongs. A key's line stands for its value's."""
        if anchor is not None:
            self._anchors[anchor] = (value, nodes)
        self._lines.setdefault(self._here(), line)
        if not self._open:
            self._root = value
            return
        around = self._open[-1]
        if isinstance(around.value, list):
            around.value.append(value)
        elif around.key is not None:
            around.value[around.key] = value
            around.key = None


def _resolve(text: str) -> Any:
    if text in _WORDS:
        return _WORDS[text]
    if _INT.fullmatch(text):
        return WrittenInt(text)
    if _FLOAT.fullmatch(text):
        return WrittenFloat(text)
    return text
