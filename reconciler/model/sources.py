"""The files that a release is made from, as git has them."""

from __future__ import annotations

import hashlib
from pathlib import PurePosixPath

from reconciler.dataclass import dataclass


@dataclass(frozen=True, slots=True)
class SourceFile:
    """One regular file: its path below the tree's root, its mode (0o644 or 0o755) and its content."""

    path: PurePosixPath
    mode: int
    data: bytes

    @property
    def digest(self) -> str:
        """The content's SHA-256, in hex."""
        return hashlib.sha256(self.data).hexdigest()


@dataclass(frozen=True, slots=True)
class SourceTree:
    """The directory of the Compose files.

    `root` is relative to the repository (without git: to deploy.yaml's directory), and so is `template`, which may lie
    outside of `root`. `files` are sorted by path; `compose` is relative to `root`, in the order in which they apply.
    """

    root: PurePosixPath
    files: tuple[SourceFile, ...]
    compose: tuple[PurePosixPath, ...]
    template: PurePosixPath | None = None
