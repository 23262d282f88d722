"""A repository and its remote: what the remote has, what a commit holds, and commits that are put on top of it."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from pathlib import Path

from reconciler.adapters.git.remote import Remote
from reconciler.adapters.git.run import GitFailed, git
from reconciler.ports import Changes


class GitRepository:
    """`directory` is the repository's own (bare), or one with a working tree, which is left alone.

    Thread-safe: one at a time talks to the remote. `signers` is a file of allowed signers. Everything raises GitFailed
    or GitMissing where git can't tell.
    """

    def __init__(self, directory: Path, remote: Remote, branch: str, signers: Path | None = None) -> None:
        self._directory = directory
        self._remote = remote
        self._branch = branch
        self._signers = signers
        self._far = threading.RLock()

    def fetch(self, branch: str | None = None) -> str:
        """The commit that the branch is at on the remote, from now on here with all its history."""
        branch = branch or self._branch
        with self._far:
            self._fetch(branch)
            return self.head(branch)

    def head(self, branch: str | None = None) -> str:
        """The commit that was fetched last. Raises GitFailed where there is none."""
        said = self.git("rev-parse", "--verify", "--quiet", f"refs/remotes/origin/{branch or self._branch}^{{commit}}")
        return said.decode("ascii").strip()

    def resolve(self, commit: str) -> str:
        """The full id of a commit, given by its beginning. Raises GitFailed."""
        return self.git("rev-parse", "--verify", "--end-of-options", f"{commit}^{{commit}}").decode("ascii").strip()

    def has(self, commit: str) -> bool:
        """Whether the commit is here."""
        return self._holds("cat-file", "-e", f"{commit}^{{commit}}")

    def descends(self, commit: str, ancestor: str) -> bool:
        """Whether `ancestor` is in the history of `commit`; also where they are the same. Raises GitFailed."""
        return self._holds("merge-base", "--is-ancestor", ancestor, commit)

    def parent(self, commit: str) -> str | None:
        """The first parent; None for a first commit. Raises GitFailed."""
        words = self.git("rev-list", "--parents", "--max-count=1", commit).decode("ascii").split()
        return words[1] if len(words) > 1 else None

    def between(self, older: str, newer: str) -> tuple[str, ...]:
        """First parents from `older` to `newer`, neither of them included, oldest first. Raises GitFailed."""
        said = self.git("rev-list", "--first-parent", "--reverse", f"{older}..{newer}^").decode("ascii")
        return tuple(said.split())

    def changed(self, older: str, newer: str) -> tuple[str, ...]:
        """Paths that differ between two commits. Raises GitFailed."""
        said = self.git("diff-tree", "-r", "-z", "--name-only", "--no-renames", older, newer)
        return tuple(path.decode(errors="surrogateescape") for path in said.split(b"\0") if path)

    def is_signed(self, commit: str) -> bool:
        """Whether an allowed signer signed the commit by an SSH key. Raises GitFailed where that can't be found out."""
        if self._signers is None or not self._signers.is_file():
            raise GitFailed(f"git.require_signed: there is no file {self._signers}", status=None)
        allowed = ["-c", f"gpg.ssh.allowedSignersFile={self._signers}", "-c", "gpg.minTrustLevel=fully"]
        # A key ring of this machine's user knows people that the file doesn't name.
        rings = ["-c", "gpg.program=false", "-c", "gpg.x509.program=false"]
        return self._holds(*allowed, *rings, "verify-commit", commit)

    def read(self, commit: str, path: str) -> bytes | None:
        """A file's content in a commit; None where there is no such file."""
        try:
            return self.git("cat-file", "blob", f"{commit}:{path}")
        except GitFailed:
            return None

    def publish(self, branch: str | None, changes: Changes, message: str) -> str | None:
        """See `reconciler.adapters.git.publish`."""
        from reconciler.adapters.git.publish import publish

        with self._far:
            return publish(self, branch or self._branch, fallback=self._branch, changes=changes, message=message)

    def git(self, *args: str, stdin: bytes = b"", env: Mapping[str, str] | None = None) -> bytes:
        """Runs git in the repository, without the remote. Raises GitFailed, GitMissing."""
        return git(args, self._directory, stdin=stdin, env=env)

    def git_far(self, *args: str, cwd: Path | None = None) -> bytes:
        """Runs git with the means to get into the remote, in the repository or in `cwd`. Raises likewise."""
        return git(args, cwd or self._directory, self._remote.timeout, env=self._remote.environment())

    @property
    def url(self) -> str:
        """The remote's address."""
        return self._remote.url

    def _fetch(self, branch: str, into: Path | None = None) -> None:
        wanted = f"+refs/heads/{branch}:refs/remotes/origin/{branch}"
        # By address: what `origin` means in a configuration file isn't asked.
        self.git_far("fetch", "--quiet", "--no-tags", "--no-write-fetch-head", self._remote.url, wanted, cwd=into)
        git(["rev-parse", "--verify", "--quiet", f"refs/remotes/origin/{branch}^{{tree}}"], into or self._directory)

    def _holds(self, *args: str) -> bool:
        try:
            self.git(*args)
        except GitFailed as error:
            if error.status == 1:
                return False
            raise
        return True
