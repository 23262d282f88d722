"""One Apprise URL, as somebody to send notices to. Apprise itself runs in a child (`adapters.notify.apprise`)."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import threading
from collections.abc import Sequence
from typing import Final
from urllib.parse import unquote

from pydantic import SecretStr

from reconciler.adapters.notify.apprise import FAILED, LONGEST, REFUSED, SENT
from reconciler.model.notice import Notice
from reconciler.model.notify import Event
from reconciler.ports.telling import Sent
from reconciler.telemetry.redact import MASK, SHORTEST, Redactor

AT_A_TIME: Final = threading.Semaphore(2)
"""Children at the same time: each takes some 60 MB while it lasts."""
_GOOD = frozenset({Event.DEPLOYED, Event.STABLE, Event.HEALED, Event.RECOVERED})
_BAD = frozenset({Event.REVERTED, Event.REVERT_FAILED, Event.QUARANTINED, Event.FAILED, Event.UNREACHABLE})
_SCHEMA = re.compile(r"([a-z][a-z0-9+]{0,20})://", re.IGNORECASE)


class AppriseMessenger:
    """Implements `ports.telling.Messenger`. The URL is a secret, and so is each of its parts: a service's token may be
    its host, its path or a password."""

    def __init__(self, url: str) -> None:
        self._url = url
        schema = _SCHEMA.match(url)
        self.service = schema[1].lower() if schema else "?"
        """The kind of service, which may be shown."""
        rest = url[schema.end() :] if schema else url
        pieces = {rest, *re.split(r"[/:@?&=#,;\s]+", rest)}
        secrets = {form for piece in pieces for form in (piece, unquote(piece)) if len(form) >= SHORTEST}
        self._mask = Redactor(others=[SecretStr(each) for each in sorted({url, *secrets}, key=len, reverse=True)])

    def send(self, notices: Sequence[Notice], *, timeout: float) -> Sent:
        job = {
            "url": self._url,
            "seconds": timeout,
            "notices": [{"title": each.title, "body": each.body, "type": _kind(each.event)} for each in notices],
        }
        with AT_A_TIME:
            try:
                child = subprocess.Popen(
                    [sys.executable, "-P", "-m", "reconciler.adapters.notify.apprise"],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.DEVNULL,  # a traceback could quote the URL
                    start_new_session=True,  # Ctrl-C in a terminal is for the parent
                )
            except OSError as error:
                return Sent(0, f"no process can be started for it: {error.strerror}")
            with child:
                try:
                    said, _ = child.communicate(json.dumps(job).encode(), timeout=timeout)
                    late = ""
                except subprocess.TimeoutExpired:
                    child.kill()
                    said, _ = child.communicate()
                    late = f"no answer within {timeout:g} s"
        return self._outcome(said.decode("utf-8", "replace").splitlines(), len(notices), late)

    def _outcome(self, lines: list[str], wanted: int, late: str) -> Sent:
        count = lines.count(SENT)
        if count == wanted:
            return Sent(count)
        word, _, text = lines[-1].partition(" ") if lines else ("", "", "")
        if word not in {FAILED, REFUSED}:
            return Sent(count, late or "Apprise ended without saying why")
        return Sent(count, self._masked(text), is_final=word == REFUSED)

    def _masked(self, text: str) -> str:
        """What Apprise said, without any part of the URL: Apprise quotes hosts and channels."""
        printable = "".join(letter if letter.isprintable() else " " for letter in text[:LONGEST])
        return re.sub(rf"(?:{re.escape(MASK)}[^\w\s]*)+", MASK, self._mask.text(printable))


def _kind(event: Event) -> str:
    """Apprise's word for how much it matters."""
    if event in _GOOD:
        return "success"
    return "failure" if event in _BAD else "warning"
