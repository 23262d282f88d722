"""From `notify` to whoever tells: the daemon's listeners, and what a single pass tells at its end."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from reconciler.adapters.forge.statuses import ForgeStatuses
from reconciler.adapters.git.commit import commit_of
from reconciler.adapters.git.worktree import find_top
from reconciler.adapters.notify.messenger import AppriseMessenger
from reconciler.adapters.secret import secret_of, secrets_of
from reconciler.cycle.result import PassResult
from reconciler.daemon.commit_status import CommitStatuses
from reconciler.daemon.notify import Count, Notifier, sighting
from reconciler.model.errors import ReconcilerError
from reconciler.wiring.desk import Desk
from reconciler.wiring.outbox import private_dir

log = logging.getLogger("reconciler.notify")

ONCE_TIMEOUT: Final = 10.0
"""Seconds that a single pass waits for those whom it tells."""
NOTICES, COMMITS = "notices.json", "commits.json"
"""Files in which is remembered what was told."""


def notifier(desk: Desk, directory: Path | None, *, grace: float, count: Count = lambda _event, _ok: None) -> Notifier:
    """Tells the Apprise URLs, and remembers in `directory` (None: nowhere). Raises EnvError."""
    spec = desk.deploy.notify
    urls = secrets_of(spec.urls, "notify.urls", desk.own_directory, desk.learn) if spec.urls else ()
    messengers = [AppriseMessenger(url) for url in urls]
    return Notifier(
        desk.deploy.app,
        [(f"notify.urls[{at}] ({each.service})", each) for at, each in enumerate(messengers)],
        file=directory / NOTICES if directory else None,
        events=spec.events,
        grace=grace,
        mask=_mask(desk),
        count=count,
    )


def commit_statuses(
    desk: Desk, directory: Path | None, *, count: Count = lambda _kind, _ok: None
) -> CommitStatuses | None:
    """Sets the statuses that `notify.commit_status` asks for; None where it doesn't. Raises EnvError."""
    spec = desk.deploy.notify.commit_status
    if spec is None:
        return None
    token = secret_of(spec.token, "notify.commit_status.token", desk.own_directory, desk.learn)
    app = desk.deploy.app
    forge = ForgeStatuses(spec.forge, spec.api, spec.repository, token, f"reconciler/{app}")
    file = directory / COMMITS if directory else None
    return CommitStatuses(app, f"notify.commit_status ({spec.forge})", forge, file=file, mask=_mask(desk), count=count)


def tell_once(desk: Desk, results: Sequence[PassResult]) -> None:
    """Tells what a single pass came to, within seconds. Whatever goes wrong with that is a line in the log: it changes
    nothing of the pass."""
    try:
        top = find_top(desk.file.parent.resolve())
        directory = private_dir(top) if top else None
        commit, at = commit_of(desk.file), datetime.now(UTC)
        seen = [sighting(desk.deploy.app, result, commit, at) for result in results]
        if desk.deploy.notify.urls is not None:
            teller = notifier(desk, directory, grace=0.0)  # nobody looks again in a moment
            for each in seen:
                teller.saw(each)
            teller.at_once(ONCE_TIMEOUT)
        statuses = commit_statuses(desk, directory)
        if statuses is not None:
            for each in seen:
                statuses.saw(commit, desk.deploy.targets, each)
            statuses.at_once(ONCE_TIMEOUT)
    except ReconcilerError as error:
        log.warning("nobody is told: %s", error)
    except Exception:  # the pass is over, and its exit code is what it came to
        log.exception("nobody is told: a defect of this program")


def _mask(desk: Desk) -> Callable[[str], str]:
    return lambda text: desk.redactor.current.text(text)
