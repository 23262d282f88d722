"""At which commit the desired state is."""

from __future__ import annotations

from pathlib import Path

from reconciler.adapters.git.run import GitFailed, GitMissing, git


def commit_of(file: Path) -> str | None:
    """The commit that `file` is at, with `-dirty` where the working tree has changes; None without git or commits."""
    try:
        said = git(["describe", "--always", "--dirty", "--abbrev=40", "--exclude", "*"], file.resolve().parent)
    except (GitFailed, GitMissing):
        return None
    return said.decode("ascii", "replace").strip() or None
