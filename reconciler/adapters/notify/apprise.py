"""The one owner of Apprise: `python -P -m reconciler.adapters.notify.apprise`, with a `Job` as JSON on standard input.

A process of its own, that ends with its job. Apprise costs the daemon nothing while there is nothing to tell (loading
its plugins takes 20 MB that never come back, and most of a second); a service that hangs is ended by a signal; and what
a plugin logs, URL and all, is read by nobody but the parent. On standard output a line `sent` for each notice that went
out, in their order; then, unless all did, a line `failed` or `refused` with what Apprise said.
"""

from __future__ import annotations

import json
import logging
import os
import signal
import sys
from typing import Any, Final, TextIO

SENT, FAILED, REFUSED = "sent", "failed", "refused"
LONGEST: Final = 500
"""Characters of what Apprise said."""


class _Heard(logging.Handler):
    """Keeps the last warning."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.last = ""

    def emit(self, record: logging.LogRecord) -> None:
        self.last = " ".join(record.getMessage().split())[:LONGEST]


def main() -> None:
    """Sends the job's notices, one after the other, up to the first that can't be sent."""
    job: dict[str, Any] = json.load(sys.stdin)
    # Whoever stops the daemon's whole control group (systemd) doesn't mean a notice that is half sent; its parent may
    # be gone by then, so it ends itself, too.
    for name in (signal.SIGTERM, signal.SIGINT):
        signal.signal(name, signal.SIG_IGN)
    signal.setitimer(signal.ITIMER_REAL, float(job["seconds"]))
    answer = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8")
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # what a plugin prints is no answer of ours
    heard = _Heard()
    logging.getLogger().addHandler(heard)

    from apprise import Apprise, AppriseAsset, NotifyFormat, PersistentStoreMode

    asset = AppriseAsset(
        app_id="reconciler", app_desc="reconciler", storage_mode=PersistentStoreMode.MEMORY, secure_logging=True
    )
    service = Apprise(asset=asset)
    if not service.add(job["url"]):
        _say(answer, REFUSED, heard.last or "it is no URL that this version of Apprise knows")
        return
    for each in job["notices"]:
        heard.last = ""
        if not service.notify(
            title=each["title"],
            body=each["body"] or each["title"],
            notify_type=each["type"],
            body_format=NotifyFormat.TEXT,
        ):
            _say(answer, FAILED, heard.last or "the service didn't take it")
            return
        _say(answer, SENT)


def _say(answer: TextIO, *words: str) -> None:
    answer.write(" ".join(words) + "\n")
    answer.flush()


if __name__ == "__main__":
    main()
