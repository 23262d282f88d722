"""A repository whose one target is the second server, reached over its own sshd: what most users have."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.world.engine import RemoteSsh, SecondEngine
from tests.world.images import Images
from tests.world.network import free_port
from tests.world.world import Project, Repo, new_repo

QUICK = {
    "gates.window": "500ms",
    "gates.interval": "250ms",
    "gates.resources": None,
    "stabilization": {"period": "1h", "interval": "1s"},
}
"""What a test doesn't wait for. Disk limits are this machine's affair."""


@dataclass
class Far:
    """The repository, and the server that it deploys to."""

    server: SecondEngine
    repo: Repo
    keys: Path
    sshd: RemoteSsh | None = None
    _session: ExitStack = field(default_factory=ExitStack)

    @property
    def project(self) -> Project:
        return self.repo.project

    def connect(self) -> None:
        """Start sshd on the server, after a reboot again: on the same port, with the same key."""
        self._session.close()
        port = self.sshd.port if self.sshd else None
        self.sshd = self._session.enter_context(self.server.ssh(self.keys, port=port))
        self.repo.edit(
            {
                "targets.demo.host": "127.0.0.1",
                "targets.demo.port": self.sshd.port,
                "targets.demo.user": self.sshd.user,
                "targets.demo.identity_file": str(self.sshd.identity_file),
                "targets.demo.known_hosts": str(self.sshd.known_hosts),
            }
        )

    def disconnect(self) -> None:
        """Stop its sshd."""
        self._session.close()

    def version(self) -> str:
        """The tag that really serves there; empty when nothing does."""
        try:
            status, body = self.server.request(self.project.url("/version"))
        except OSError:
            return ""
        return body.strip() if status == 200 else ""

    def images(self) -> set[str]:
        """The image ids on its engine, without intermediate ones."""
        return set(self.server.docker("image", "ls", "--quiet", "--no-trunc").stdout.split())


@contextmanager
def far_away(tmp: Path, server: SecondEngine, images: Images) -> Iterator[Far]:
    """A deployable repository for `server`; what it deployed there is gone when the block ends."""
    project = Project(f"f{secrets.token_hex(4)}", tmp / "app", free_port(), server.docker_host)
    far = Far(server, new_repo(tmp / "repo", project, images), tmp / "keys")
    far.keys.mkdir()
    far.repo.edit(QUICK)
    try:
        far.connect()
        far.repo.commit("To the server")
        yield far
    finally:
        far.disconnect()
        project.remove()
