"""The files that deploy.yaml refers to: the Compose files' directory, the env template, the place of the values."""

from __future__ import annotations

import os
from pathlib import Path, PurePosixPath

from reconciler.adapters.desired.files import Unreadable, read_regular
from reconciler.adapters.desired.load import line_in
from reconciler.adapters.desired.tree import Unfit, check_file, read_tree, walk
from reconciler.adapters.desired.wording import clip, show_path
from reconciler.adapters.env.written import is_age
from reconciler.adapters.git.run import GitMissing
from reconciler.adapters.git.worktree import Listed, find_top, list_worktree
from reconciler.model.base import Location
from reconciler.model.deploy import Deploy
from reconciler.model.env_files import AGE
from reconciler.model.errors import DesiredStateError
from reconciler.model.sources import SourceTree

LARGEST_TEMPLATE = 2**20
"""Bytes."""


def read_sources(deploy: Deploy, deploy_file: Path) -> SourceTree:
    """The directory of the Compose files, as git has it: what is tracked, and what is neither tracked nor ignored.

    Where there is no git at all it is every file but those whose names start with `.env`. The values file is never
    among them. Raises DesiredStateError, also for a values file that git tracks, and GitFailed.
    """
    return _Reader(deploy, deploy_file).read()


def read_template(deploy: Deploy, deploy_file: Path) -> str | None:
    """The text of `env.template`; None where there is none. Raises DesiredStateError."""
    if deploy.env.template is None:
        return None
    reader = _Reader(deploy, deploy_file)
    place = reader.locate(deploy.env.template, ("env", "template"))
    try:
        return read_regular(reader.top / place, LARGEST_TEMPLATE).decode("utf-8-sig")
    except Unreadable as error:
        raise reader.error(f"`{place}` {error.what}", ("env", "template"), error.hint) from None
    except UnicodeDecodeError:
        raise reader.error(f"`{place}` isn't UTF-8 text", ("env", "template"), "save it as UTF-8") from None


def values_path(deploy: Deploy, deploy_file: Path, private: Path | None = None) -> Path | None:
    """Where the file of env values is, absolute; None where there is none.

    One that isn't beside deploy.yaml may be in the directory `private`: git doesn't bring it.
    Raises DesiredStateError for a `~user` that isn't known.
    """
    values = deploy.env.values
    return _place(deploy, deploy_file, values.file if values else None, ("env", "values"), private)


def identity_path(deploy: Deploy, deploy_file: Path, private: Path | None = None) -> Path | None:
    """Likewise where the identity's file is, absolute; None where there is none. Raises DesiredStateError likewise."""
    identity = deploy.env.identity
    return _place(deploy, deploy_file, identity.file if identity else None, ("env", "identity", "file"), private)


def _place(deploy: Deploy, deploy_file: Path, written: str | None, at: Location, private: Path | None) -> Path | None:
    if written is None:
        return None
    try:
        path = Path(written).expanduser()
        beside = Path(os.path.normpath(deploy_file.parent.resolve() / path))
        return beside if private is None or beside.exists() else Path(os.path.normpath(private.resolve() / path))
    except RuntimeError:
        reader = _Reader(deploy, deploy_file)
        raise reader.error("starts with a home directory that isn't known", at) from None


