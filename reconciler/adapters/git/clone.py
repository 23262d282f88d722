"""The daemon's own clone: bare, of one branch, with a tree on the disk for each commit that is worked with.

A remote that is down, a clone that is broken and a disk that is full are all the same to whoever asks: GitFailed, and
what was fetched before is as it was. A clone that git can't read any more is made anew; nothing in it is the only copy.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Collection
from pathlib import Path

from reconciler.adapters.git.remote import Remote
from reconciler.adapters.git.repository import GitRepository
from reconciler.adapters.git.run import GitFailed, git

_AS_COMMITTED = ("-c", "core.autocrlf=false", "-c", "core.symlinks=true", "-c", f"core.hooksPath={os.devnull}")


class Clone(GitRepository):
    """Thread-safe: one at a time talks to the remote; one thread makes trees.

    `directory` is the clone's alone; it is made at the first fetch. `signers` is a file of allowed signers.
    """

    def __init__(self, directory: Path, remote: Remote, branch: str, signers: Path | None = None) -> None:
        super().__init__(directory / "repo.git", remote, branch, signers)
        self._trees = directory / "trees"

    def fetch(self, branch: str | None = None) -> str:
        """The commit that the branch is at on the remote, here with all its history. Raises GitFailed, GitMissing."""
        branch = branch or self._branch
        with self._far:
            if not self._is_repository():
                self._fetch_anew(branch)
                return self.head(branch)
            try:
                self._fetch(branch)
            except GitFailed:
                # Whom is it due to? A remote that answers others leaves the clone; without an answer it is the remote.
                asked = ["ls-remote", "--quiet", "--exit-code", self._remote.url, f"refs/heads/{branch}"]
                self.git_far(*asked, cwd=self._directory.parent)
                self._fetch_anew(branch)
            return self.head(branch)

    def tree(self, commit: str) -> Path:
        """The files of a commit, on the disk as they were committed. Raises GitFailed."""
        place, whole = self._trees / commit, self._trees / f"{commit}.whole"
        if whole.exists() and place.is_dir():
            return place
        self._trees.mkdir(parents=True, exist_ok=True)
        whole.unlink(missing_ok=True)
        shutil.rmtree(place, ignore_errors=True)
        self.git("worktree", "prune")
        try:
            self._check_out(commit, place)
        except GitFailed:
            if self._can_read(commit):
                raise
            with self._far:
                self._fetch_anew(self._branch)
            self._check_out(commit, place)
        whole.touch()
        return place

    def forget_trees(self, besides: Collection[str]) -> None:
        """Removes the trees of all other commits."""
        for place in self._trees.glob("*") if self._trees.is_dir() else ():
            if place.name.removesuffix(".whole") not in besides:
                shutil.rmtree(place, ignore_errors=True) if place.is_dir() else place.unlink(missing_ok=True)

    def _is_repository(self) -> bool:
        try:
            self.git("rev-parse", "--git-dir")
        except GitFailed:
            return False
        return True

    def _check_out(self, commit: str, place: Path) -> None:
        self.git(*_AS_COMMITTED, "worktree", "add", "--quiet", "--force", "--detach", str(place), commit)

    def _can_read(self, commit: str) -> bool:
        """Whether every file of the commit is here. A full disk changes nothing about that."""
        try:
            self.git("archive", "--output", os.devnull, "--format", "tar", commit)
        except GitFailed:
            return False
        return True

    def _fetch_anew(self, branch: str) -> None:
        """A new clone in the place of this one, which stays until the new one is whole."""
        fresh = self._directory.with_name("fresh.git")
        shutil.rmtree(fresh, ignore_errors=True)
        fresh.parent.mkdir(parents=True, exist_ok=True)
        try:
            git(["init", "--quiet", "--bare", "--template=", str(fresh)], fresh.parent)
            self._fetch(branch, fresh)
        except GitFailed:
            shutil.rmtree(fresh, ignore_errors=True)
            raise
        shutil.rmtree(self._directory, ignore_errors=True)
        fresh.rename(self._directory)
        for whole in self._trees.glob("*.whole"):
            whole.unlink(missing_ok=True)  # git's administration of them was in the old one
