"""From deploy.yaml's `gates` to the gates of one window."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import datetime, timedelta
from pathlib import Path

from pydantic import SecretStr

from reconciler.adapters.gates.base import GateEngine
from reconciler.adapters.gates.containers import ContainersCheck
from reconciler.adapters.gates.http import HttpCheck
from reconciler.adapters.gates.logs import LogsCheck
from reconciler.adapters.gates.names import Names
from reconciler.adapters.gates.network import NetworkCheck
from reconciler.adapters.gates.resources import ResourcesCheck
from reconciler.dataclass import dataclass
from reconciler.model.gates import Gates
from reconciler.model.stored import ServiceFacts
from reconciler.ports import Clock, Gate, Transport

_CLOCK_READINGS = 3
_PROMPT = timedelta(milliseconds=50)
"""An answer that took longer tells the engine's time too vaguely: ask again."""


@dataclass(frozen=True, slots=True)
class GateContext:
    """What the gates of one release on one target measure, and by what means.

    `since` is the time of the switch by `clock`, the same clock that is read when the gates are made. The engine's may
    be a day off, and it is the engine's that stamps log lines and starts: so `gates_for` asks the engine for its time
    once and translates. `redact` masks every text that is shown, and `learn` takes what it has to mask from now on.
    `names` says what release is judged, and since which switch: in a later round that is long before `since`. `desk` is
    the directory of deploy.yaml.
    """

    transport: Transport
    engine: GateEngine
    project: str
    expected: Mapping[str, ServiceFacts]
    since: datetime
    clock: Clock
    redact: Callable[[str], str]
    deploy_dir: str
    names: Names
    learn: Callable[[SecretStr], None]
    desk: Path


def gates_for(spec: Gates, ctx: GateContext) -> tuple[Gate, ...]:
    """The gates that `spec` asks for, container state first. They remember what they saw: one set for one window.

    Each may be measured in a thread of its own, but not the same one in two at once. Raises TargetUnreachable.
    """
    since = on_the_engines_clock(ctx)
    clock, redact = ctx.clock, ctx.redact
    gates: list[Gate] = [
        ContainersCheck(
            spec.containers,
            ctx.engine,
            project=ctx.project,
            expected=ctx.expected,
            since=since,
            clock=clock,
            redact=redact,
        )
    ]
    gates += [HttpCheck(http, ctx.transport, clock=clock, redact=redact) for http in spec.http]
    if spec.logs.fatal:
        gates.append(
            LogsCheck(
                spec.logs,
                ctx.engine,
                project=ctx.project,
                services=frozenset(ctx.expected),
                since=since,
                clock=clock,
                redact=redact,
            )
        )
    limits = spec.resources
    if any(limit is not None for limit in (limits.cpu_percent, limits.memory_percent, limits.disk_percent)):
        gates.append(
            ResourcesCheck(
                limits,
                ctx.engine,
                ctx.transport,
                project=ctx.project,
                deploy_dir=ctx.deploy_dir,
                clock=clock,
                redact=redact,
            )
        )
    gates += [NetworkCheck(network, ctx.transport, clock=clock, redact=redact) for network in spec.network]
    return (*gates, *_measured(spec, ctx))


def _measured(spec: Gates, ctx: GateContext) -> Iterator[Gate]:
    """Those that ask a measuring system; imported where there are any."""
    clock, redact = ctx.clock, ctx.redact
    if spec.metrics or spec.json_:
        from reconciler.adapters.gates.json_field import JsonCheck
        from reconciler.adapters.gates.login import login_headers
        from reconciler.adapters.gates.metrics import MetricCheck

        for metric in spec.metrics:
            headers = login_headers(metric.login, ctx.desk, ctx.learn)
            yield MetricCheck(metric, ctx.transport, ctx.names, headers=headers, clock=clock, redact=redact)
        for field in spec.json_:
            headers = login_headers(field.login, ctx.desk, ctx.learn)
            yield JsonCheck(field, ctx.transport, ctx.names, headers=headers, clock=clock, redact=redact)
    if spec.commands:
        from reconciler.adapters.gates.command import CommandCheck

        for command in spec.commands:
            yield CommandCheck(command, ctx.transport, ctx.names, directory=ctx.desk, clock=clock, redact=redact)


def on_the_engines_clock(ctx: GateContext) -> datetime:
    """`ctx.since` as the engine's clock had it.

    Exact where the clocks agree as far as can be told. Otherwise early by at most the time of one answer, never late:
    no line is missed.
    """
    readings = []
    for _ in range(_CLOCK_READINGS):
        before = ctx.clock.now()
        there = ctx.engine.now()
        after = ctx.clock.now()
        readings.append((after - before, there - after, there - before))
        if after - before < _PROMPT:
            break
    _, least, most = min(readings)
    return ctx.since if least <= timedelta() <= most else ctx.since + least
