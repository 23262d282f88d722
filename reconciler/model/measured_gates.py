"""Gates that ask a measuring system: Prometheus, a URL that answers JSON, a command.

A measuring system that is down isn't a broken app: no data and errors hold unless the gate says `rollback`.
"""

from __future__ import annotations

import math
from typing import Annotated, Any, Literal, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, model_validator

from reconciler.model.base import Listing, Model, refused, wrong
from reconciler.model.quantities import Duration, PositiveDuration
from reconciler.model.secret import Secret
from reconciler.model.text import Argument, HttpUrl, Line, PlainName, Text

Vantage = Literal["target", "controller"]
"""From where a gate looks: on the target 127.0.0.1 is the server itself."""

_NAME = "The gate's name in messages, records and metrics."


def _query(value: str) -> str:
    from reconciler.model import promql  # its patterns take a while to compile, and few files have a query

    if found := promql.unknown_variable(value):
        known = ", ".join(f"`${name}`" for name in promql.VARIABLES)
        raise refused(f"uses {found}, which isn't a variable", f"there are {known}; `$$` is a dollar sign")
    if promql.fixed_moment(value):
        raise refused(
            "reads samples of one fixed moment (`@`)", "nothing from before the switch counts: leave `@ …` out"
        )
    return value


def _server(value: str) -> str:
    parts = urlsplit(value)
    if parts.query or parts.fragment:
        raise wrong("the address of the server alone", "such as `http://127.0.0.1:9090`; the query goes into `query:`")
    return value


def _path(value: str) -> str:
    if not all(value.split(".")):
        raise wrong("keys and list positions with a dot between them", "such as `data.items.0.value`")
    return value


class Login(Model):
    """What a measuring system wants to see: a bearer token, or a user name and a password."""

    token: Secret | None = Field(None, description="Bearer token: `{env: NAME}` or `{file: ~/…}`.")
    username: Line | None = Field(None, description="User name (basic authentication).")
    password: Secret | None = Field(None, description="Its password: `{env: NAME}` or `{file: ~/…}`.")

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if (self.username is None) != (self.password is None):
            raise refused("`username` and `password` go together")
        if (self.token is None) == (self.username is None):
            raise refused("needs exactly one of `token` and `username`")
        if self.username and ":" in self.username:
            raise refused("holds a colon", "basic authentication has no such user name", at=("username",))
        return self


class MeasuredGate(Model):
    """What gates of measuring systems have in common."""

    name: PlainName = Field(description=_NAME)
    timeout: PositiveDuration = Field(5.0, description="Longest wait for one measurement (a duration).")
    initial_delay: Duration = Field(
        0.0,
        description="Not measured until so long after the switch (a duration). What ends after the window counts in"
        " stabilization only.",
    )
    min_samples: int = Field(1, ge=1, description="Least measurements in a window that say something of the app.")
    breach_limit: int | None = Field(
        None,
        ge=0,
        description="How many breaches of this gate are endured; one more breaches. Left out: 2 in a window, then"
        " `stabilization.breach_limit`, which counts all gates together.",
    )
    on_no_data: Literal["hold", "rollback"] = Field(
        "hold", description="What no data leads to: `hold`, or `rollback`, as if it were a breach."
    )
    on_error: Literal["hold", "rollback"] = Field(
        "hold", description="What a measurement that fails leads to: `hold`, or `rollback`."
    )


def _check_limits(gate: Any, low: str, high: str) -> None:
    least, most = getattr(gate, low), getattr(gate, high)
    if least is not None and most is not None and least > most:
        raise refused(f"`{low}` is above `{high}`", "every number would be a breach", at=(low,))


def _no_open_login(login: Login | None, url: str, vantage: Vantage, at: str) -> None:
    """A login over plain HTTP is for whoever listens on the way. The loopback has nobody; SSH goes to the target's."""
    parts = urlsplit(url)
    if login is None or parts.scheme == "https" or _is_loopback(parts.hostname or ""):
        return
    raise refused("sends its login over plain http", f"use https, or 127.0.0.1 from the {vantage}", at=(at,))


def _is_loopback(host: str) -> bool:
    import ipaddress  # for a login over plain http alone

    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


