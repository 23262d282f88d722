"""The env contract: what `env.template` asks of each key, where Compose uses it, and what is found wrong."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import field
from enum import StrEnum
from typing import Final

from pydantic import SecretStr

from reconciler.dataclass import dataclass
from reconciler.model.env import EnvEntry

RESERVED: Final[Mapping[str, str]] = {"TAG": "TAG comes from deploy.yaml's `tag:`"}
"""Keys that the reconciler sets itself, with the reason to show."""

SUPPLIED: Final = frozenset([*RESERVED, "COMPOSE_PROJECT_NAME"])
"""What a Compose file may use although no value sets it: ours, and what Compose knows of the project."""

TYPES: Final[Mapping[str, tuple[re.Pattern[str], str]]] = {
    "str": (re.compile(r".*", re.DOTALL), "text"),
    "int": (re.compile(r"[+-]?[0-9]+"), "a whole number"),
    "number": (re.compile(r"[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]+)?"), "a number"),
    "bool": (re.compile(r"true|false|yes|no|on|off|1|0", re.IGNORECASE), "true or false (or yes, no, on, off, 1, 0)"),
    "url": (re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://[^\s/?#][^\s]*"), "an address such as https://host/path"),
}
"""`@type`: its name, what a whole value matches, and what to call that."""

_PLACEHOLDER = re.compile(r"<[^<>\n]*>|change[_-]?me|replace[_-]?me|fill[_-]?me([_-]?in)?", re.IGNORECASE)
_STEERS = re.compile(r"(COMPOSE|DOCKER)_.*|PATH|HOME|USER|PWD|SHELL|LANG", re.DOTALL)


def is_placeholder(value: str) -> bool:
    """Is it what a template has where a person is to fill something in: `changeme`, `<your token>`?"""
    return _PLACEHOLDER.fullmatch(value) is not None


def steers_compose(key: str) -> bool:
    """Is `key` also read by Docker, Compose or every shell? In `${KEY}` the shell's value wins."""
    return _STEERS.fullmatch(key) is not None


@dataclass(frozen=True, slots=True)
class Declaration:
    """What the template says of one key. `line` counts from 1.

    `default` is the template's own value as written, None where there is none to take. `type` is a key of TYPES.
    A value is secret unless it `is_public`; `is_marked_secret` says that the template calls it so.
    """

    key: str
    line: int
    is_required: bool
    default: str | None = field(default=None, repr=False)
    type: str = "str"
    choices: tuple[str, ...] = ()
    pattern: str | None = None
    is_public: bool = False
    is_marked_secret: bool = False

    def wanted(self, value: str) -> str | None:
        """What `value` should be and isn't, without the value; None where it fits. An empty optional value fits."""
        if not value and not self.is_required:
            return None
        form, words = TYPES[self.type]
        if not form.fullmatch(value):
            return words
        if self.choices and value not in self.choices:
            return f"one of {', '.join(self.choices)}"
        if self.pattern is not None and not re.fullmatch(self.pattern, value):
            return f"of the form {self.pattern}"
        return None


@dataclass(frozen=True, slots=True)
class Contract:
    """A whole template, in its order. `file` is its name in messages."""

    file: str
    declarations: tuple[Declaration, ...] = ()

    def of(self, key: str) -> Declaration | None:
        """What it says of `key`; None where it doesn't declare it."""
        return next((each for each in self.declarations if each.key == key), None)

    def public_keys(self) -> frozenset[str]:
        """The keys whose values are no secret."""
        return frozenset(each.key for each in self.declarations if each.is_public)


class Manner(StrEnum):
    """How a Compose file, or an env file that it names, uses a key."""

    NEEDED = "needed"
    """`$KEY`, `${KEY}`, `${KEY:?}`: where nothing sets it, Compose warns and takes the empty string, or refuses."""
    OPTIONAL = "optional"
    """`${KEY:-x}`, `${KEY:+x}`."""
    PASSED = "passed"
    """`environment: [KEY]`, a bare `KEY` of an env file: given to the container if it is set."""


@dataclass(frozen=True, slots=True)
class Use:
    """One place that uses `key`; `file` and `line` (from 1) are for messages."""

    key: str
    file: str
    line: int
    manner: Manner


@dataclass(frozen=True, slots=True)
class Uses:
    """What the Compose sources use. `takes_all` says that a service gets the whole `.env` (`env_file: .env`).

    `problems` are what couldn't be followed.
    """

    found: tuple[Use, ...] = ()
    takes_all: bool = False
    problems: tuple[Finding, ...] = ()


class Kind(StrEnum):
    """What is wrong. Its severity is fixed: see `is_error`."""

    MISSING = "missing"
    UNKNOWN = "unknown"
    EMPTY = "empty"
    DUPLICATE = "duplicate"
    WRONG_TYPE = "wrong-type"
    PLACEHOLDER = "placeholder"
    RESERVED = "reserved"
    UNREADABLE = "unreadable"
    ANNOTATION = "annotation"
    UNDECLARED = "undeclared"
    UNDECLARED_OPTIONAL = "undeclared-optional"
    UNUSED = "unused"
    WEAK_SECRET = "weak-secret"  # noqa: S105 - the name of a finding
    STEERS = "steers-compose"
    EXPOSED = "exposed"
    NOT_FOLLOWED = "not-followed"

    @property
    def is_error(self) -> bool:
        """Whether a pass would refuse it, or deploy what nobody means; the others are warnings."""
        return self not in {
            Kind.UNDECLARED_OPTIONAL,
            Kind.UNUSED,
            Kind.WEAK_SECRET,
            Kind.STEERS,
            Kind.EXPOSED,
            Kind.NOT_FOLLOWED,
        }


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong: where, what, and what to do. Names keys, never values. `line` is 0 for a whole file."""

    kind: Kind
    file: str
    line: int
    what: str
    remedy: str
    key: str | None = None

    @property
    def place(self) -> str:
        """`file:line`."""
        return f"{self.file}:{self.line}" if self.line else self.file


@dataclass(frozen=True, slots=True)
class Given:
    """The values as written, before they are held to anything. `entries` may have a key twice.

    `unread` are keys whose line can't be read (its reason is among `problems`). `file` is for messages.
    """

    file: str
    entries: tuple[EnvEntry, ...] = ()
    unread: frozenset[str] = frozenset()
    problems: tuple[Finding, ...] = ()

    def values(self) -> dict[str, SecretStr]:
        """Key to value; of a key that stands twice the last counts, as with Compose."""
        return {entry.key: entry.value for entry in self.entries}
