"""Notifications: what the daemon sees, decided by `core.notices` and `core.troubles`, sent by a courier for each URL.

Whoever reports only hands over: deciding takes microseconds, and writing and sending are other threads'.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from reconciler.core import troubles as lasting
from reconciler.core.notices import Sighting, told
from reconciler.cycle.result import PassResult
from reconciler.cycle.status import Status
from reconciler.daemon import notebook
from reconciler.daemon.board import SourceView
from reconciler.daemon.courier import Courier
from reconciler.daemon.revision import Revision
from reconciler.model.notice import Book, Notice
from reconciler.model.notify import Event
from reconciler.ports import Happening
from reconciler.ports.telling import Messenger, Sent

log = logging.getLogger("reconciler.notify")

FLUSH: Final = 5.0
"""Seconds that the daemon's end may wait for what is still to be sent; the rest is sent by the next one."""

Count = Callable[[str, bool], None]
"""Called with the event of a notification, and whether it went out."""


def sighting(app: str, result: PassResult, commit: str | None, at: datetime) -> Sighting:
    """What a pass came to, for those who decide what to tell."""
    return Sighting(
        app=app,
        target=result.target,
        at=at,
        result=result.result,
        message=result.message,
        tag=result.tag,
        release=result.release,
        state=result.state,
        record=result.record,
        commit=commit,
        alone=result.alone,
        drift=None if result.plan is None else frozenset(each.key for each in result.plan.drift),
        desired=result.desired,
        told=result.notes[0] if result.alone is not None and result.notes else "",
    )


