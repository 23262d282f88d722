"""Outside services: whether the target, or the controller, reaches them at all."""

from __future__ import annotations

from collections.abc import Callable

from reconciler.adapters.gates.base import Reporter
from reconciler.adapters.gates.reach import Deadline, Unmeasurable, Unreached, connected
from reconciler.model.gates import NetworkGate
from reconciler.model.measure import GateKind, Measurement, Outcome
from reconciler.ports import Clock, Transport


class NetworkCheck:
    """A TCP connection, or any HTTP answer whatever its status; `timeout` (seconds) counts for the whole of it."""

    kind = GateKind.NETWORK

    def __init__(self, spec: NetworkGate, transport: Transport, *, clock: Clock, redact: Callable[[str], str]) -> None:
        self.name = spec.name
        self._spec = spec
        self._vantage = transport if spec.from_ == "target" else None
        self._clock = clock
        self._what = f"tcp {spec.tcp}" if spec.tcp else f"GET {spec.http}"
        self._report = Reporter(
            spec.name, GateKind.NETWORK, f"reach of {self._what} from the {spec.from_}", clock, redact
        )
        self.limits = self._report.limits

    def measure(self) -> Measurement:
        """`value` is an HTTP status code. Raises TargetUnreachable when the connection to the target is lost."""
        deadline = Deadline(self._spec.timeout, self._clock)
        try:
            status = self._ask(deadline)
        except Unreached as error:
            return self._report.say(Outcome.BREACH, f"{self._what}: {error}")
        except Unmeasurable as error:
            return self._report.say(Outcome.ERROR, f"{self._what}: {error}")
        seen = "connected" if status is None else f"answered {status}"
        return self._report.say(Outcome.PASS, f"{self._what}: {seen}", value=status)

    def _ask(self, deadline: Deadline) -> int | None:
        """The status of an HTTP answer, None for a connection by TCP alone."""
        if self._spec.http:
            from reconciler.adapters.gates.exchange import ask  # http.client and ssl are slow to import

            return ask(self._spec.http, deadline, self._vantage).status
        host, _, port = (self._spec.tcp or "").rpartition(":")
        with connected(host.strip("[]"), int(port), deadline, self._vantage):
            return None
