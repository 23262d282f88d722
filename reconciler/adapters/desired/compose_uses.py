"""Which env keys the Compose sources use, without Compose: by interpolation, `environment:`, `env_file:` and secrets.

It follows `include:`, `extends:` and `env_file:` within the sources. Compose interpolates every value of a file that it
reads, services of inactive profiles and `x-` fields too, and never a key of a mapping (2.26; tests/integration holds
this against it). What can't be followed is said.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterable, Iterator, Mapping
from pathlib import PurePosixPath

from reconciler.adapters.desired.yaml_nodes import Map, Node, NotYaml, Scalar, Sequence, read_nodes
from reconciler.adapters.env.dotenv import DotenvError, interpolated, statements
from reconciler.adapters.env.interpolate import Refused, interpolate, references
from reconciler.model.env_contract import Finding, Kind, Manner, Use, Uses
from reconciler.model.sources import SourceTree

DOTENV = ".env"
"""Where a release has the values: beside its first Compose file."""
_NO_NAME = "is not a path that can be told without Compose"


def compose_uses(tree: SourceTree, known: Mapping[str, str], *, shown: str = "") -> Uses:
    """Every use of a key in the Compose files and in what they name.

    `known` are the values (TAG too), for paths that hold variables; `shown` is put before a file's path below the
    tree's root for messages. Never raises, and never has a value in what it says.
    """
    scan = _Scan({str(file.path): file.data for file in tree.files}, known, shown)
    base = tree.compose[0].parent
    scan.delivered = posixpath.normpath(base / DOTENV)
    for path in tree.compose:
        scan.compose_file(str(path), base, frozenset())
    return Uses(tuple(scan.found), scan.takes_all, tuple(scan.problems))


class _Scan:
    def __init__(self, files: Mapping[str, bytes], known: Mapping[str, str], shown: str) -> None:
        self._files, self._known, self._shown = files, known, shown
        self._read: set[tuple[str, str]] = set()
        self._noted: set[Use] = set()
        self.delivered = DOTENV
        self.found: list[Use] = []
        self.problems: list[Finding] = []
        self.takes_all = False

    def compose_file(self, path: str, base: PurePosixPath, local: frozenset[str]) -> None:
        """One Compose file; relative paths in it start at `base`, and `local` are keys that only it gets to see."""
        if (path, str(base)) in self._read:
            return
        self._read.add((path, str(base)))
        try:
            nodes = read_nodes(self._files[path])
        except NotYaml as error:
            self._problem(path, error.line, error.what, "correct it")
            return
        for scalar in nodes.values:
            self._interpolation(path, scalar.text, scalar.line, local)
        for root in nodes.roots:
            if isinstance(root, Map):
                self._root(path, root, base, local)

    def _root(self, path: str, root: Map, base: PurePosixPath, local: frozenset[str]) -> None:
        for _, service in _entries(root.get("services")):
            if isinstance(service, Map):
                # Compose fills containers' environments last, when it has forgotten what an include had of its own.
                self._passed(path, service.get("environment"))
                self._env_files(path, service.get("env_file"), base)
                self._extended(path, service.get("extends"), base, local)
        for section in ("secrets", "configs"):
            for _, each in _entries(root.get(section)):
                name = each.get("environment") if isinstance(each, Map) else None
                if isinstance(name, Scalar) and not name.is_null:
                    self._note(name.text, path, name.line, Manner.NEEDED, local)
        for item in _items(root.get("include")):
            self._included(path, item, base, local)

    def _passed(self, path: str, environment: Node | None) -> None:
        for key, value in _entries(environment):
            if isinstance(value, Scalar) and value.is_null:
                self._note(key.text, path, key.line, Manner.PASSED, frozenset())
        for item in environment.items if isinstance(environment, Sequence) else ():
            if isinstance(item, Scalar) and item.text and "=" not in item.text and "$" not in item.text:
                self._note(item.text, path, item.line, Manner.PASSED, frozenset())

    def _env_files(self, path: str, written: Node | None, base: PurePosixPath) -> None:
        seen: frozenset[str] = frozenset()
        for item in _items(written):
            name = item.get("path") if isinstance(item, Map) else item
            if isinstance(name, Scalar):
                required = _text(item.get("required")) if isinstance(item, Map) else ""
                raw = isinstance(item, Map) and _text(item.get("format")) == "raw"
                found = self._inside(path, name, base, quiet=required == "false")
                if found is not None:
                    seen |= self._env_file(found, seen, raw=raw)

    def _env_file(self, path: str, local: frozenset[str], *, raw: bool) -> frozenset[str]:
        """Notes what an env file refers to. Gives the keys that it sets."""
        if path == self.delivered:
            self.takes_all = True
            return frozenset()
        text = self._files[path].decode("utf-8", "replace")
        own = set(local)
        for statement in statements(text, file=path, refuse=lambda error: self._unreadable(path, error)):
            if not statement.assigned:
                self._note(statement.key, path, statement.line, Manner.PASSED, frozenset(own))
            elif not raw:
                self._interpolation(path, interpolated(statement), statement.line, frozenset(own))
            own.add(statement.key)
        return frozenset(own)

    def _extended(self, path: str, extends: Node | None, base: PurePosixPath, local: frozenset[str]) -> None:
        name = extends.get("file") if isinstance(extends, Map) else None
        if isinstance(name, Scalar):
            found = self._inside(path, name, base)
            if found is not None:
                self.compose_file(found, PurePosixPath(found).parent, local)

    def _included(self, path: str, item: Node, base: PurePosixPath, local: frozenset[str]) -> None:
        names = _items(item.get("path") if isinstance(item, Map) else item)
        paths = [self._inside(path, name, base) for name in names if isinstance(name, Scalar)]
        found = [each for each in paths if each is not None]
        if not found:
            return
        directory = item.get("project_directory") if isinstance(item, Map) else None
        inner = base / directory.text if isinstance(directory, Scalar) else PurePosixPath(found[0]).parent
        own = set(local)
        given = list(_items(item.get("env_file"))) if isinstance(item, Map) else []
        for name in given:
            if isinstance(name, Scalar) and (place := self._inside(path, name, base)) is not None:
                own |= self._env_file(place, frozenset(own), raw=False)
        beside = posixpath.normpath(inner / DOTENV)
        if not given and beside in self._files:
            own |= self._env_file(beside, frozenset(own), raw=False)
        for each in found:
            self.compose_file(each, inner, frozenset(own))

    def _inside(self, path: str, name: Scalar, base: PurePosixPath, *, quiet: bool = False) -> str | None:
        """The path of a file that a Compose file names, below the root of the sources; None where it isn't there."""
        try:
            text = interpolate(name.text, self._known)
        except Refused:
            self._problem(path, name.line, f"a file name here {_NO_NAME}", "write it without variables")
            return None
        found = posixpath.normpath(base / text)
        if found in self._files or found == self.delivered:
            return found
        if not quiet:
            what = f"{name.text} isn't one of the sources, and can't be looked into"
            self._problem(path, name.line, what, "keep it in the Compose files' directory, where git has it")
        return None

    def _interpolation(self, path: str, text: str, line: int, local: frozenset[str]) -> None:
        if "$" not in text:
            return
        try:
            for name, operator in references(text):
                needed = operator == "" or operator.endswith("?")
                self._note(name, path, line, Manner.NEEDED if needed else Manner.OPTIONAL, local)
        except Refused as error:
            self._problem(path, line, f"an interpolation that Compose can't read: {error}", "write $$ for a plain $")

    def _note(self, key: str, path: str, line: int, manner: Manner, local: frozenset[str]) -> None:
        use = Use(key, self._shown + path, line, manner)
        if use in self._noted or (key in local and key not in self._known):
            return
        self._noted.add(use)
        self.found.append(use)

    def _unreadable(self, path: str, error: DotenvError) -> None:
        self._problem(path, error.line, error.what, "Compose reads it otherwise than it looks, or not at all")

    def _problem(self, path: str, line: int, what: str, remedy: str) -> None:
        finding = Finding(Kind.NOT_FOLLOWED, self._shown + path, line, what, remedy)
        if finding not in self.problems:
            self.problems.append(finding)


def _entries(node: Node | None) -> Iterator[tuple[Scalar, Node]]:
    if isinstance(node, Map):
        yield from node.entries()


def _items(node: Node | None) -> Iterable[Node]:
    """The items of a list, or the one thing that stands in its place."""
    if isinstance(node, Sequence):
        return node.items
    return [] if node is None or (isinstance(node, Scalar) and node.is_null) else [node]


def _text(node: Node | None) -> str:
    return node.text.lower() if isinstance(node, Scalar) else ""