class Notifier:
    """Implements `service.Listener`. `file` is where it remembers (None: nowhere), `grace` in seconds as
    `notify.grace`; `mask` hides whatever must not be shown. `names` are those of the messengers, for the log."""

    def __init__(
        self,
        app: str,
        messengers: Sequence[tuple[str, Messenger]],
        *,
        file: Path | None,
        events: Collection[Event],
        grace: float,
        mask: Callable[[str], str],
        count: Count = lambda _event, _ok: None,
    ) -> None:
        self._app = app
        self._file = file
        self._events = frozenset(events)
        self._grace = grace
        self._mask = mask
        self._wake = threading.Condition()
        self._fresh: list[Notice] = []
        self._is_dirty = False
        self._is_stopping = False
        self._couriers = [
            Courier[Notice](
                name,
                _sender(messenger),
                changed=self._touch,
                outcome=lambda item, ok: count(item.event.value, ok),
            )
            for name, messenger in messengers
        ]
        book = notebook.load(file, Book())
        # What hadn't lasted long enough when the last daemon ended begins anew: nobody looked since.
        self._book = book.model_copy(update={"troubles": {k: v for k, v in book.troubles.items() if v.told}})
        for courier, waiting in zip(self._couriers, book.waiting, strict=False):
            courier.put(waiting)
        self._thread = threading.Thread(target=self._run, name="notices", daemon=True)

    def start(self) -> None:
        """Begins to send; what waited when the last daemon ended goes first."""
        for courier in self._couriers:
            courier.start()
        self._thread.start()

    def stop(self, timeout: float = FLUSH) -> None:
        """Hands over what there is, tries once more to send it, and remembers the rest; `timeout` seconds at most."""
        end = time.monotonic() + timeout
        with self._wake:
            self._is_stopping = True
            self._wake.notify_all()
        self._thread.join(timeout)
        for courier in self._couriers:
            courier.stop()
        for courier in self._couriers:
            courier.join(max(0.0, end - time.monotonic()))
        self._save()

    def at_once(self, timeout: float) -> None:
        """For a single pass, without threads of its own: sends what there is within about `timeout` seconds, and
        remembers the rest."""
        self._ripen()
        self._hand_over()
        senders = [threading.Thread(target=each.attempt, args=(timeout,), daemon=True) for each in self._couriers]
        for sender in senders:
            sender.start()
        for sender in senders:
            sender.join(timeout + 1.0)
        self._save()

    def started(self, loop: str, every: float) -> None:
        return

    def turned(self, loop: str) -> None:
        return

    def noticed(self, target: str, happening: Happening) -> None:
        return

    def expected(self, revision: Revision) -> None:
        names = set(revision.deploy.targets)

        def change(book: Book) -> tuple[Book, tuple[Notice, ...]]:
            kept = {name: each for name, each in book.standings.items() if name in names}
            left = lasting.of_targets(book.troubles, names)
            return book.model_copy(update={"standings": kept, "troubles": left}), ()

        self._change(change)

    def asked(self, view: SourceView, *, ok: bool) -> None:
        self._trouble(Event.SOURCE, None if ok else view.trouble)

    def pushed(self, *, ok: bool, why: str) -> None:
        self._trouble(Event.RECORDS, None if ok else why)

    def connection(self, target: str, *, up: bool, why: str) -> None:
        if not up:  # that it is back is known when a pass has looked
            self._trouble(Event.UNREACHABLE, why, target)

    def passed(self, revision: Revision, result: PassResult, now: Status) -> None:
        self.saw(sighting(self._app, result, revision.commit, _now()))

    def saw(self, seen: Sighting) -> None:
        """A pass is over."""
        seen = replace(seen, message=self._mask(seen.message), told=self._mask(seen.told))

        def change(book: Book) -> tuple[Book, tuple[Notice, ...]]:
            standing, notices = told(book.standings.get(seen.target), seen)
            troubles, more = lasting.after_pass(book.troubles, seen)
            standings = {**book.standings, seen.target: standing} if standing is not None else book.standings
            return book.model_copy(update={"standings": standings, "troubles": dict(troubles)}), (*notices, *more)

        self._change(change)

    def _trouble(self, event: Event, why: str | None, where: str = "") -> None:
        def change(book: Book) -> tuple[Book, tuple[Notice, ...]]:
            notices: tuple[Notice, ...] = ()
            if why is None:
                after, notices = lasting.ended(book.troubles, event, app=self._app, now=_now(), where=where)
            else:
                after = lasting.began(book.troubles, event, why=self._mask(why), now=_now(), where=where)
            return book.model_copy(update={"troubles": dict(after)}), notices

        self._change(change)

    def _ripen(self) -> None:
        def change(book: Book) -> tuple[Book, tuple[Notice, ...]]:
            after, notices = lasting.ripe(book.troubles, app=self._app, now=_now(), grace=self._grace)
            return book.model_copy(update={"troubles": dict(after)}), notices

        self._change(change)

    def _change(self, change: Callable[[Book], tuple[Book, tuple[Notice, ...]]]) -> None:
        with self._wake:
            book, notices = change(self._book)
            wanted = {key: each for key, each in book.troubles.items() if each.event in self._events}
            book = book.model_copy(update={"troubles": wanted})
            if book == self._book and not notices:
                return
            self._book = book
            self._is_dirty = True
            self._fresh += [self._masked(each) for each in notices if each.event in self._events]
            self._wake.notify_all()

    def _masked(self, notice: Notice) -> Notice:
        return notice.model_copy(update={"title": self._mask(notice.title), "body": self._mask(notice.body)})

    def _touch(self) -> None:
        with self._wake:
            self._is_dirty = True
            self._wake.notify_all()

    def _run(self) -> None:
        while True:
            with self._wake:
                while not self._is_dirty and not self._is_stopping:
                    wait = lasting.due(self._book.troubles, now=_now(), grace=self._grace)
                    if wait == 0.0:
                        break
                    self._wake.wait(wait)
                self._is_dirty = False
                is_last = self._is_stopping
            self._ripen()
            self._hand_over()
            self._save()
            if is_last:
                return

    def _hand_over(self) -> None:
        with self._wake:
            fresh, self._fresh = self._fresh, []
        for each in fresh:
            log.info("told: %s: %s", each.event, each.title)
        for courier in self._couriers:
            courier.put(fresh)

    def _save(self) -> None:
        with self._wake:
            book = self._book
        waiting = tuple(courier.waiting() for courier in self._couriers)
        notebook.save(self._file, book.model_copy(update={"waiting": waiting}))


def _sender(messenger: Messenger) -> Callable[[Sequence[Notice], float], Sent]:
    return lambda notices, timeout: messenger.send(notices, timeout=timeout)


def _now() -> datetime:
    return datetime.now(UTC)
