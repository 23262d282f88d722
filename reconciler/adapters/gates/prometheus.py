"""Prometheus' HTTP API: an instant query, and what its answer is. Source: prometheus.io, "HTTP API"."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

from reconciler.adapters.gates.exchange import Answer, ask
from reconciler.adapters.gates.login import Headers
from reconciler.adapters.gates.reach import Deadline, Unmeasurable, Unreached
from reconciler.dataclass import dataclass
from reconciler.model.measured_gates import is_number
from reconciler.ports import Transport

MOST_BYTES = 1024 * 1024
"""Of an answer: one number takes 100 bytes, and what is longer isn't one."""
_ONLY_INFORMS = "PromQL info"


class NoData(Exception):
    """There is no number. The text says why."""


class QueryFailed(Exception):
    """The measuring system didn't measure. The text says why, and quotes it."""


@dataclass(frozen=True, slots=True)
class Number:
    """A query's value as of `at` (Unix seconds, by Prometheus' own clock), and what Prometheus warns of in it."""

    value: float
    at: float
    warnings: tuple[str, ...] = ()

    @property
    def is_doubtful(self) -> bool:
        """Whether a warning says more than how a query could be written better: the answer may be a part of it."""
        return any(not warning.startswith(_ONLY_INFORMS) for warning in self.warnings)


@dataclass(frozen=True, slots=True)
class Prometheus:
    """A server, seen from the target of `vantage`, or from the controller where it is None. `quote` makes foreign text
    fit for a message."""

    address: str
    vantage: Transport | None
    headers: Headers
    quote: Callable[[str], str]

    def number(self, query: str, deadline: Deadline, *, at: float | None = None) -> Number:
        """The one number of `query` at the Unix time `at`, or now.

        Raises NoData, QueryFailed, and TargetUnreachable when the connection to the target is lost.
        """
        asked = {"query": query, "timeout": f"{max(1, int(deadline.left() * 1000))}ms"}
        if at is not None:
            asked["time"] = f"{at:.3f}"
        url = f"{self.address.rstrip('/')}/api/v1/query?{urlencode(asked)}"
        try:
            answer = ask(url, deadline, self.vantage, headers=self.headers(), most=MOST_BYTES)
        except (Unreached, Unmeasurable) as error:
            raise QueryFailed(str(error)) from error
        return self._number(answer)

    def _number(self, answer: Answer) -> Number:
        document = _json(answer)
        if document is None or document.get("status") not in {"success", "error"}:
            raise QueryFailed(self._no_answer(answer))
        if document["status"] == "error":
            said = self.quote(str(document.get("error", "")))
            raise QueryFailed(
                f"answered {answer.status}, {self.quote(str(document.get('errorType', 'error')))}: {said}"
            )
        if answer.status != 200:
            raise QueryFailed(f"answered {answer.status} with a result")
        data = document.get("data")
        warnings = document.get("warnings") or []
        shown = tuple(self.quote(str(each)) for each in warnings) if isinstance(warnings, list) else ()
        try:
            at, text = _sample(data if isinstance(data, dict) else {})
            value, moment = float(text), float(at)
        except (TypeError, ValueError, KeyError, IndexError):
            raise QueryFailed("answered what is no result of a query; is it a Prometheus?") from None
        if not is_number(value):
            raise NoData(f"the query gave {text}, which is no number")
        return Number(value, moment, shown)

    def _no_answer(self, answer: Answer) -> str:
        if answer.status in {401, 403}:
            return f"answered {answer.status}: it refuses the login"
        if answer.location:
            return f"answered {answer.status}: to {self.quote(answer.location)}, which isn't followed"
        if not answer.whole:
            return f"answered {answer.status}, cut off or longer than {MOST_BYTES // 1024} KiB"
        said = self.quote(answer.body)
        return f"answered {answer.status} without JSON" + (f": {said}" if said else "")


def _json(answer: Answer) -> dict[str, Any] | None:
    if not answer.whole:
        return None
    try:
        document = json.loads(answer.body)
    except (ValueError, RecursionError):
        return None
    return document if isinstance(document, dict) else None


def _sample(data: dict[str, Any]) -> tuple[Any, str]:
    """Time and text of the one value. Raises NoData, QueryFailed, and what malformed data raises."""
    result = data["result"]
    match data["resultType"]:
        case "scalar":
            at, text = result
        case "vector":
            if not result:
                raise NoData("the query gave no series (an empty vector): nothing was measured since the switch yet?")
            if len(result) > 1:
                raise NoData(
                    f"the query gave {len(result)} series and not one number: aggregate it, such as by `sum()`"
                )
            if "histogram" in result[0]:
                raise NoData("the query gave a histogram and not a number")
            at, text = result[0]["value"]
        case "string" | "matrix" as kind:
            raise QueryFailed(f"the query gives a {kind} and not a number: is it an instant query?")
        case _:
            raise KeyError(data["resultType"])
    return at, str(text)
