"""Numbers from Prometheus: by themselves, or against the release that served before. Nothing from before the switch."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from reconciler.adapters.gates.base import Reporter
from reconciler.adapters.gates.login import Headers
from reconciler.adapters.gates.names import Names, limits_of
from reconciler.adapters.gates.reach import Deadline
from reconciler.model import promql
from reconciler.model.measure import GateKind, Measurement, Outcome, Served, Subject
from reconciler.model.measured_gates import MetricGate, against_limits
from reconciler.ports import Clock, Transport

FIRST_RELEASE = "not compared: no release served before this one"


class NoBaseline(Exception):
    """There is no number to compare with. The text says why."""


class MetricCheck:
    """One instant query, and for a comparison the same one as of the switch.

    What keeps the time before the switch out: a range that is written out (`[5m]`) makes the gate due only when it is
    over; `$since` begins at the switch; and of a selector without a range the sample's own time is asked for, as
    Prometheus would look back 5 minutes for one.
    """

    kind = GateKind.METRICS

    def __init__(
        self,
        spec: MetricGate,
        transport: Transport,
        names: Names,
        *,
        headers: Headers,
        clock: Clock,
        redact: Callable[[str], str],
    ) -> None:
        from reconciler.adapters.gates.prometheus import Prometheus  # http.client and ssl are slow to import

        self.name = spec.name
        self._spec = spec
        self._names = names
        self._clock = clock
        self._redact = redact
        before = names.subject.before
        self._compared = before if spec.baseline else None
        skipped = FIRST_RELEASE if spec.baseline and before is None and not spec.has_limits else ""
        delay = max(spec.initial_delay, promql.reach(spec.query))
        self.limits = limits_of(spec, self.kind, names.subject, delay=delay, skipped=skipped)
        vantage = transport if spec.from_ == "target" else None
        quote = Reporter(spec.name, self.kind, "", clock, redact).quote
        self._server = Prometheus(spec.prometheus, vantage, headers, quote)

    def measure(self) -> Measurement:
        """`value` is the query's number. Raises TargetUnreachable when the connection to the target is lost."""
        from reconciler.adapters.gates.prometheus import NoData, QueryFailed

        spec, subject = self._spec, self._names.subject
        since = (self._clock.now() - subject.switched_at).total_seconds()
        length = min(since, spec.max_since)
        if self._compared:
            length = min(length, _served(self._compared, subject))
        query = self._expanded(subject.tag, length)
        report = Reporter(self.name, self.kind, " ".join(query.split()), self._clock, self._redact)
        if since <= 0:
            return report.say(Outcome.INCONCLUSIVE, "the switch is in the future by this controller's clock")
        deadline = Deadline(spec.timeout, self._clock)
        try:
            number = self._server.number(query, deadline)
            self._refuse_old(query, number.at, min(since, spec.max_age), deadline, since)
            if number.is_doubtful:
                seen = f"{number.value:g}, and Prometheus warns: {number.warnings[0]}"
                return report.say(Outcome.INCONCLUSIVE, seen, value=number.value)
            if self._compared is None:
                return self._judged(report, number.value, None, "")
            baseline = self._baseline(self._compared, number.at - since, length, deadline)
        except NoData as error:
            return report.say(Outcome.NO_DATA, f"no data: {error}")
        except NoBaseline as error:
            return self._judged(report, number.value, None, str(error))
        except QueryFailed as error:
            return report.say(Outcome.ERROR, f"{spec.prometheus}: {error}")
        except TimeoutError:
            return report.say(Outcome.ERROR, f"{spec.prometheus}: no answer within {spec.timeout:g} s")
        return self._judged(report, number.value, baseline, "")

    def _expanded(self, tag: str, length: float) -> str:
        names = self._names
        values: Mapping[str, str] = {
            "app": names.app,
            "target": names.target,
            "tag": tag,
            "since": promql.since_text(length),
        }
        return promql.expanded(self._spec.query, values)

    def _refuse_old(self, query: str, at: float, oldest: float, deadline: Deadline, since: float) -> None:
        """Raises NoData where a sample that the number is made of is older than `oldest` seconds."""
        from reconciler.adapters.gates.prometheus import NoData

        for selector in promql.selectors(query):
            if selector.ranged:
                continue
            try:
                sampled = self._server.number(f"min(timestamp({selector.text}))", deadline, at=at).value
            except NoData:
                continue  # no series: then it isn't what the number is made of
            age = at - sampled
            if age > oldest:
                when = "from before the switch" if age > since else f"older than {oldest:g} s"
                raise NoData(f"a sample of {selector.text} is {when} ({age:.1f} s old): not scraped since?")

    def _baseline(self, before: Served, at: float, length: float, deadline: Deadline) -> float:
        """The number of the release before, at the switch. Raises NoBaseline, QueryFailed."""
        from reconciler.adapters.gates.prometheus import NoData

        served = _served(before, self._names.subject)
        reach = promql.reach(self._spec.query)
        if served < reach:
            raise NoBaseline(f"{before.tag} served for {served:.0f} s only, and the query looks back {reach:.0f} s")
        query = self._expanded(before.tag, length)
        try:
            number = self._server.number(query, deadline, at=at)
            self._refuse_old(query, at, min(served, self._spec.max_age), deadline, served)
        except NoData as error:
            raise NoBaseline(f"nothing to compare with from {before.tag}: {error}") from error
        return number.value

    @property
    def _judges_difference(self) -> bool:
        return self._spec.max_difference is not None or self._spec.min_difference is not None

    def _judged(self, report: Reporter, value: float, baseline: float | None, why: str) -> Measurement:
        """`why` says why there is no baseline though there should be one: then only a breach can be told."""
        spec = self._spec
        if broken := against_limits(value, spec.min, spec.max):
            return report.say(Outcome.BREACH, f"{value:g}, {broken}", value=value)
        if why:
            return report.say(Outcome.INCONCLUSIVE, f"{value:g}; {why}", value=value)
        if baseline is None:
            note = f"; {FIRST_RELEASE}" if spec.baseline else ""
            return report.say(Outcome.PASS, f"{value:g}{note}", value=value)
        seen = f"{value:g}, before it was {baseline:g}"
        if broken := against_limits(value - baseline, spec.min_difference, spec.max_difference):
            text = f"{seen}: a difference of {value - baseline:g}, {broken}"
            return report.say(Outcome.BREACH, text, value=value)
        has_ratio = spec.max_ratio is not None or spec.min_ratio is not None
        if not has_ratio or (baseline <= 0 and (value == baseline or self._judges_difference)):
            return report.say(Outcome.PASS, seen, value=value)
        if baseline <= 0:
            return report.say(Outcome.INCONCLUSIVE, f"{seen}: no ratio to that; say `max_difference`", value=value)
        ratio = value / baseline
        if broken := against_limits(ratio, spec.min_ratio, spec.max_ratio):
            return report.say(Outcome.BREACH, f"{seen}: a ratio of {ratio:g}, {broken}", value=value)
        return report.say(Outcome.PASS, seen, value=value)


def _served(before: Served, subject: Subject) -> float:
    """Seconds."""
    return max(0.0, (subject.switched_at - before.since).total_seconds())
