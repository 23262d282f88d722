"""What git says of the files in a working tree: which it tracks or would track, their modes and line endings."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from reconciler.adapters.git.run import GitFailed, git
from reconciler.dataclass import dataclass

_TRACKED = re.compile(rb"(?P<mode>\d{6}) [0-9a-f]+ (?P<stage>\d)\t(?P<rest>.*)", re.DOTALL)
_ENDINGS = re.compile(rb"i/(?P<index>\S*) *w/(?P<tree>\S*) *attr/(?P<attr>[^\t]*)\t(?P<path>.*)", re.DOTALL)

SYMLINK, SUBMODULE, EXECUTABLE = 0o120000, 0o160000, 0o100755
"""Modes in git's index."""


@dataclass(frozen=True, slots=True)
class Listed:
    """A path that git tracks, or would track: neither tracked nor ignored (`mode` is None).

    `crlf` says that git would store its CRLF line endings as LF. `unmerged` says that a merge left a conflict in it. A
    path that is `nested` is a directory with a repository of its own.
    """

    path: PurePosixPath
    mode: int | None
    crlf: bool = False
    unmerged: bool = False
    nested: bool = False


def find_top(directory: Path) -> Path | None:
    """The top of the working tree that `directory` (resolved) is in; None outside of git."""
    return next((each for each in (directory, *directory.parents) if (each / ".git").exists()), None)


def list_worktree(top: Path, paths: Sequence[PurePosixPath]) -> list[Listed]:
    """Everything at or below `paths` (relative to `top`) that git doesn't ignore; paths relative to `top`, sorted.

    One call of git; a second one where line endings depend on `core.autocrlf`. Raises GitMissing or GitFailed.
    """
    wanted = ["-z", "--cached", "--others", "--exclude-standard", "--stage", "--eol"]
    output = git(["ls-files", *wanted, "--", *map(str, paths)], top)
    entries = [_Entry.parse(line) for line in output.split(b"\0") if line]
    autocrlf = any(entry.needs_autocrlf for entry in entries) and _autocrlf(top)
    listed = {entry.path: entry.listed(autocrlf=autocrlf) for entry in entries}
    return [listed[path] for path in sorted(listed)]


def _autocrlf(top: Path) -> bool:
    try:
        setting = git(["config", "--get", "core.autocrlf"], top).strip().lower()
    except GitFailed as error:
        if error.status == 1:  # not set
            return False
        raise
    return setting in (b"true", b"input", b"yes", b"on", b"1")


@dataclass(frozen=True, slots=True)
class _Entry:
    """One line of `git ls-files --stage --eol`."""

    path: PurePosixPath
    mode: int | None
    stage: int
    index: bytes
    tree: bytes
    attr: bytes
    nested: bool

    @classmethod
    def parse(cls, line: bytes) -> _Entry:
        tracked = _TRACKED.fullmatch(line)
        endings = _ENDINGS.fullmatch(tracked["rest"] if tracked else line)
        if endings is None:
            raise GitFailed(f"git ls-files: not understood: {line[:60]!r}", status=0)
        try:
            path = endings["path"].decode()
        except UnicodeDecodeError:
            raise GitFailed(f"git ls-files: a file name isn't UTF-8: {endings['path']!r}", status=0) from None
        return cls(
            path=PurePosixPath(path),
            mode=int(tracked["mode"], 8) if tracked else None,
            stage=int(tracked["stage"]) if tracked else 0,
            index=endings["index"],
            tree=endings["tree"],
            attr=endings["attr"].strip(),
            nested=path.endswith("/"),
        )

    @property
    def has_crlf(self) -> bool:
        return self.tree in (b"crlf", b"mixed")

    @property
    def needs_autocrlf(self) -> bool:
        """Whether only `core.autocrlf` can say what git would store."""
        return self.has_crlf and not self.attr

    def listed(self, *, autocrlf: bool) -> Listed:
        """Source of the line endings' rule: gitattributes(5), "text" (what is CRLF in the index stays with `auto`)."""
        guessed = self.attr.startswith(b"text=auto") or (autocrlf and not self.attr)
        declared = not guessed and re.match(rb"text\b|eol=", self.attr) is not None
        crlf = self.has_crlf and (declared or (guessed and self.index in (b"", b"lf", b"none")))
        return Listed(self.path, self.mode, crlf=crlf, unmerged=self.stage > 0, nested=self.nested)
