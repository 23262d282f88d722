"""Redaction: whatever passes through us from anywhere leaves without a value of an env key (promise P9).

What is masked, as `***`:
- every occurrence of a value of 4 characters or more, in every form of `encodings.forms`;
- of a value of several lines, also each line of 6 characters or more alone (programs print and indent by line);
- a value that is too short, too common (`COMMON`), only one repeated mark, or public: only where it stands as its own
  key's value (`KEY=value`, `KEY: value`, `"KEY": "value"`), because masking it everywhere would ruin every text.
  Public is what stands as a whole word in a text that everyone has anyway (deploy.yaml: the app's name, a port).

A value that a program cuts, or folds at a line width, can't be recognised: whoever writes YAML for a record writes it
without folding. No str subclass is used: `shlex.quote` and the like return a plain str and lose it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

from reconciler.telemetry.encodings import forms

if TYPE_CHECKING:
    from pydantic import SecretStr

MASK: Final = "***"
SHORTEST: Final = 4
SHORTEST_LINE: Final = 6
_WORDS = ["true", "false", "yes", "no", "on", "off", "none", "null", "nil", "undefined", "always", "never", "auto"]
_SWITCHES = ["enabled", "disabled", "enable", "disable", "default", "json", "text", "utf-8", "utf8", "http", "https"]
_LEVELS = ["trace", "debug", "info", "notice", "warn", "warning", "error", "critical", "fatal"]
_PLACES = ["production", "staging", "development", "testing", "test", "prod", "local"]
_HOSTS = ["localhost", "127.0.0.1", "0.0.0.0"]  # noqa: S104 - compared with, never bound to
COMMON: Final = frozenset([*_WORDS, *_SWITCHES, *_LEVELS, *_PLACES, *_HOSTS])
"""Values, in lower case, that are masked only where they stand as their key's value."""

_Tree = dict[str, "_Tree"]
_SIGN = r"""\\*["']?\]?[ \t]*(?:=>|:=|[=:])[ \t]*\\*["']?"""  # after a key: `=`, `: `, `": "`, `\": \"`, `' => '`
_SEPARATORS = (re.compile(r"[^\w.+~-]+"), re.compile(r"\W+"))
_IN_NAME = re.compile(r"[\w-]")
_WORD = re.compile(r"\w")
_MOST_PASSES = 10
_DEPTH = 32  # of the tree of keys
_PREFIX = 4  # characters by which candidates are found; a longer one compiles slower and finds no faster


def is_common(value: str) -> bool:
    """Is `value` too short or too common to mask wherever it occurs?"""
    bare = value.strip()
    return len(bare) < SHORTEST or bare.lower() in COMMON or (len(set(bare)) == 1 and not bare.isalnum())


def is_public(value: str, text: str) -> bool:
    """Does `value` stand in `text` as a whole word, or as several?"""
    bare = value.strip()
    if not bare or bare not in text:
        return False
    return re.search(rf"(?<![\w-]){re.escape(bare)}(?![\w-])", text) is not None


