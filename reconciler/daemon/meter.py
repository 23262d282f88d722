"""What happens, as metrics."""

from __future__ import annotations

import time
from collections.abc import Iterable
from datetime import UTC, datetime

from reconciler.cycle.result import PassResult
from reconciler.cycle.status import Status, Sync
from reconciler.daemon.board import SourceView
from reconciler.daemon.revision import Revision
from reconciler.daemon.service import Outbox
from reconciler.daemon.webhooks import RESULTS
from reconciler.model.deploy import Deploy
from reconciler.ports import Happening
from reconciler.telemetry.live import LiveMetrics
from reconciler.telemetry.passes import sample_of


class Meter:
    """Implements `service.Listener`."""

    def __init__(self, metrics: LiveMetrics, outbox: Outbox | None, forges: Iterable[str]) -> None:
        """`forges` are those whose webhooks are accepted."""
        metrics.expect_webhooks(forges, RESULTS)
        self._metrics = metrics
        self._outbox = outbox
        self._app = ""
        self._targets: tuple[str, ...] = ()
        self._is_blind = False

    def started(self, loop: str, every: float) -> None:
        self._metrics.expect_loop(loop, every=every, at=time.time())

    def turned(self, loop: str) -> None:
        self._metrics.beat(loop, time.time())

    def expected(self, revision: Revision) -> None:
        deploy = revision.deploy
        if self._app and self._app != deploy.app:
            self._metrics.expect(self._app, {})
        self._app, self._targets = deploy.app, tuple(deploy.targets)
        self._metrics.expect(deploy.app, dict.fromkeys(deploy.targets, _gates(deploy)))
        self._count_records()

    def asked(self, view: SourceView, *, ok: bool) -> None:
        self._metrics.git(ok, time.time())
        self._is_blind = view.is_blind
        if view.is_blind:  # nobody knows what is desired: so nobody knows whether it runs
            for target in self._targets:
                self._metrics.seen(self._app, target, sync=Sync.UNKNOWN)

    def connection(self, target: str, *, up: bool, why: str) -> None:
        self._metrics.target_up(self._app, target, up)
        self._metrics.stream_up(self._app, target, up)

    def noticed(self, target: str, happening: Happening) -> None:
        return

    def passed(self, revision: Revision, result: PassResult, now: Status) -> None:
        self._metrics.count(sample_of(revision.deploy, result, at=datetime.now(UTC).timestamp()))
        # How it is was measured by the pass; whether it is what is asked for was looked at again since.
        sync = Sync.UNKNOWN if self._is_blind else now.sync
        self._metrics.seen(revision.deploy.app, result.target, sync=sync)
        self._count_records()

    def pushed(self, *, ok: bool, why: str) -> None:
        self._count_records()

    def _count_records(self) -> None:
        if self._outbox is None:
            return
        waiting = self._outbox.pending()
        for target in self._targets:
            self._metrics.records_pending(self._app, target, waiting.get(target, 0))


def _gates(deploy: Deploy) -> tuple[str, ...]:
    """The names under which this deploy's gates measure."""
    gates = deploy.gates
    named = [each.name for each in gates.http]
    named += [each.name for each in gates.network]
    named += [each.name for each in gates.metrics]
    named += [each.name for each in gates.json_]
    named += [each.name for each in gates.commands]
    return ("containers", "logs", "resources", *named)