class _Reader:
    """One deploy.yaml and its surroundings: `top` is the repository's, or deploy.yaml's directory without git."""

    def __init__(self, deploy: Deploy, deploy_file: Path) -> None:
        self._deploy, self._file = deploy, deploy_file
        self._base = deploy_file.parent.resolve()
        worktree = find_top(self._base)
        self._in_git = worktree is not None
        self.top = worktree or self._base

    def error(self, what: str, at: Location, hint: str | None = None) -> DesiredStateError:
        """An error about the value at `at` in deploy.yaml, with its line where the file can still be read."""
        return DesiredStateError(
            clip(what, 240),
            file=clip(str(self._file), 4096),
            line=line_in(self._file, at),
            path=show_path(at),
            hint=hint,
        )

    def read(self) -> SourceTree:
        """The tree of the Compose files. Raises DesiredStateError and GitFailed."""
        compose = [self._compose_file(path, at) for path, at in self._compose()]
        root = PurePosixPath(
            os.path.commonpath([path.parent for path in compose]) if len(compose) > 1 else compose[0].parent
        )
        try:
            listing = {entry.path: entry for entry in self._listed(root)}
            files = read_tree(self.top, root, listing)
        except Unfit as error:
            raise self.error(error.what, ("compose",), error.hint) from None
        except GitMissing as error:
            raise self.error(str(error), ("compose",), "it knows which files are ignored, and so never sent") from None
        sent = {file.path for file in files}
        for path, (_, at) in zip(compose, self._compose(), strict=True):
            if path.relative_to(root) not in sent:
                raise self.error(f"`{path}` isn't a file that git would add", at, "is it ignored, or spelt otherwise?")
        template = self._deploy.env.template
        return SourceTree(
            root=root,
            files=files,
            compose=tuple(path.relative_to(root) for path in compose),
            template=self.locate(template, ("env", "template")) if template else None,
        )

    def locate(self, path: PurePosixPath, at: Location) -> PurePosixPath:
        """`path` of deploy.yaml as a path below `top`, its directories real.

        Raises DesiredStateError if it leads out.
        """
        inside = "the repository" if self._in_git else "deploy.yaml's directory"
        place = Path(os.path.normpath(self._base / path))
        if not place.is_relative_to(self.top):
            raise self.error(f"`{path}` leads out of {inside}", at)
        try:
            place = place.parent.resolve() / place.name
            real = place.resolve()
        except (OSError, RuntimeError):
            raise self.error(f"`{path}` leads through a symbolic link that has no end", at) from None
        if not (place.is_relative_to(self.top) and real.is_relative_to(self.top)):
            raise self.error(f"`{path}` leads out of {inside} through a symbolic link", at)
        return PurePosixPath(place.relative_to(self.top).as_posix())

    def _compose(self) -> list[tuple[PurePosixPath, Location]]:
        paths = self._deploy.compose
        return [
            (path, ("compose", position) if len(paths) > 1 else ("compose",)) for position, path in enumerate(paths)
        ]

    def _compose_file(self, path: PurePosixPath, at: Location) -> PurePosixPath:
        place = self.locate(path, at)
        try:
            check_file(self.top / place)
        except Unreadable as error:
            raise self.error(f"`{path}` {error.what}", at, error.hint) from None
        return place

    def _listed(self, root: PurePosixPath) -> list[Listed]:
        """What may be sent from `root`; refuses values in plain text and identities that git tracks."""
        private = self._private()
        entries = list_worktree(self.top, [root, *private]) if self._in_git else list(walk(self.top, root))
        for entry in entries:
            if entry.path in private and entry.mode is not None and not self._is_encrypted(entry.path):
                hint = "`git rm --cached` it, ignore it, and change the secrets that it held"
                raise self.error(self._tracked(entry.path, private[entry.path]), private[entry.path], hint)
        # A record that a pass commits must not look like a change of the sources to the next one.
        records = self.locate(self._deploy.records.dir, ("records", "dir"))
        return [
            entry
            for entry in entries
            if entry.path.is_relative_to(root)
            and entry.path not in private
            and not entry.path.is_relative_to(records)
            and (
                entry.mode is not None
                or not any(part.startswith(".env") for part in entry.path.relative_to(root).parts)
            )
        ]

    def _is_encrypted(self, path: PurePosixPath) -> bool:
        values = self._deploy.env.values
        if values is None or not values.is_encrypted or path.suffix != AGE:
            return False
        try:
            return is_age(read_regular(self.top / path, LARGEST_TEMPLATE * 2)[:100])
        except Unreadable:
            return True  # it is deleted, or whoever needs it says what is wrong with it

    def _private(self) -> dict[PurePosixPath, Location]:
        """Paths below `top` that are never sent, by their names and by what they link to: the values file (and the
        plain one that an encrypted one was made from), the identity; each with its place in deploy.yaml."""
        values, identity = values_path(self._deploy, self._file), identity_path(self._deploy, self._file)
        named = [(values, ("env", "values")), (identity, ("env", "identity", "file"))]
        if values is not None and values.suffix == AGE:
            named.append((values.with_suffix(""), ("env", "values")))
        found: dict[PurePosixPath, Location] = {}
        for path, at in named:
            try:
                places = {path, path.parent.resolve() / path.name, path.resolve()} if path else set()
            except (OSError, RuntimeError):
                raise self.error("leads through a symbolic link that has no end", at) from None
            inside = (place.relative_to(self.top) for place in places if place.is_relative_to(self.top))
            found |= {PurePosixPath(place.as_posix()): at for place in inside}
        return found

    def _tracked(self, path: PurePosixPath, at: Location) -> str:
        """What is wrong with a private file that git tracks."""
        if at[:2] == ("env", "identity"):
            return "is a secret key, and tracked by git"
        values = self._deploy.env.values
        beside = values is not None and values.is_encrypted and path.suffix != AGE
        return (
            f"`{path}`, from which it is made, is tracked by git in plain text"
            if beside
            else ("is tracked by git in plain text")
        )