class Redactor:
    """Masks the values of `secrets` (key to value) and of `others` (values without a key: a registry's password).

    `public` is a text that everyone may read: those of `secrets` that it holds as whole words are masked only where
    they stand as their key's value. Immutable. It is compiled at its first use, so making one costs nothing. Of
    `others` each of 4 characters or more is masked everywhere, however common or public; a shorter one can't be masked.
    """

    def __init__(
        self,
        secrets: Mapping[str, SecretStr] | None = None,
        *,
        others: Iterable[SecretStr] = (),
        public: str = "",
    ) -> None:
        self._keyed: tuple[tuple[str, SecretStr, str], ...] = tuple(
            (key, secret, public) for key, secret in (secrets or {}).items()
        )
        self._others: tuple[SecretStr, ...] = tuple(others)

    @classmethod
    def none(cls) -> Redactor:
        """Masks nothing: for the time before any value is known."""
        return cls()

    def union(self, other: Redactor) -> Redactor:
        """Masks what either of the two masks, also where both have another value for one key (old and new env).

        Where `other` adds nothing it is this one: a daemon learns the same values at each pass.
        """
        keyed, others = dict.fromkeys(self._keyed + other._keyed), dict.fromkeys(self._others + other._others)
        if len(keyed) == len(self._keyed) and len(others) == len(self._others):
            return self
        result = Redactor(others=others)
        result._keyed = tuple(keyed)
        return result

    def strict(self) -> Redactor:
        """Masks the longer pieces of values, too: for what a program says that takes values apart.

        (Compose splits `127.0.0.1:${PORT}:80` at its colons before it calls a port invalid.) It may hide too much.
        """
        from pydantic import SecretStr

        pieces = {
            piece
            for _, secret, public in self._keyed
            for separators in _SEPARATORS
            for piece in separators.split(secret.get_secret_value())
            if len(piece) >= SHORTEST_LINE and not is_common(piece) and piece not in public
        }
        return self.union(Redactor(others=[SecretStr(piece) for piece in sorted(pieces)]))

    def __repr__(self) -> str:
        return f"Redactor({len(self._keyed) + len(self._others)} values)"

    def text(self, text: str) -> str:
        """`text` with every value masked. Masking twice changes nothing more."""
        masked = self._once(text)
        for _ in range(_MOST_PASSES):
            if masked == text or not self._can_arise:
                break
            text, masked = masked, self._once(masked)
        return masked

    def bytes(self, data: bytes) -> bytes:
        """The same for what a program wrote: UTF-8; what isn't passes through."""
        return self.text(data.decode(errors="surrogateescape")).encode(errors="surrogateescape")

    def value(self, thing: object) -> Any:
        """The same for a JSON-like structure, its keys too; what JSON doesn't have is masked as its text.

        A number that is a value as a whole becomes the mask, and so does whatever stands at a key's own place.
        """
        if thing is None or isinstance(thing, bool):
            return thing
        if isinstance(thing, int | float):
            return thing if str(thing) not in self._values else MASK
        if hasattr(thing, "get_secret_value"):
            return MASK
        if isinstance(thing, str):
            return self.text(str.__str__(thing))  # a str enum is its value, as in JSON
        if isinstance(thing, bytes | bytearray):
            return self.bytes(bytes(thing))
        if isinstance(thing, Mapping):
            return self._mapping(thing)
        if isinstance(thing, Iterable):
            return [self.value(each) for each in thing]
        return self.text(str(thing))

    def _mapping(self, thing: Mapping[Any, object]) -> dict[Any, Any]:
        masked: dict[Any, Any] = {}
        for key, each in thing.items():
            name = self.value(key)
            while name in masked:  # two keys that both hold values
                name = f"{name}+"
            own = isinstance(key, str) and _as_written(each) in self._common.get(key, ())
            masked[name] = MASK if own else self.value(each)
        return masked

    def _once(self, text: str) -> str:
        spans = sorted([*self._everywhere(text), *self._in_place(text)])
        parts: list[str] = []
        position = 0
        for start, end in spans:
            if start >= position:
                parts += [text[position:start], MASK]
            position = max(position, end)
        return "".join([*parts, text[position:]])

    def _everywhere(self, text: str) -> Iterator[tuple[int, int]]:
        """Where a value stands: at each place the longest; places may overlap."""
        if self._candidates is None:
            return
        for candidate in self._candidates.finditer(text):
            start = candidate.start()
            for form in self._by_prefix[candidate[1]]:
                if text.startswith(form, start):
                    yield start, start + len(form)
                    break

    def _in_place(self, text: str) -> Iterator[tuple[int, int]]:
        """Where a short, common or public value stands as its own key's value."""
        if self._signs is None:
            return
        for match in self._signs.finditer(text):
            if match.start() and _IN_NAME.match(text, match.start() - 1):
                continue  # the end of a longer key
            for form in self._common[match[1]]:
                end = match.end() + len(form)
                if text.startswith(form, match.end()) and not _WORD.match(text, end):
                    yield match.end(), end
                    break

    @cached_property
    def _values(self) -> frozenset[str]:
        """The values to mask everywhere, as they are."""
        keyed = (secret.get_secret_value() for _, secret, public in self._keyed if not _only_in_place(secret, public))
        others = (secret.get_secret_value() for secret in self._others)
        return frozenset([*keyed, *(value for value in others if len(value.strip()) >= SHORTEST)])

    @cached_property
    def _common(self) -> dict[str, tuple[str, ...]]:
        """Key to the forms of its short, common or public values, longest first."""
        found: dict[str, set[str]] = {}
        for key, secret, public in self._keyed:
            value = secret.get_secret_value()
            if _only_in_place(secret, public) and value.strip() not in ("", "*", "**", MASK):
                found.setdefault(key, set()).update(form.lstrip(" \t") for form in forms(value) | forms(value.strip()))
        return {key: tuple(sorted(values, key=len, reverse=True)) for key, values in found.items()}

    @cached_property
    def _by_prefix(self) -> dict[str, list[str]]:
        found: set[str] = set()
        for value in self._values:
            lines = [line.strip() for line in value.splitlines()] if len(value.splitlines()) > 1 else []
            alone = [line for line in lines if len(line) >= SHORTEST_LINE and not is_common(line)]
            for each in {value, value.strip(), *alone}:
                found |= forms(each)
        by_prefix: dict[str, list[str]] = {}
        for form in sorted(found, key=len, reverse=True):
            by_prefix.setdefault(form[:_PREFIX], []).append(form)
        return by_prefix

    @cached_property
    def _candidates(self) -> re.Pattern[str] | None:
        """Finds each place where a form may start, by its first characters, places that overlap too."""
        if not self._by_prefix:
            return None
        return re.compile(f"(?=({_any_of(self._by_prefix)}))")

    @cached_property
    def _signs(self) -> re.Pattern[str] | None:
        """Finds each place where one of the keys of `_common` is given a value."""
        return re.compile(f"({_any_of(self._common)}){_SIGN}") if self._common else None

    @cached_property
    def _can_arise(self) -> bool:
        """Can masking bring something about that is to be masked: a value with a `*`, a key that now stands free?"""
        return bool(self._common) or any("*" in value for value in self._values)


def _only_in_place(secret: SecretStr, public: str) -> bool:
    value = secret.get_secret_value()
    return is_common(value) or is_public(value, public)


def _any_of(words: Iterable[str]) -> str:
    """A pattern for any of the words, as a tree: a flat alternative of thousands is 30 times slower."""
    tree: _Tree = {}
    for word in words:
        node = tree
        for part in (*word[:_DEPTH], word[_DEPTH:]):  # the rest, empty for most, also marks the end
            node = node.setdefault(part, {})
    return _pattern(tree)


def _pattern(tree: _Tree) -> str:
    branches = [re.escape(part) + _pattern(rest) for part, rest in sorted(tree.items())]
    return f"(?:{'|'.join(branches)})" if len(branches) > 1 else "".join(branches)


def _as_written(thing: object) -> str:
    """A scalar as an env value would have it."""
    return str(thing).lower() if isinstance(thing, bool) or thing is None else str(thing)
