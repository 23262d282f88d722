"""Which commit of the followed branch may be deployed: one that goes on from the last, signed by the right people.

A remote can be wrong by accident or on purpose: a branch that was rewritten, an old commit put in front again, a commit
by somebody who may push and not deploy. None of these changes anything on a target (DESIGN P1; the daemon's issue).
"""

from __future__ import annotations

from pathlib import PurePosixPath

from reconciler.model.errors import Blocked
from reconciler.ports import Repository

MOST_WALKED = 1000
"""Commits that only brought records, in a row."""


class Untrusted(Blocked):
    """The branch is at a commit that isn't deployed; the message says why, and what a person can do."""


def deployable(
    repository: Repository,
    head: str,
    accepted: str | None,
    *,
    branch: str,
    signed: bool,
    records: PurePosixPath,
) -> str:
    """The newest commit up to `head` that may be deployed, given the one that was `accepted` last.

    With `signed`, commits that change nothing but records (below the directory `records`, relative to the repository's
    top) need no signature: the daemon makes them itself. What counts is the signed commit below them.
    Raises Untrusted, and GitFailed where git can't tell.
    """
    if accepted is not None and not (repository.has(accepted) and repository.descends(head, accepted)):
        raise Untrusted(
            f"the history of {branch} was rewritten: {head[:12]} doesn't come after {accepted[:12]}, which was deployed"
            f" last; nothing is changed. If that is as it should be: `reconcile run --accept {head[:12]}`"
        )
    if not signed:
        return head
    commit = head
    for _ in range(MOST_WALKED):
        if commit == accepted or repository.is_signed(commit):
            # An old signed commit below a merge is no way back in time.
            return commit if accepted is None or repository.descends(commit, accepted) else accepted
        parent = repository.parent(commit)
        if parent is None or not _only_records(repository.changed(parent, commit), records):
            raise Untrusted(
                f"{commit[:12]} on {branch} isn't signed by one of git.require_signed, and nothing is changed; sign it"
                " (`git commit --amend -S`, or a signed commit on top), or take it back"
            )
        commit = parent
    raise Untrusted(f"no signed commit among the last {MOST_WALKED} on {branch}; nothing is changed")


def _only_records(changed: tuple[str, ...], records: PurePosixPath) -> bool:
    return all(PurePosixPath(path).is_relative_to(records) for path in changed)
