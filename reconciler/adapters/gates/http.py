"""HTTP endpoints: a wrong status, a refusal and a late answer breach; an answer that can't be asked for is an error."""

from __future__ import annotations

from collections.abc import Callable

from reconciler.adapters.gates.base import Reporter
from reconciler.adapters.gates.reach import Deadline, Unmeasurable, Unreached
from reconciler.model.gates import HttpGate
from reconciler.model.measure import GateKind, Measurement, Outcome
from reconciler.ports import Clock, Transport


class HttpCheck:
    """One GET an endpoint; its `timeout` (seconds) counts for the whole of it. Redirects are answers, not ways."""

    kind = GateKind.HTTP

    def __init__(self, spec: HttpGate, transport: Transport, *, clock: Clock, redact: Callable[[str], str]) -> None:
        self.name = spec.name
        self._spec = spec
        self._vantage = transport if spec.from_ == "target" else None
        self._clock = clock
        query = f"status of GET {spec.url} from the {spec.from_}, expected {spec.status}"
        self._report = Reporter(spec.name, GateKind.HTTP, query, clock, redact)
        self.limits = self._report.limits

    def measure(self) -> Measurement:
        """`value` is the status code. Raises TargetUnreachable when the connection to the target is lost."""
        from reconciler.adapters.gates.exchange import ask  # http.client and ssl are slow to import

        asked = f"GET {self._spec.url}"
        try:
            answer = ask(self._spec.url, Deadline(self._spec.timeout, self._clock), self._vantage)
        except Unreached as error:
            return self._report.say(Outcome.BREACH, f"{asked}: {error}")
        except Unmeasurable as error:
            return self._report.say(Outcome.ERROR, f"{asked}: {error}")
        if answer.status == self._spec.status:
            return self._report.say(Outcome.PASS, f"{asked} answered {answer.status}", value=answer.status)
        said = f"to {answer.location}" if answer.location else answer.body
        text = f"{asked} answered {answer.status}: {self._report.quote(said)}".removesuffix(": ")
        return self._report.say(Outcome.BREACH, text, value=answer.status)