class MetricGate(MeasuredGate):
    """A number from Prometheus, or from what speaks its HTTP API."""

    prometheus: Annotated[HttpUrl, AfterValidator(_server)] = Field(description="Address of the Prometheus server.")
    query: Annotated[Text, AfterValidator(_query)] = Field(
        description="PromQL expression that gives one number. `$app`, `$target`, `$tag`, `$since` (time since the"
        " switch, at most `max_since`) are replaced; `$$` is a dollar sign."
    )
    from_: Vantage = Field("controller", alias="from", description="Who asks: on the `target` 127.0.0.1 is the server.")
    login: Login | None = Field(None, description="Token, or user name and password, for the server.")
    max: float | None = Field(None, description="A number above it is a breach (in the query's unit).")
    min: float | None = Field(None, description="A number below it is a breach (in the query's unit).")
    baseline: Literal["previous"] | None = Field(
        None, description="Compares with the same query over the release that served before, as of the switch."
    )
    max_ratio: float | None = Field(None, gt=0, description="A number above so many times the baseline is a breach.")
    min_ratio: float | None = Field(None, gt=0, description="A number below so many times the baseline is a breach.")
    max_difference: float | None = Field(
        None, description="A number above the baseline by more is a breach (in the query's unit)."
    )
    min_difference: float | None = Field(
        None, description="A number minus the baseline below this is a breach (in the query's unit; mostly negative)."
    )
    max_since: PositiveDuration = Field(
        600.0, description="Longest `$since` (a duration): a long range would dilute what goes wrong late."
    )
    max_age: PositiveDuration = Field(
        300.0, description="A sample that is older is no data (a duration). Ranges see what is in them."
    )

    @property
    def compares(self) -> tuple[str, ...]:
        """The limits against the baseline that are set."""
        names = ("max_ratio", "min_ratio", "max_difference", "min_difference")
        return tuple(name for name in names if getattr(self, name) is not None)

    @property
    def has_limits(self) -> bool:
        """Whether a number alone can be a breach."""
        return self.max is not None or self.min is not None

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.compares and self.baseline is None:
            raise refused(f"`{self.compares[0]}` has nothing to compare with", "add `baseline: previous`")
        if self.baseline is not None and not self.compares:
            raise refused(
                "says no limit against it", "add `max_ratio`, `max_difference` or their `min_`", at=("baseline",)
            )
        if not self.has_limits and not self.compares:
            hint = "without a limit nothing is a breach; `baseline: previous` needs no number to guess"
            raise refused("needs `max`, `min` or both", hint)
        _check_limits(self, "min", "max")
        _check_limits(self, "min_ratio", "max_ratio")
        _check_limits(self, "min_difference", "max_difference")
        _no_open_login(self.login, self.prometheus, self.from_, "login")
        return self


class JsonGate(MeasuredGate):
    """A field of a JSON document that a URL answers."""

    url: HttpUrl = Field(description="What is asked (GET); it has to answer 200 with JSON.")
    field: Annotated[Line, AfterValidator(_path)] = Field(
        description="Where the value stands: keys and list positions with dots, such as `data.0.value`."
    )
    from_: Vantage = Field("target", alias="from", description="Who asks: on the `target` 127.0.0.1 is the server.")
    login: Login | None = Field(None, description="Token, or user name and password, for the server.")
    max: float | None = Field(None, description="A number above it is a breach.")
    min: float | None = Field(None, description="A number below it is a breach.")
    equals: str | bool | int | float | None = Field(None, description="Another value is a breach.")

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        numeric = self.max is not None or self.min is not None
        if numeric == (self.equals is not None):
            raise refused("needs `equals`, or `max`, `min` or both", "without a limit nothing is a breach")
        _check_limits(self, "min", "max")
        _no_open_login(self.login, self.url, self.from_, "login")
        return self


class CommandGate(MeasuredGate):
    """A command that measures. On the controller it has the rights of whoever runs the reconciler."""

    run: Listing[Argument] = Field(
        min_length=1,
        description="The command, as a list; no shell. It gets RECONCILER_APP, _TARGET, _TAG and _SINCE (seconds)."
        " Without `max` and `min`, exit status 0 is a pass, 1 a breach, any other an error.",
    )
    from_: Vantage = Field(
        "target",
        alias="from",
        description="Where it runs: on the `target` as its user, in the home directory; on the `controller` as whoever"
        " runs the reconciler, beside deploy.yaml.",
    )
    max: float | None = Field(None, description="It prints a number, and one above it is a breach.")
    min: float | None = Field(None, description="It prints a number, and one below it is a breach.")

    @property
    def prints_a_number(self) -> bool:
        """Whether its output is judged, and not its exit status."""
        return self.max is not None or self.min is not None

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if not self.run[0]:
            raise refused("names no program", at=("run", 0))
        _check_limits(self, "min", "max")
        return self


def against_limits(value: float, least: float | None, most: float | None) -> str:
    """What limit a number breaks, in words; "" where it keeps them."""
    if most is not None and value > most:
        return f"above {most:g}"
    return f"below {least:g}" if least is not None and value < least else ""


def is_number(value: float) -> bool:
    """Neither NaN nor an infinity: a division by zero measured nothing."""
    return math.isfinite(value)
