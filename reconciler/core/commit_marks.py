"""Which status a commit gets: pending until every target has verified it, then success; failure where one took it back
or refused it. Pure.

A description says what and where, and names the record: never what a gate saw or a log said, for it is often public.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from datetime import datetime
from pathlib import PurePath

from reconciler.core.notices import PROVED, Sighting, proof_of
from reconciler.model.notice import Commit, CommitBook, CommitMark
from reconciler.model.notify import CommitState
from reconciler.model.stored import TargetState

MOST_COMMITS = 50
"""Commits that are remembered."""
_FULL = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")
_SETTLED = frozenset({"in_sync", "deployed", "healed", "adopted", "drifted"})
_AGAINST = {
    "reverted": (CommitState.FAILURE, "taken back"),
    "revert_failed": (CommitState.FAILURE, "taken back, and that failed, too"),
    "blocked": (CommitState.FAILURE, "refused or quarantined"),
    "failed": (CommitState.ERROR, "the pass failed"),
}


def is_markable(commit: str | None) -> bool:
    """Whether it is a commit that a forge can know: a whole id, and nothing uncommitted with it."""
    return commit is not None and _FULL.fullmatch(commit) is not None


def desired(book: CommitBook, commit: str, tag: str, *, now: datetime) -> tuple[CommitBook, tuple[CommitMark, ...]]:
    """This commit is what is asked for from now on."""
    if commit in book.commits:
        return book, ()
    mark = CommitMark(commit=commit, state=CommitState.PENDING, text=f"{tag} is on its way", at=now)
    return _with(book, commit, Commit(tag=tag)), (mark,)


def refused(book: CommitBook, commit: str, why: str, *, now: datetime) -> tuple[CommitBook, tuple[CommitMark, ...]]:
    """This commit isn't deployed at all."""
    known = book.commits.get(commit)
    if known is not None and known.state is CommitState.FAILURE:
        return book, ()
    mark = CommitMark(commit=commit, state=CommitState.FAILURE, text=f"not deployed: {why}", at=now)
    return _with(book, commit, Commit(tag="", state=CommitState.FAILURE)), (mark,)


def passed(
    book: CommitBook, commit: str, targets: Collection[str], seen: Sighting
) -> tuple[CommitBook, tuple[CommitMark, ...]]:
    """A pass over one of `targets` that wanted this commit is over."""
    known = book.commits.get(commit) or Commit(tag=seen.tag)
    verdict = _verdict(seen)
    if verdict is None or (verdict is CommitState.ERROR and known.verdicts.get(seen.target) is CommitState.SUCCESS):
        return book, ()
    verdicts = {name: each for name, each in known.verdicts.items() if name in targets} | {seen.target: verdict}
    state = _overall(verdicts, targets)
    book = _with(book, commit, known.model_copy(update={"verdicts": verdicts, "state": state}))
    if state is known.state:
        return book, ()
    if state is CommitState.SUCCESS:
        text = f"{seen.tag} is live and verified on {', '.join(targets)}"
    else:
        text = f"{seen.target}: {_AGAINST[seen.result][1]}{_where(seen)}" if seen.result in _AGAINST else "on its way"
    marks = [CommitMark(commit=commit, state=state, text=text, at=seen.at)]
    if state in {CommitState.SUCCESS, CommitState.FAILURE}:
        book, older = _leave_behind(book, commit, state, text, seen.at)
        marks += older
    return book, tuple(marks)


def _leave_behind(
    book: CommitBook, commit: str, state: CommitState, text: str, now: datetime
) -> tuple[CommitBook, list[CommitMark]]:
    """Older commits that are still pending got no verdict of their own: one that asked for the same tag shares this."""
    marks, after = [], dict(book.commits)
    for name, each in book.commits.items():
        if name == commit:
            break
        if each.state is CommitState.PENDING:
            same = each.tag == book.commits[commit].tag
            became = state if same else CommitState.ERROR
            told = text if same else f"{commit[:12]} came before it was live"
            after[name] = each.model_copy(update={"state": became})
            marks.append(CommitMark(commit=name, state=became, text=told, at=now))
    return book.model_copy(update={"commits": after}), marks


def _verdict(seen: Sighting) -> CommitState | None:
    """What a pass says of the commit; None where it says nothing."""
    if seen.result in _SETTLED:
        return CommitState.SUCCESS if seen.state is not None and _serves(seen.state, seen.tag) else None
    if seen.result == "blocked" and seen.state is not None and seen.desired not in seen.state.quarantine:
        return None  # it waits: for a person's `resume`, or for its window
    return _AGAINST[seen.result][0] if seen.result in _AGAINST else None


def _serves(state: TargetState, tag: str) -> bool:
    past = state.releases.get(state.serving or "")
    return past is not None and past.tag == tag and proof_of(state) in PROVED and state.serving not in state.quarantine


def _overall(verdicts: dict[str, CommitState], targets: Collection[str]) -> CommitState:
    said = set(verdicts.values())
    for state in (CommitState.FAILURE, CommitState.ERROR):
        if state in said:
            return state
    return CommitState.SUCCESS if all(name in verdicts for name in targets) else CommitState.PENDING


def _where(seen: Sighting) -> str:
    return f" (record {PurePath(seen.record).stem})" if seen.record else ""


def _with(book: CommitBook, commit: str, record: Commit) -> CommitBook:
    commits = {**book.commits, commit: record}
    return book.model_copy(update={"commits": dict(list(commits.items())[-MOST_COMMITS:])})
