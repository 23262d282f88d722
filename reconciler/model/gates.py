"""`gates`: the Go/No-Go checks of a release, and what counts as a breach in each."""

import re
from typing import Annotated, Self

from pydantic import AfterValidator, Field, model_validator

from reconciler.model.base import Listing, Model, refused, wrong
from reconciler.model.measured_gates import CommandGate, JsonGate, MetricGate, Vantage
from reconciler.model.quantities import Percent, PositiveDuration
from reconciler.model.text import Argument, HostAndPort, HttpUrl, PlainName, Text

_LONGEST_PATTERN = 500


def _pattern(value: str) -> str:
    if len(value) > _LONGEST_PATTERN:
        raise wrong(f"at most {_LONGEST_PATTERN} characters long")
    try:
        re.compile(value)
    except re.error as error:
        raise wrong("a regular expression", f"{error.msg} at character {(error.pos or 0) + 1}") from None
    except (RecursionError, OverflowError):
        raise wrong("a regular expression", "this one is too large to compile") from None
    return value


_BUILT_IN = frozenset({"containers", "logs", "resources"})
"""Names of the gates that have no `name:`."""


class ContainersGate(Model):
    """State of the app's containers; a crash loop breaches at once, without waiting for the window's end."""

    running: Percent = Field(100.0, description="Least part of the containers that run and are healthy, in percent.")
    max_restarts: int = Field(0, ge=0, description="Most restarts of a container since the switch.")


class HttpGate(Model):
    """An HTTP endpoint that has to answer."""

    name: PlainName = Field(description="The gate's name in messages, records and metrics.")
    url: HttpUrl = Field(description="What is asked (GET).")
    from_: Vantage = Field("target", alias="from", description="Who asks: on the `target` 127.0.0.1 is the server.")
    status: int = Field(200, ge=100, le=599, description="The status code that it has to answer.")
    timeout: PositiveDuration = Field(3.0, description="Longest wait for one answer (a duration).")


class LogsGate(Model):
    """Log lines since the switch."""

    fatal: Listing[Annotated[Text, AfterValidator(_pattern)]] = Field(
        (), description="Regular expressions (Python's); a line that one is found in counts. Left out: not looked at."
    )
    max: int = Field(0, ge=0, description="Most such lines in the window.")


class ResourcesGate(Model):
    """Limits of what the target has. A limit that is left out isn't measured."""

    cpu_percent: Percent | None = Field(None, description="Most CPU in use, in percent of all processors.")
    memory_percent: Percent | None = Field(None, description="Most memory in use, in percent.")
    disk_percent: Percent | None = Field(None, description="Most of deploy_dir's file system in use, in percent.")


class NetworkGate(Model):
    """An outside service that has to be in reach: exactly one of `tcp` and `http`."""

    name: PlainName = Field(description="The gate's name in messages, records and metrics.")
    tcp: HostAndPort | None = Field(None, description="`host:port` that has to accept a connection.")
    http: HttpUrl | None = Field(None, description="URL that has to answer, whatever the status code.")
    from_: Vantage = Field("target", alias="from", description="Who connects.")
    timeout: PositiveDuration = Field(3.0, description="Longest wait for the connection or the answer (a duration).")

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if (self.tcp is None) == (self.http is None):
            raise refused("needs exactly one of `tcp` and `http`")
        return self


class ScenarioGate(Model):
    """A command in a service's container that has to succeed."""

    name: PlainName = Field(description="The gate's name in messages, records and metrics.")
    service: PlainName = Field(description="The Compose service that it runs in.")
    run: Listing[Argument] = Field(min_length=1, description="The command, as a list; exit status 0 is a pass.")
    timeout: PositiveDuration = Field(60.0, description="Longest run (a duration).")


class Gates(Model):
    """The Go/No-Go checks of a release."""

    window: PositiveDuration = Field(30.0, description="How long the verification measures (a duration).")
    interval: PositiveDuration = Field(2.0, description="Time from one measurement of a gate to its next (a duration).")
    containers: ContainersGate = Field(
        default_factory=ContainersGate.model_construct, description="State of the app's containers."
    )
    http: Listing[HttpGate] = Field((), description="HTTP endpoints that have to answer.")
    logs: LogsGate = Field(default_factory=LogsGate.model_construct, description="Fatal log lines since the switch.")
    resources: ResourcesGate = Field(
        default_factory=ResourcesGate.model_construct, description="Limits of CPU, memory and disk."
    )
    network: Listing[NetworkGate] = Field((), description="Outside services that have to be in reach.")
    metrics: Listing[MetricGate] = Field((), description="Numbers from Prometheus.")
    json_: Listing[JsonGate] = Field((), alias="json", description="Fields of JSON documents that a URL answers.")
    commands: Listing[CommandGate] = Field((), description="Commands that measure.")
    scenarios: Listing[ScenarioGate] = Field((), description="Commands that have to succeed in a container.")

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.window < self.interval:
            raise refused("is shorter than `gates.interval`", "nothing would be measured twice", at=("window",))
        seen: set[str] = set()
        own = {"metrics", "json_", "commands"}
        for section in ("http", "network", "metrics", "json_", "commands", "scenarios"):
            for position, gate in enumerate(getattr(self, section)):
                if gate.name in seen or (section in own and gate.name in _BUILT_IN):
                    at = (section.rstrip("_"), position, "name")
                    raise refused(f"is the name of another gate: {gate.name}", at=at)
                seen.add(gate.name)
        return self
