"""The files below one directory, as git has them: listed, checked and read; ignored ones, where secrets live, never."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath

from reconciler.adapters.desired.files import Unreadable, check_regular, read_regular
from reconciler.adapters.git.worktree import EXECUTABLE, SUBMODULE, SYMLINK, Listed
from reconciler.model.sources import SourceFile

MOST_FILES = 5_000
MOST_BYTES = 64 * 2**20
OWN_DIRECTORY = "give the Compose files a directory of their own, or ignore what the app doesn't need"

Listing = Mapping[PurePosixPath, Listed]
"""What may be sent, by its path in the repository."""


class Unfit(Exception):
    """A file of the tree can't be sent. `what` is a whole sentence that names it; `hint` says what to do."""

    def __init__(self, what: str, hint: str | None = None) -> None:
        self.what, self.hint = what, hint
        super().__init__(what)


def walk(top: Path, root: PurePosixPath) -> Iterator[Listed]:
    """Everything below `root`, where there is no git to ask. Raises Unfit for more than 5,000 files."""
    seen = 0
    for directory, names, files in os.walk(top / root):
        place = Path(directory)
        links = [name for name in names if (place / name).is_symlink()]
        for name in [*links, *files]:
            seen += 1
            _check_count(seen, root)
            yield Listed(PurePosixPath((place / name).relative_to(top).as_posix()), None)


def read_tree(top: Path, root: PurePosixPath, listing: Listing) -> tuple[SourceFile, ...]:
    """The files of `listing`, with paths below `root`, sorted. What git tracks and someone deleted is left out.

    Raises Unfit for what isn't a regular file or leads out of `root`, and for more than 5,000 files or 64 MiB.
    """
    _check_count(len(listing), root)
    files, total = [], 0
    checked: set[Path] = {top / root}
    for path in sorted(listing):
        _refuse_linked_directory(top, path, checked)
        if not os.path.lexists(top / path):
            continue
        source = _followed(top, path, listing)
        try:
            data = read_regular(top / source.path, MOST_BYTES - total)
        except Unreadable as error:
            if error.what.startswith("is too large"):
                raise Unfit(f"`{root}` holds more than {MOST_BYTES // 2**20} MiB", OWN_DIRECTORY) from None
            raise Unfit(f"`{path}` {error.what}", error.hint) from None
        total += len(data)
        data = data.replace(b"\r\n", b"\n") if source.crlf else data
        files.append(SourceFile(path.relative_to(root), _mode(top, source), data))
    return tuple(files)


def _check_count(files: int, root: PurePosixPath) -> None:
    if files > MOST_FILES:
        raise Unfit(f"`{root}` holds more than {MOST_FILES} files", OWN_DIRECTORY)


def _refuse_linked_directory(top: Path, path: PurePosixPath, checked: set[Path]) -> None:
    for parent in (top / path).parents:
        if parent in checked or parent == top:
            return
        if parent.is_symlink():
            link = parent.relative_to(top).as_posix()
            raise Unfit(f"`{link}` is a symbolic link where git has a directory", "put the directory back")
        checked.add(parent)


def _followed(top: Path, path: PurePosixPath, listing: Listing) -> Listed:
    """The entry whose content stands at `path`: its own, or that of the file that a symbolic link leads to."""
    entry = listing[path]
    if entry.nested or entry.mode == SUBMODULE:
        raise Unfit(f"`{path}` is a git repository of its own", "copy its files here, or ignore it")
    if entry.unmerged:
        raise Unfit(f"`{path}` has a merge conflict", "resolve it and `git add` the file")
    if not (top / path).is_symlink():
        if entry.mode == SYMLINK:
            raise Unfit(
                f"`{path}` is a symbolic link that this checkout holds as text", "git config core.symlinks true"
            )
        return entry
    try:
        target = PurePosixPath((top / path).resolve().relative_to(top).as_posix())
    except (ValueError, OSError, RuntimeError):  # out of the repository; a loop
        target = path
    if target not in listing or (top / target).is_symlink():
        raise Unfit(
            f"`{path}` is a symbolic link to something that isn't sent with it",
            "only files in the Compose files' directory are sent, and none that git ignores",
        )
    return listing[target]


def _mode(top: Path, entry: Listed) -> int:
    """Git's mode where git has one: Windows' file system knows none."""
    if entry.mode is not None:
        executable = entry.mode == EXECUTABLE
    else:
        executable = os.name == "posix" and bool((top / entry.path).stat().st_mode & stat.S_IXUSR)
    return 0o755 if executable else 0o644


def check_file(path: Path) -> None:
    """Raises Unreadable unless `path` leads to a regular file; doesn't open it."""
    try:
        check_regular(path.stat().st_mode)
    except FileNotFoundError:
        raise Unreadable("doesn't exist") from None
    except OSError as error:
        raise Unreadable(f"can't be read: {error.strerror}") from None
