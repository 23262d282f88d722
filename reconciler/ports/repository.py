"""The repository that is followed."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Protocol

Changes = Callable[[str], Mapping[str, bytes]]
"""Paths and their new contents, for the commit that they are put on; nothing: there is nothing to do."""


class Publisher(Protocol):
    """A repository that one can push to. Both methods raise a ReconcilerError where git can't; nothing is lost then.

    Commits are full hexadecimal ids, paths are relative to the repository's top.
    """

    def read(self, commit: str, path: str) -> bytes | None:
        """A file's content in a commit; None where there is no such file."""

    def publish(self, branch: str | None, changes: Changes, message: str) -> str | None:
        """Pushes one commit with `changes` to `branch` (None: the followed one), on top of whatever it is at by then.

        Gives the commit; None where there was nothing to change. An error means that the remote is as it was.
        """


class Repository(Publisher, Protocol):
    """A clone of the followed branch. Every method raises a ReconcilerError where git can't tell."""

    def fetch(self) -> str:
        """The commit that the branch is at on the remote, from now on here with all its history."""

    def has(self, commit: str) -> bool:
        """Whether the commit is here."""

    def descends(self, commit: str, ancestor: str) -> bool:
        """Whether `ancestor` is in the history of `commit`; also where they are the same."""

    def parent(self, commit: str) -> str | None:
        """The first parent; None for a first commit."""

    def between(self, older: str, newer: str) -> tuple[str, ...]:
        """First parents from `older` to `newer`, neither of them included, oldest first."""

    def changed(self, older: str, newer: str) -> tuple[str, ...]:
        """Paths that differ between two commits."""

    def is_signed(self, commit: str) -> bool:
        """Whether one of the allowed signers signed the commit."""

    def tree(self, commit: str) -> Path:
        """The files of a commit, on the disk as they were committed."""

    def forget_trees(self, besides: Collection[str]) -> None:
        """Removes the trees of all other commits."""
