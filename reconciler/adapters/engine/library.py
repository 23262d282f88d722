"""The one place that imports the docker library, and what it is made of, when something of it is used first.

A pass with nothing to do only looks at the engine (reconciler.adapters.engine.reader) and never pays the 0.1 s.

`docker` imports paramiko for its own `ssh://`, which we don't use (our SSH connection carries the API): 100 of
200 ms of import time (measured). It treats that adapter as optional, so it is kept out while the library is imported.
"""

from __future__ import annotations

import importlib
import sys
from types import ModuleType
from typing import TYPE_CHECKING, cast

from reconciler.later import Later, once

__all__ = ["docker", "load", "requests", "urllib3"]

_ADAPTER = "docker.transport.sshconn"
_PARTS = ("docker.api.client", "docker.auth", "docker.errors", "docker.utils.proxy")


def _load() -> ModuleType:
    if _ADAPTER not in sys.modules:
        sys.modules[_ADAPTER] = cast(ModuleType, None)  # documented meaning of None: the import fails
    for part in _PARTS:
        importlib.import_module(part)
    return importlib.import_module("docker")


load = once(_load)
"""Imports the docker library, in one thread: two that import parts of it meet modules that are half made."""


def _with_it(name: str) -> ModuleType:
    load()
    return importlib.import_module(name)


if TYPE_CHECKING:
    import docker
    import docker.api.client
    import docker.auth
    import docker.errors
    import docker.utils.proxy
    import requests
    import urllib3
else:
    docker = Later(load)
    requests = Later(lambda: _with_it("requests"))
    urllib3 = Later(lambda: _with_it("urllib3"))
