"""The statuses of the commits that are deployed, from what the daemon sees, decided by `core.commit_marks`."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from reconciler.core import commit_marks
from reconciler.core.notices import Sighting
from reconciler.cycle.result import PassResult
from reconciler.cycle.status import Status
from reconciler.daemon import notebook
from reconciler.daemon.board import SourceView
from reconciler.daemon.courier import Courier
from reconciler.daemon.notify import FLUSH, Count, sighting
from reconciler.daemon.revision import Revision
from reconciler.model.notice import CommitBook, CommitMark
from reconciler.ports import Happening
from reconciler.ports.telling import Forge

KIND: Final = "commit_status"
"""The kind under which these are counted."""

_Change = Callable[[CommitBook], tuple[CommitBook, tuple[CommitMark, ...]]]


class CommitStatuses:
    """Implements `service.Listener`. `name` is the forge's, `file` where it remembers (None: nowhere); `mask` hides
    whatever must not be shown."""

    def __init__(
        self,
        app: str,
        name: str,
        forge: Forge,
        *,
        file: Path | None,
        mask: Callable[[str], str],
        count: Count = lambda _kind, _ok: None,
    ) -> None:
        self._app = app
        self._file = file
        self._mask = mask
        self._lock = threading.Lock()
        self._saving = threading.Lock()
        self._courier = Courier[CommitMark](
            name,
            lambda items, timeout: forge.mark(items, timeout=timeout),
            changed=self._save,
            outcome=lambda _item, ok: count(KIND, ok),
        )
        self._book = notebook.load(file, CommitBook())
        self._courier.put(self._book.waiting)

    def start(self) -> None:
        """Begins to set them; what waited when the last daemon ended goes first."""
        self._courier.start()

    def stop(self, timeout: float = FLUSH) -> None:
        """Tries once more, and remembers the rest; `timeout` seconds at most."""
        self._courier.stop()
        self._courier.join(timeout)
        self._save()

    def at_once(self, timeout: float) -> None:
        """For a single pass, without a thread: sets what there is, and remembers the rest."""
        self._courier.attempt(timeout)
        self._save()

    def started(self, loop: str, every: float) -> None:
        return

    def turned(self, loop: str) -> None:
        return

    def noticed(self, target: str, happening: Happening) -> None:
        return

    def connection(self, target: str, *, up: bool, why: str) -> None:
        return

    def pushed(self, *, ok: bool, why: str) -> None:
        return

    def expected(self, revision: Revision) -> None:
        if revision.commit is not None:
            self.desired(revision.commit, revision.deploy.tag)

    def asked(self, view: SourceView, *, ok: bool) -> None:
        commit = view.refused
        if commit is not None and commit_marks.is_markable(commit):
            self._change(lambda book: commit_marks.refused(book, commit, self._mask(view.trouble), now=_now()))

    def passed(self, revision: Revision, result: PassResult, now: Status) -> None:
        self.saw(revision.commit, revision.deploy.targets, sighting(self._app, result, revision.commit, _now()))

    def desired(self, commit: str, tag: str) -> None:
        """This commit is asked for from now on."""
        if commit_marks.is_markable(commit):
            self._change(lambda book: commit_marks.desired(book, commit, tag, now=_now()))

    def saw(self, commit: str | None, targets: Collection[str], seen: Sighting) -> None:
        """A pass over one of `targets` that wanted `commit` is over."""
        if commit is not None and commit_marks.is_markable(commit):
            self._change(lambda book: commit_marks.passed(book, commit, tuple(targets), seen))

    def _change(self, change: _Change) -> None:
        with self._lock:
            self._book, marks = change(self._book)
            self._courier.put([each.model_copy(update={"text": self._mask(each.text)}) for each in marks])

    def _save(self) -> None:
        with self._saving:
            with self._lock:
                book = self._book.model_copy(update={"waiting": self._courier.waiting()})
            notebook.save(self._file, book)


def _now() -> datetime:
    return datetime.now(UTC)
