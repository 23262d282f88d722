"""A client that asks an URL over and over while something else happens, and keeps every answer."""

from __future__ import annotations

import http.client
import itertools
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from tests.world.network import Place, here


@dataclass(frozen=True, slots=True)
class Answer:
    """One request: when it was made (monotonic seconds), its status and body, or the error instead of a status."""

    at: float
    status: int | None
    body: str
    error: str = ""

    def ok(self) -> bool:
        """Whether it was answered with a status below 400."""
        return self.status is not None and self.status < 400


@dataclass
class Poller:
    """The answers so far, in order."""

    url: str
    answers: list[Answer] = field(default_factory=list)
    _more: threading.Condition = field(default_factory=threading.Condition)
    _ended: bool = False

    def failures(self) -> list[Answer]:
        """The requests that were refused, cut, timed out or answered with 400 or more."""
        return [answer for answer in list(self.answers) if not answer.ok()]

    def bodies(self) -> list[str]:
        """The bodies of the good answers, each only where it differs from the one before."""
        changes: list[str] = []
        for answer in list(self.answers):
            if answer.ok() and changes[-1:] != [answer.body]:
                changes.append(answer.body)
        return changes

    def dark(self) -> float:
        """The longest time without a good answer, in seconds, between two good answers."""
        good = [answer.at for answer in list(self.answers) if answer.ok()]
        return max((later - earlier for earlier, later in itertools.pairwise(good)), default=0.0)

    def wait_for(self, body: str, *, timeout: float = 10.0) -> None:
        """Return at the next good answer with this body (white space at its ends aside). Raises TimeoutError."""
        seen = len(self.answers)

        def arrived() -> bool:
            return any(answer.ok() and answer.body.strip() == body for answer in self.answers[seen:])

        with self._more:
            if not self._more.wait_for(arrived, timeout):
                raise TimeoutError(f"{self.url} did not answer {body!r} within {timeout} s; last: {self.answers[-1:]}")

    def _poll(self, every: float, timeout: float, place: Place) -> None:
        with place():
            while not self._ended:
                started = time.monotonic()
                answer = ask(self.url, timeout=timeout)
                with self._more:
                    self.answers.append(answer)
                    self._more.notify_all()
                time.sleep(max(0.0, started + every - time.monotonic()))


def ask(url: str, *, timeout: float = 5.0) -> Answer:
    """One GET on a connection of its own. Errors are part of the answer, never raised."""
    parts = urlsplit(url)
    at = time.monotonic()
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port or 80, timeout=timeout)
    try:
        connection.request("GET", parts.path or "/", headers={"Connection": "close"})
        reply = connection.getresponse()
        return Answer(at, reply.status, reply.read().decode(errors="replace"))
    except (OSError, http.client.HTTPException) as error:
        return Answer(at, None, "", f"{type(error).__name__}: {error}")
    finally:
        connection.close()


@contextmanager
def poll(url: str, *, every: float = 0.02, timeout: float = 5.0, place: Place = here) -> Iterator[Poller]:
    """Ask `url` each `every` seconds until the block ends; `place` is where from (`SecondEngine.inside`, say)."""
    poller = Poller(url)
    thread = threading.Thread(target=poller._poll, args=(every, timeout, place), name="poller", daemon=True)
    thread.start()
    try:
        yield poller
    finally:
        poller._ended = True
        thread.join()
