"""This machine's own Compose, for a desk that looks at a model before any target does. It needs no engine."""

from __future__ import annotations

import shutil
from pathlib import PurePosixPath

from reconciler.adapters.host.scripts import Settings
from reconciler.adapters.host.target import TargetHost
from reconciler.adapters.transport.local import LocalTransport
from reconciler.model.errors import PreflightFailed, TargetUnfit
from reconciler.model.release import Rendering
from reconciler.model.sources import SourceTree

HERE = "this machine"


def render_locally(tree: SourceTree, env: bytes, *, tag: str, project: str) -> Rendering:
    """The model in a private directory that is gone afterwards.

    Raises TargetUnfit where there is no Compose v2, nor the shell to run it, and PreflightFailed where Compose refuses
    the model: that text still quotes pieces of values.
    """
    missing = [name for name in ("env", "sh") if shutil.which(name) is None]
    if missing:
        raise TargetUnfit(f"{HERE}: there is no {missing[0]} command")
    transport = LocalTransport()
    unused = Settings(HERE, PurePosixPath("/"), project, project, (), "unix:///var/run/docker.sock")
    try:
        return TargetHost(transport, unused, LocalTransport).render(tree, env, tag)
    except PreflightFailed as error:
        raise PreflightFailed(str(error).removeprefix(f"{HERE}: ")) from None
    finally:
        transport.close()
