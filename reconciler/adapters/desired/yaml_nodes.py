"""A YAML file as it is written: scalars with their lines, aliases and merge keys kept. Tags mean nothing here.

For looking at Compose files without Compose. Reading deploy.yaml is `yaml_loader`'s.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import field
from typing import Any, Union

import yaml

from reconciler.dataclass import dataclass

MOST_EVENTS = 500_000
_DEEPEST_MERGE = 50
_Parser: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


@dataclass(frozen=True, slots=True)
class Scalar:
    """Text in a file; `plain` is False for quoted text and blocks. `line` counts from 1."""

    text: str
    line: int
    plain: bool

    @property
    def is_null(self) -> bool:
        """Whether YAML reads it as nothing."""
        return self.plain and self.text in ("", "~", "null", "Null", "NULL")


@dataclass(slots=True)
class Sequence:
    """A list."""

    items: list[Node] = field(default_factory=list)


@dataclass(slots=True)
class Map:
    """A mapping; keys that aren't text are left out."""

    pairs: list[tuple[Scalar, Node]] = field(default_factory=list)
    key: Scalar | None = None

    def get(self, key: str) -> Node | None:
        """The value of `key`, also one that a merge key (`<<`) brings."""
        return next((value for name, value in self.entries() if name.text == key), None)

    def entries(self, depth: int = 0) -> Iterator[tuple[Scalar, Node]]:
        """Every pair, those of merge keys last."""
        merged: list[Map] = []
        for key, value in self.pairs:
            if key.text == "<<" and key.plain:
                sources = value.items if isinstance(value, Sequence) else [value]
                merged += [source for source in sources if isinstance(source, Map)]
            else:
                yield key, value
        if depth < _DEEPEST_MERGE:
            for source in merged:
                yield from source.entries(depth + 1)


Node = Union[Scalar, Sequence, Map]  # noqa: UP007 - it refers to itself


@dataclass(frozen=True, slots=True)
class Nodes:
    """The documents of a file, and every scalar that is a value, once, in the order of the file."""

    roots: tuple[Node, ...]
    values: tuple[Scalar, ...]


class NotYaml(Exception):
    """The file can't be read as YAML. `line` counts from 1."""

    def __init__(self, what: str, line: int) -> None:
        self.what, self.line = what, line
        super().__init__(what)


def read_nodes(content: bytes) -> Nodes:
    """What `content` holds. Raises NotYaml."""
    builder = _Builder()
    try:
        parser = _Parser(content.decode("utf-8-sig"))
        try:
            for _ in range(MOST_EVENTS):
                if not parser.check_event():
                    return Nodes(tuple(builder.roots), tuple(builder.values))
                builder.take(parser.get_event())
        finally:
            parser.dispose()
    except UnicodeDecodeError as error:
        raise NotYaml("isn't UTF-8 text", content.count(b"\n", 0, error.start) + 1) from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        raise NotYaml("isn't valid YAML", mark.line + 1 if mark else 1) from None
    raise NotYaml(f"holds more than {MOST_EVENTS} things", 1)


class _Builder:
    def __init__(self) -> None:
        self.roots: list[Node] = []
        self.values: list[Scalar] = []
        self._open: list[tuple[Map | Sequence, str | None]] = []
        self._anchors: dict[str, Node] = {}

    def take(self, event: Any) -> None:
        line = event.start_mark.line + 1
        anchor: Any = getattr(event, "anchor", None)
        match event:
            case yaml.DocumentStartEvent():
                self._anchors.clear()
            case yaml.ScalarEvent():
                plain = event.style is None or event.style == ""
                scalar = Scalar(event.value, line, plain)
                if not self._awaits_key():
                    self.values.append(scalar)
                self._place(scalar, anchor)
            case yaml.AliasEvent():
                self._place(self._anchors.get(anchor, Scalar("", line, plain=True)), None)
            case yaml.MappingStartEvent():
                self._open.append((Map(), anchor))
            case yaml.SequenceStartEvent():
                self._open.append((Sequence(), anchor))
            case yaml.MappingEndEvent() | yaml.SequenceEndEvent():
                self._place(*self._open.pop())

    def _awaits_key(self) -> bool:
        around = self._open[-1][0] if self._open else None
        return isinstance(around, Map) and around.key is None

    def _place(self, node: Node, anchor: str | None) -> None:
        """Puts a finished node where it belongs. Its anchor counts from here on, so nothing holds itself."""
        if anchor is not None:
            self._anchors[anchor] = node
        if not self._open:
            self.roots.append(node)
            return
        around = self._open[-1][0]
        if isinstance(around, Sequence):
            around.items.append(node)
        elif around.key is None:
            around.key = node if isinstance(node, Scalar) else Scalar("", 0, plain=False)
        else:
            around.pairs.append((around.key, node))
            around.key = None
