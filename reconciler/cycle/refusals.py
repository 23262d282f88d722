"""What the engine says when it refuses to start something: what passes by itself, and what only a person can end."""

from __future__ import annotations

import re

from reconciler.cycle.context import TargetContext
from reconciler.model.errors import EngineStuck

_PASSING = ("port is already allocated", "address already in use", "is already in use by container", "in progress")
"""What it says while it is still busy with the container that has to go: restarting it, removing it."""
_NO_PORT = re.compile(r"bind for (\S+):(\d+) failed: port is already allocated", re.IGNORECASE)
"""By its own books, not by the kernel: of a port that another process has it says that the address is in use."""


def passes(said: str) -> bool:
    """Whether once more may help."""
    return any(text in said.lower() for text in _PASSING)


def check_port(ctx: TargetContext, said: str) -> None:
    """Raises EngineStuck where the engine refuses a port that no container has.

    An engine that died while it started a container gives out the port again when it comes up, to nobody; removing
    the container, or its network, doesn't free it. Source: moby/libnetwork#1790, and docs/crash-safety.md.
    """
    refused = _NO_PORT.search(said)
    if refused is None or ctx.engine.holders(int(refused[2])):
        return
    raise EngineStuck(
        f"the engine on {ctx.name} holds {refused[1]}:{refused[2]} for a container that is gone, because it died while"
        " it started that one, and gives it back only when it is restarted: a person has to do that"
        " (`systemctl restart docker`); the next pass goes on from there"
    )
