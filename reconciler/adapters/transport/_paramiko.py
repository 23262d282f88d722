"""The one place that imports paramiko.

paramiko imports `invoke`, if it is installed, for `Match exec` in ~/.ssh/config alone: 50 of its 130 ms
of import time (measured), and a way to run commands out of a configuration file. It is optional there and kept out.
"""

from __future__ import annotations

import logging
import sys
from types import ModuleType
from typing import cast

_blocked = "invoke" not in sys.modules
if _blocked:
    sys.modules["invoke"] = cast(ModuleType, None)  # documented meaning of None: the import fails
try:
    import paramiko
    from paramiko import common, packet
finally:
    if _blocked:
        del sys.modules["invoke"]

# What paramiko logs at ERROR, with tracebacks, is raised by us as one clear line.
if logging.getLogger("paramiko").level == logging.NOTSET:
    logging.getLogger("paramiko").setLevel(logging.CRITICAL)

__all__ = ["common", "packet", "paramiko"]
