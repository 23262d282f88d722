"""What drifted in our own part of a target: files, env values, links, the state; each with the least that ends it.

What is expected of a release's files is its seal, and what is expected of the seals is the state, which is signed. A
seal that isn't the state's proves nothing: nothing is expected by it, and nothing is called foreign because of it (P6).
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace
from fnmatch import fnmatchcase

from reconciler.core import digest, file_layout, history
from reconciler.core.link_audit import changed, links, state_copies
from reconciler.dataclass import dataclass
from reconciler.model.audit import (
    Entry,
    FileAudit,
    Finding,
    Kind,
    Reseal,
    Restore,
    Sealed,
    SetAside,
    SetMode,
    printable,
)
from reconciler.model.drift import Drift, Vector
from reconciler.model.observed import HostView
from reconciler.model.stored import TargetState

FOREIGN = {
    Kind.FILE: "a file that no release brought",
    Kind.DIRECTORY: "a directory that no release brought",
    Kind.LINK: "a link that no release brought",
    Kind.OTHER: "a device, pipe or socket that no release brought",
}


def findings(
    view: HostView, *, ignore: Sequence[str] = (), mounted: Collection[str] = frozenset()
) -> tuple[Finding, ...]:
    """The drift that a view shows, in one order; none where nothing serves yet or the files weren't audited.

    `ignore` are patterns of paths below deploy_dir that don't count; `mounted` are paths of the host that containers of
    the project mount: what lies there is never moved.
    """
    if view.state is None:
        return ()
    found = [*state_copies(view.copies)]
    if view.audit is not None:
        found += _Audit(view, view.state, view.audit, tuple(ignore), frozenset(mounted)).findings()
    return tuple(sorted(found, key=lambda each: (each.drift.vector, each.drift.object)))


def unsealed(view: HostView) -> tuple[str, ...]:
    """Releases on the target that passes have entered and that have no seal: an older version installed them."""
    if view.state is None:
        return ()
    return tuple(name for name in view.releases if name in view.state.releases and name not in view.state.seals)


def left_over(view: HostView, state: TargetState) -> tuple[str, ...]:
    """Sealed copies of releases that aren't on the target: of a pass that died before it could install one."""
    names = (name.removesuffix(".seal") for name in view.sealed if name.endswith(".seal"))
    return tuple(sorted(name for name in names if name not in state.seals and name not in view.releases))


def strangers(view: HostView) -> tuple[str, ...]:
    """Names at the top of deploy_dir that are neither ours nor a writable area's: what an adoption tolerates."""
    if view.audit is None:
        return ()
    areas = {area.split("/", maxsplit=1)[0] for area in view.audit.writable}
    return tuple(
        sorted(
            entry.path
            for entry in view.audit.top
            if entry.path and "/" not in entry.path and entry.path not in areas | file_layout.TOP
        )
    )


