"""`reconcile run`: the daemon, until somebody ends it."""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading

from reconciler.model.errors import ExitCode
from reconciler.wiring import Desk, Interrupt
from reconciler.wiring.daemon import daemon

log = logging.getLogger("reconciler.daemon")


def run(desk: Desk, interrupt: Interrupt, *, accept: str | None) -> int:
    """Runs until SIGTERM or SIGINT; then passes that are under way come to their end, and nothing new begins.

    A second signal interrupts those passes (after the switch they go back), a third ends the process at once.
    Raises DesiredStateError, EnvError and ReconcilerError where it can't begin.
    """
    stopping = threading.Event()
    wired = daemon(desk, accept=accept)
    _catch_signals(stopping, interrupt)
    wired.server.start()
    for teller in wired.tellers:
        teller.start()
    wired.service.start()
    log.info("listening on %s", wired.address)
    stopping.wait()
    # The page goes on answering: whoever looks sees the last passes end.
    wired.service.stop()
    for teller in wired.tellers:
        teller.stop()
    wired.server.stop()
    log.info("ended")
    return ExitCode.OK


def _catch_signals(stopping: threading.Event, interrupt: Interrupt) -> None:
    def handle(number: int, _frame: object) -> None:
        if interrupt.event.is_set():
            os.write(2, b"reconcile: not waiting any longer; the next start goes on from here\n")
            os._exit(128 + number)
        if stopping.is_set():
            interrupt.event.set()
            os.write(2, b"reconcile: interrupting the passes that are under way; once more to stop waiting\n")
            return
        stopping.set()
        os.write(2, b"reconcile: ending after the passes that are under way; once more to interrupt them\n")

    for name in ("SIGINT", "SIGTERM"):
        signal.signal(getattr(signal, name), handle)
    sys.stderr.flush()
