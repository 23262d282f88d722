"""A field of a JSON document that a URL answers."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from reconciler.adapters.gates.base import Reporter
from reconciler.adapters.gates.login import Headers
from reconciler.adapters.gates.names import Names, limits_of
from reconciler.adapters.gates.reach import Deadline, Unmeasurable, Unreached
from reconciler.model.measure import GateKind, Measurement, Outcome
from reconciler.model.measured_gates import JsonGate, against_limits, is_number
from reconciler.ports import Clock, Transport

MOST_BYTES = 1024 * 1024
"""Of a document."""


class _Missing(Exception):
    """The field isn't there. The text says which part of its path."""


class JsonCheck:
    """One GET; anything but 200 and JSON is an error: what can't be read says nothing of the app."""

    kind = GateKind.JSON

    def __init__(
        self,
        spec: JsonGate,
        transport: Transport,
        names: Names,
        *,
        headers: Headers,
        clock: Clock,
        redact: Callable[[str], str],
    ) -> None:
        self.name = spec.name
        self.limits = limits_of(spec, self.kind, names.subject, delay=spec.initial_delay)
        self._spec = spec
        self._vantage = transport if spec.from_ == "target" else None
        self._headers = headers
        self._clock = clock
        query = f"{spec.field} of GET {spec.url} from the {spec.from_}"
        self._report = Reporter(spec.name, self.kind, query, clock, redact)

    def measure(self) -> Measurement:
        """`value` is the field's number, where it is one. Raises TargetUnreachable."""
        from reconciler.adapters.gates.exchange import ask  # http.client and ssl are slow to import

        asked, spec = f"GET {self._spec.url}", self._spec
        try:
            deadline = Deadline(spec.timeout, self._clock)
            answer = ask(spec.url, deadline, self._vantage, headers=self._headers(), most=MOST_BYTES)
        except (Unreached, Unmeasurable) as error:
            return self._report.say(Outcome.ERROR, f"{asked}: {error}")
        if answer.status != 200:
            said = f"to {answer.location}" if answer.location else answer.body
            text = f"{asked} answered {answer.status}: {self._report.quote(said)}".removesuffix(": ")
            return self._report.say(Outcome.ERROR, text)
        if not answer.whole:
            kib = MOST_BYTES // 1024
            return self._report.say(Outcome.ERROR, f"{asked}: cut off, or longer than {kib} KiB")
        try:
            document = json.loads(answer.body)
        except (ValueError, RecursionError):
            return self._report.say(Outcome.ERROR, f"{asked}: no JSON: {self._report.quote(answer.body)}")
        try:
            return self._judged(_field(document, spec.field))
        except _Missing as error:
            return self._report.say(Outcome.NO_DATA, f"{spec.field}: {error}")

    def _judged(self, value: Any) -> Measurement:
        spec, report = self._spec, self._report
        if value is None:
            return report.say(Outcome.NO_DATA, f"{spec.field} is null")
        if isinstance(value, dict | list):
            what = "an object" if isinstance(value, dict) else "a list"
            return report.say(Outcome.ERROR, f"{spec.field} is {what}, and not a single value")
        shown = report.quote(json.dumps(value, ensure_ascii=False))
        if spec.equals is not None:
            same = value == spec.equals and isinstance(value, bool) == isinstance(spec.equals, bool)
            expected = json.dumps(spec.equals, ensure_ascii=False)
            if same:
                return report.say(Outcome.PASS, f"{spec.field} is {shown}")
            return report.say(Outcome.BREACH, f"{spec.field} is {shown}, expected {expected}")
        try:
            number = float("true" if isinstance(value, bool) else value)  # True is no 1
        except (ValueError, OverflowError):
            return report.say(Outcome.ERROR, f"{spec.field} is {shown}, and not a number")
        if not is_number(number):
            return report.say(Outcome.NO_DATA, f"{spec.field} is {shown}")
        if broken := against_limits(number, spec.min, spec.max):
            return report.say(Outcome.BREACH, f"{spec.field} is {number:g}, {broken}", value=number)
        return report.say(Outcome.PASS, f"{spec.field} is {number:g}", value=number)


def _field(document: Any, path: str) -> Any:
    """What stands at `path`. Raises _Missing."""
    found = document
    walked = "the document"
    for key in path.split("."):
        if isinstance(found, dict):
            if key not in found:
                raise _Missing(f"{walked} has no `{key}`")
            found = found[key]
        elif isinstance(found, list):
            if not key.isdecimal() or int(key) >= len(found):
                raise _Missing(f"{walked} is a list of {len(found)} and has no `{key}`")
            found = found[int(key)]
        else:
            raise _Missing(f"{walked} is a single value and has no `{key}`")
        walked = f"`{key}`"
    return found