@dataclass(frozen=True)
class _Audit:
    view: HostView
    state: TargetState
    audit: FileAudit
    ignore: tuple[str, ...]
    mounted: frozenset[str]

    def findings(self) -> Iterator[Finding]:
        if self.audit.unsure:
            why = self.audit.unsure
            yield Finding(Drift(Vector.FILE, ".", "files that can be looked at", "unknown", why_not=why), None)
            return
        if self.audit.cut:
            more = f"{self.audit.cut} more differences"
            yield Finding(Drift(Vector.FILE, ".", "what was installed", more, why_not="the next pass sees them"), None)
        yield from self._seals()
        yield from self._sealed()
        yield from self._top()
        yield from links(self.state, self.audit)

    def _trusts(self, release: str) -> bool:
        """Whether the seal on the target is the one that the state knows."""
        return release in self.state.seals and self.audit.seals.get(release) == self.state.seals[release]

    @property
    def _doubtful(self) -> set[str]:
        """Releases whose files nobody can name now: what they brought must not be taken for foreign."""
        there = {*self.view.releases, *history.protected(self.state)}
        return {name for name in there & {*self.state.releases, *self.state.seals} if not self._trusts(name)}

    def _seals(self) -> Iterator[Finding]:
        """Seals that aren't what the state knows. A release that no revert needs may be half pruned by a dead pass."""
        for release, digest_ in sorted(self.state.seals.items()):
            found = self.audit.seals.get(release)
            if found == digest_ or (found is None and release not in history.protected(self.state)):
                continue
            what = "another one" if found else "nothing"
            path = f".reconciler/sealed/{release}.seal"
            yield Finding(Drift(Vector.FILE, path, "the release's seal", what), Reseal(release, digest_))

    def _sealed(self) -> Iterator[Finding]:
        """Entries that a seal contradicts or none has, and what is gone."""
        entries = {entry.path: entry for entry in self.audit.contradicting}
        wanted: dict[str, list[Sealed]] = {}
        for line in self.audit.expected:
            if self._trusts(line.release):
                wanted.setdefault(line.path, []).append(line)
        told = {line.path for line in self.audit.expected}
        for path, entry in entries.items():
            if path in wanted:
                yield from self._contradicted(entry, wanted, entries)
            elif path not in told:
                yield from self._unexplained(entry)
        for path in wanted.keys() - entries.keys():
            if not any(self._is_closed(entries.get(above)) for above in _above(path)):
                line = self._source(wanted[path], entries)
                kind = Kind.FILE if line.sha256 else Kind.DIRECTORY
                yield from self._counted(path, None, kind.value, "nothing", self._action(line))

    def _contradicted(
        self, entry: Entry, wanted: dict[str, list[Sealed]], entries: dict[str, Entry]
    ) -> Iterator[Finding]:
        line = self._source(wanted[entry.path], entries)
        kind = Kind.FILE if line.sha256 else Kind.DIRECTORY
        differs: list[tuple[str, str]] = []
        if entry.kind is not kind:
            yield from self._counted(entry.path, entry, kind.value, entry.kind.value, self._action(line))
            return
        other_content = line.sha256 is not None and entry.sha256 != line.sha256
        if other_content:
            found = "content that can't be read" if entry.sha256 == "" else "other content"
            differs.append(("what was installed", found))
        if entry.mode != line.mode:
            differs.append((f"mode {line.mode:04o}", f"mode {entry.mode:04o}"))
        if entry.uid != self.audit.owner:
            differs.append((f"owner {self.audit.owner}", f"owner {entry.uid}"))
        if not differs:
            return  # a seal that the state doesn't know contradicts it
        by_mode_alone = not other_content and (entry.uid == self.audit.owner or kind is Kind.DIRECTORY)
        action = SetMode(entry.path, line.mode) if by_mode_alone else self._action(line)
        expected, found = (", ".join(part) for part in zip(*differs, strict=True))
        if other_content and entry.path == f"releases/{line.release}/.env":
            keys = list(self._env(line.release, entry, action))
            yield from keys
            if keys and len(differs) == 1:
                return
        yield from self._counted(entry.path, entry, expected, found, action)

    def _env(self, release: str, entry: Entry, action: Restore | Reseal | SetMode) -> Iterator[Finding]:
        """The keys of a changed `.env`; values are shown as short keyed fingerprints alone."""
        pair = self.audit.envs.get(release)
        if pair is None or pair.sealed is None or pair.found is None or self.view.key is None:
            return
        key = self.view.key
        serving = release == self.state.serving
        for name in sorted(pair.sealed.keys() | pair.found.keys()):
            expected, found = (
                f"a value ({digest.keyed(key, values[name])[:8]})" if name in values else "no such key"
                for values in (pair.sealed, pair.found)
            )
            if expected != found:
                what = printable(name) if serving else f"{printable(name)} of {release}"
                yield Finding(Drift(Vector.ENV, what, expected, found, at=changed(entry)), action)

    def _unexplained(self, entry: Entry) -> Iterator[Finding]:
        """Something below releases/ or in a store of ours that no seal has."""
        path = entry.path
        if file_layout.is_seal(path):
            release = path.rpartition("/")[2].removesuffix(".seal")
            if self._trusts(release) and entry.kind is Kind.FILE:
                yield from self._counted(path, entry, "mode 0400", f"mode {entry.mode:04o}", SetMode(path, 0o400))
            return
        owner = file_layout.release_of(path)
        doubtful = self._doubtful
        if owner in doubtful or (doubtful and path.startswith(f"{file_layout.FILES}/")):
            return
        yield from self._foreign(entry)

    def _foreign(self, entry: Entry) -> Iterator[Finding]:
        finding = self._counted(entry.path, entry, "nothing", FOREIGN[entry.kind], SetAside(entry.path))
        for each in finding:
            place = f"{self.audit.directory}/{entry.path}"
            if any(place == at or at.startswith(f"{place}/") or place.startswith(f"{at}/") for at in self.mounted):
                yield Finding(replace(each.drift, why_not="a container mounts it"), None)
            elif not any(fnmatchcase(entry.path, part) for pattern in self.ignore for part in _above(pattern)):
                yield each

    def _top(self) -> Iterator[Finding]:
        for entry in self.audit.top:
            rule = file_layout.rule(entry.path, self.audit.writable)
            if isinstance(rule, file_layout.Wanted):
                if entry.kind is not rule.kind:
                    # Only a person can say what to do with that: a pass can't work in it, and doesn't get here.
                    drift = Drift(Vector.FILE, entry.path, rule.kind.value, entry.kind.value, why_not="move it away")
                    yield Finding(drift, None)
                    continue
                differs: list[tuple[str, str]] = []
                if entry.mode != rule.mode:
                    differs.append((f"mode {rule.mode:04o}", f"mode {entry.mode:04o}"))
                if entry.uid != self.audit.owner:
                    differs.append((f"owner {self.audit.owner}", f"owner {entry.uid}"))
                if differs:
                    expected, found = (", ".join(part) for part in zip(*differs, strict=True))
                    yield from self._counted(entry.path, entry, expected, found, SetMode(entry.path, rule.mode))
            elif rule is file_layout.Rule.FOREIGN and entry.path not in self.state.tolerated:
                yield from self._foreign(entry)

    def _counted(
        self, path: str, entry: Entry | None, expected: str, found: str, action: Restore | Reseal | SetMode | SetAside
    ) -> Iterator[Finding]:
        """Drift of a file, unless deploy.yaml says that it doesn't count."""
        if not any(fnmatchcase(path, pattern) for pattern in self.ignore):
            yield Finding(Drift(Vector.FILE, printable(path), expected, found, at=changed(entry)), action)

    def _source(self, lines: list[Sealed], entries: dict[str, Entry]) -> Sealed:
        """The line of a release whose sealed copy is whole, the serving one's if that is among them."""

        def rank(line: Sealed) -> tuple[bool, bool]:
            return f".reconciler/sealed/{line.release}.tar" in entries, line.release != self.state.serving

        return min(lines, key=rank)

    def _action(self, line: Sealed) -> Restore | Reseal:
        seal = self.state.seals[line.release]
        if line.path == f".reconciler/sealed/{line.release}.tar":
            return Reseal(line.release, seal)
        return Restore(line.path, line.mode, line.release, seal)

    def _is_closed(self, entry: Entry | None) -> bool:
        """Whether what lies below can't be seen: unknown is not absent."""
        return entry is not None and entry.kind is Kind.DIRECTORY and entry.mode & 0o500 != 0o500


def _above(path: str) -> list[str]:
    """The directories that a path, or a pattern, lies in."""
    parts = path.split("/")
    return ["/".join(parts[:depth]) for depth in range(1, len(parts))]
