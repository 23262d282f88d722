"""Protocols between decisions and the outside world. `cycle` calls them, `adapters` implement them."""

from __future__ import annotations

from reconciler.ports.clock import Clock
from reconciler.ports.engine import Credentials, Engine, Events, Happening, Origin, Survey, Usage, Watch
from reconciler.ports.gate import Gate
from reconciler.ports.host import HeldLock, Host
from reconciler.ports.repository import Changes, Publisher, Repository
from reconciler.ports.transport import Completed, RemoteProcess, Stream, Transport

__all__ = [
    "Changes",
    "Clock",
    "Completed",
    "Credentials",
    "Engine",
    "Events",
    "Gate",
    "Happening",
    "HeldLock",
    "Host",
    "Origin",
    "Publisher",
    "RemoteProcess",
    "Repository",
    "Stream",
    "Survey",
    "Transport",
    "Usage",
    "Watch",
]
