"""The app of the cases: one service with a quick health check, a one-shot before it, a config file and user data."""

from __future__ import annotations

import json
import secrets
import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from docker.models.containers import Container

from tests.faults.lab import Lab
from tests.world.network import free_port
from tests.world.world import Project, Repo

COMPOSE = r"""
services:
  migrate:
    image: ${IMAGE}:${TAG}
    command: [/bin/sh, -c, exit 0]
    restart: "no"
    environment: {ROUND: "${ROUND}"}
    volumes: ["./data:/data/state"]
  web:
    image: ${IMAGE}:${TAG}
    command: [/app/web.sh]
    restart: unless-stopped
    environment: {ROUND: "${ROUND}", API_TOKEN: "${API_TOKEN}"}
    ports: ["127.0.0.1:${PORT}:8080"]
    volumes: ["./data:/data/state", "./app.conf:/etc/app.conf:ro", "keep:/data/keep"]
    depends_on: {migrate: {condition: service_completed_successfully}}
    healthcheck:
      test: [CMD, /bin/sh, -c, 'printf "GET /version HTTP/1.0\r\n\r\n" | nc -w 1 127.0.0.1 8080 | grep -q " 200 "']
      interval: 1s
      start_interval: 200ms
      start_period: 5s
      timeout: 3s
      retries: 3
volumes: {keep: {}}
"""
TEMPLATE = """
# @public
IMAGE=
# @public
PORT=
# @public
ROUND=
# @secret
API_TOKEN=
"""
SERVICES = ("migrate", "web")


@dataclass
class App:
    """One deployment of the app in a lab: its repository, its project, and what its user put into it."""

    lab: Lab
    transport: str
    repo: Repo
    round: int = 0
    tag: str = ""
    sentinels: dict[str, tuple[bytes, int, int, int]] = field(default_factory=dict)

    @property
    def project(self) -> Project:
        """Its Compose project."""
        return self.repo.project

    @property
    def dir(self) -> Path:
        """`deploy_dir`."""
        return self.project.deploy_dir

    def want(self, tag: str, *, retention: int = 5) -> None:
        """A merge: this tag, a new value of an env key, so that it is a release that never was."""
        self.lab.supply()
        self.round, self.tag = self.round + 1, tag
        self.repo.set(tag=tag)
        self.repo.set_env(ROUND=str(self.round))
        self.repo.edit({"retention.releases": retention})
        self.repo.commit(f"Round {self.round}")

    def service(self, name: str) -> Container:
        """The container of a service. Raises KeyError."""
        return self.project.containers()[name]

    def served_round(self) -> int:
        """The ROUND of the container that serves."""
        return round_of(self.service("web"))

    def served(self) -> tuple[str, int]:
        """The tag and the ROUND that serve."""
        state = self.state()
        return str(state["releases"][state["serving"]]["tag"]), self.served_round()

    def state(self) -> dict[str, Any]:
        """The target's state file. Raises OSError and ValueError."""
        state: dict[str, Any] = json.loads((self.dir / ".reconciler" / "state.json").read_text())
        return state

    def plant(self) -> None:
        """Files of the user in the writable area and in the volume."""
        for path in self._user_files():
            path.write_bytes(secrets.token_bytes(64))
            path.chmod(0o640)
            info = path.lstat()
            self.sentinels[str(path)] = (path.read_bytes(), info.st_ino, info.st_mtime_ns, info.st_mode)

    def hurt_data(self) -> list[str]:
        """The user's files that aren't what they were."""
        hurt = []
        for name, before in self.sentinels.items():
            path = Path(name)
            info = path.lstat() if path.exists() else None
            after = (path.read_bytes(), info.st_ino, info.st_mtime_ns, info.st_mode) if info else None
            if after != before:
                hurt.append(f"user data {name} was {'changed' if after else 'removed'}")
        return hurt

    def port_is_nobodys(self) -> bool:
        """Whether the engine, which came up after a power cut, holds the app's port for a container that is gone.

        By its own log since then: it removed an endpoint that belonged to no container, and has refused the port.
        Nothing but its restart frees that port (moby/libnetwork#1790).
        """
        refused = f"Bind for 127.0.0.1:{self.project.port} failed: port is already allocated"
        return all(any(sign in line for line in self.lab.server.log) for sign in ("Removing stale endpoint", refused))

    def remove(self) -> None:
        """Everything of it, on the server and here."""
        self.project.remove()
        shutil.rmtree(self.dir.parent, ignore_errors=True)
        shutil.rmtree(self.repo.path, ignore_errors=True)

    def _user_files(self) -> list[Path]:
        mountpoint = self.lab.server.docker(
            "volume", "inspect", "--format", "{{.Mountpoint}}", f"{self.project.name}_keep"
        ).stdout.strip()
        # The server's /var/lib/docker is a directory of this side.
        volume = self.lab.server.root / "docker" / Path(mountpoint).relative_to("/var/lib/docker")
        return [self.dir / "data" / "sentinel", volume / "sentinel"]


def round_of(container: Container) -> int:
    """The ROUND that it was started with."""
    return int(dict(pair.split("=", 1) for pair in container.attrs["Config"]["Env"])["ROUND"])


def new_app(lab: Lab, transport: str) -> App:
    """A repository that deploys the app to the lab; nothing is deployed yet."""
    name = f"h{secrets.token_hex(4)}"
    project = Project(name, lab.disk / name / "server", free_port(), lab.server.docker_host)
    path = lab.tmp / "repos" / name
    path.mkdir(parents=True)
    project.deploy_dir.parent.mkdir()
    repo = Repo(path, project)
    for settings in (["init", "--quiet", "--initial-branch=main"], ["config", "user.name", "Test"]):
        repo.git(*settings)
    repo.git("config", "user.email", "test@example.invalid")
    repo.git("config", "commit.gpgsign", "false")
    repo.write(".gitignore", ".env.server\n")
    repo.write("app/compose.yaml", COMPOSE)
    repo.write("app/env.template", TEMPLATE)
    repo.write("app/app.conf", "threads=4\n")
    repo.set_env(IMAGE=lab.repository, PORT=str(project.port), API_TOKEN=secrets.token_hex(12))
    repo.deploy_file.write_text(yaml.safe_dump(_document(lab, transport, repo), sort_keys=False))
    return App(lab, transport, repo)


def _document(lab: Lab, transport: str, repo: Repo) -> dict[str, object]:
    project = repo.project
    assert lab.sshd is not None
    way: dict[str, object] = {"host": "local"}
    if transport == "ssh":
        way = {
            "host": "127.0.0.1",
            "port": lab.sshd.port,
            "user": lab.sshd.user,
            "identity_file": str(lab.sshd.identity_file),
            "known_hosts": str(lab.sshd.known_hosts),
        }
    return {
        "apiVersion": "reconciler/v1",
        "app": project.name,
        "tag": lab.tag[0],
        "compose": "app/compose.yaml",
        "image": {"repository": lab.repository, "delivery": "present"},
        "env": {"template": "app/env.template", "values": ".env.server"},
        "targets": {"server": {**way, "deploy_dir": str(project.deploy_dir)}},
        "writable": ["data"],
        "gates": {
            "window": "1s",
            "interval": "300ms",
            "http": [{"name": "web", "url": project.url("/version"), "from": "target", "status": 200}],
        },
        "stabilization": {"period": "24h", "interval": "1m"},
    }
