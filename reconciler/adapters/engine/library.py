"""The one place that imports the docker library.

`docker` imports paramiko for its own `ssh://`, which we don't use (our SSH connection carries the API): 100 of
200 ms of import time (measured). It treats that adapter as optional, so it is kept out while the library is imported.
"""

from __future__ import annotations

import sys
from types import ModuleType
from typing import cast

_ADAPTER = "docker.transport.sshconn"
if _ADAPTER not in sys.modules:
    sys.modules[_ADAPTER] = cast(ModuleType, None)  # documented meaning of None: the import fails
import docker  # noqa: E402 - after its ssh adapter was kept out
import docker.api.client  # noqa: E402 - after its ssh adapter was kept out
import docker.auth  # noqa: E402 - after its ssh adapter was kept out
import docker.errors  # noqa: E402 - after its ssh adapter was kept out
import docker.utils.proxy  # noqa: E402 - after its ssh adapter was kept out

__all__ = ["docker"]
