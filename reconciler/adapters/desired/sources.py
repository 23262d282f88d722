"""The files that deploy.yaml refers to: the Compose files' directory, the env template, the place of the values."""

from __future__ import annotations

import os
from pathlib import Path, PurePosixPath

from reconciler.adapters.desired.files import Unreadable, read_regular
from reconciler.adapters.desired.load import line_in
from reconciler.adapters.desired.tree import Unfit, check_file, read_tree, walk
from reconciler.adapters.desired.wording import clip, show_path
from reconciler.adapters.git.run import GitMissing
from reconciler.adapters.git.worktree import Listed, find_top, list_worktree
from reconciler.model.base import Location
from reconciler.model.deploy import Deploy
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


def values_path(deploy: Deploy, deploy_file: Path) -> Path | None:
    """Where the env values are, absolute; None where there are none.

    Raises DesiredStateError for a `~user` that isn't known.
    """
    if deploy.env.values is None:
        return None
    try:
        return Path(os.path.normpath(deploy_file.parent.resolve() / Path(deploy.env.values).expanduser()))
    except RuntimeError:
        reader = _Reader(deploy, deploy_file)
        raise reader.error("starts with a home directory that isn't known", ("env", "values")) from None


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
        """What may be sent from `root`; refuses a values file that git tracks."""
        values = self._values_inside()
        entries = list_worktree(self.top, [root, *values]) if self._in_git else list(walk(self.top, root))
        if any(entry.path in values and entry.mode is not None for entry in entries):
            hint = "`git rm --cached` it, ignore it, and change the secrets that it held"
            raise self.error("is tracked by git in plain text", ("env", "values"), hint)
        # A record that a pass commits must not look like a change of the sources to the next one.
        records = self.locate(self._deploy.records.dir, ("records", "dir"))
        return [
            entry
            for entry in entries
            if entry.path.is_relative_to(root)
            and entry.path not in values
            and not entry.path.is_relative_to(records)
            and (
                entry.mode is not None
                or not any(part.startswith(".env") for part in entry.path.relative_to(root).parts)
            )
        ]

    def _values_inside(self) -> set[PurePosixPath]:
        """The values file's path below `top`, by its name and by what it links to; empty where it lies outside."""
        values = values_path(self._deploy, self._file)
        try:
            places = {values, values.parent.resolve() / values.name, values.resolve()} if values else set()
        except (OSError, RuntimeError):
            raise self.error("leads through a symbolic link that has no end", ("env", "values")) from None
        return {
            PurePosixPath(place.relative_to(self.top).as_posix()) for place in places if place.is_relative_to(self.top)
        }
