"""Protocols between decisions and the outside world. `cycle` calls them, `adapters` implement them."""

from __future__ import annotations

from reconciler.ports.clock import Clock
from reconciler.ports.engine import Credentials, Engine, Events, Origin, Survey, Usage
from reconciler.ports.gate import Gate
from reconciler.ports.host import HeldLock, Host
from reconciler.ports.transport import Completed, RemoteProcess, Stream, Transport

__all__ = [
    "Clock",
    "Completed",
    "Credentials",
    "Engine",
    "Events",
    "Gate",
    "HeldLock",
    "Host",
    "Origin",
    "RemoteProcess",
    "Stream",
    "Survey",
    "Transport",
    "Usage",
]
