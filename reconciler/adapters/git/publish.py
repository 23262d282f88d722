"""Commits that are made on top of what the remote has, and pushed: no working tree, no merge, and so no conflict.

What changes is said as a function of the commit that it is put on. Where somebody else pushed in between, the remote
refuses; then the same function is asked about the new commit. So a push is either whole or has not happened.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping
from pathlib import Path

from reconciler.adapters.git.repository import GitRepository
from reconciler.adapters.git.run import GitFailed
from reconciler.ports import Changes

ATTEMPTS = 5
"""Pushes that others may be faster than."""
AUTHOR = {
    "GIT_AUTHOR_NAME": "reconciler",
    "GIT_AUTHOR_EMAIL": "reconciler@localhost",
    "GIT_COMMITTER_NAME": "reconciler",
    "GIT_COMMITTER_EMAIL": "reconciler@localhost",
}


def publish(repository: GitRepository, branch: str, *, fallback: str, changes: Changes, message: str) -> str | None:
    """Pushes one commit with `changes` to `branch`; where that doesn't exist yet, it begins at `fallback`.

    Gives the commit, or None where there was nothing to change. Raises GitFailed where the remote is down, forbids it
    (a protected branch) or somebody else was faster `ATTEMPTS` times: then the remote is as it was.
    """
    for attempt in range(ATTEMPTS):
        base = _base(repository, branch, fallback)
        made = _commit(repository, base, changes(base), message)
        if made is None:
            return None
        try:
            repository.git_far("push", "--quiet", "--no-verify", repository.url, f"{made}:refs/heads/{branch}")
        except GitFailed:
            if attempt + 1 == ATTEMPTS or _base(repository, branch, fallback) == base:
                raise
        else:
            return made
    raise AssertionError("the last attempt returns or raises")


def _base(repository: GitRepository, branch: str, fallback: str) -> str:
    try:
        return repository.fetch(branch)
    except GitFailed:
        if branch == fallback:
            raise
        said = repository.git_far("ls-remote", "--quiet", repository.url, f"refs/heads/{branch}")
        if said.strip():
            raise
        return repository.fetch(fallback)


def _commit(repository: GitRepository, base: str, changes: Mapping[str, bytes], message: str) -> str | None:
    """A commit on `base`, only in the repository so far. An index of its own: nothing else there knows of it."""
    with tempfile.TemporaryDirectory(prefix="reconciler-") as private:
        own = {"GIT_INDEX_FILE": str(Path(private) / "index")}
        repository.git("read-tree", base, env=own)
        for path, content in sorted(changes.items()):
            blob = repository.git("hash-object", "-w", "--stdin", stdin=content).decode("ascii").strip()
            mode = _mode(repository, base, path)
            repository.git("update-index", "--add", "--cacheinfo", f"{mode},{blob},{path}", env=own)
        tree = repository.git("write-tree", env=own).decode("ascii").strip()
    if tree == repository.git("rev-parse", f"{base}^{{tree}}").decode("ascii").strip():
        return None
    made = repository.git("commit-tree", tree, "-p", base, "-F", "-", stdin=message.encode(), env=_author())
    return made.decode("ascii").strip()


def _mode(repository: GitRepository, base: str, path: str) -> str:
    entry = repository.git("ls-tree", base, "--", path).decode("ascii", "replace")
    return entry.partition(" ")[0] or "100644"


def _author() -> dict[str, str]:
    """Whoever git says that runs this, where it says so; else the reconciler."""
    return {name: os.environ.get(name) or default for name, default in AUTHOR.items()}
