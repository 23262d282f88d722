"""One test's own part of the world: a Compose project, a directory, a port, and the git repository that says so."""

from __future__ import annotations

import os
import re
import secrets
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import docker
import yaml
from docker.errors import NotFound
from docker.models.containers import Container

from tests.world.images import Images
from tests.world.network import free_port
from tests.world.poller import Answer, ask

CHECKOUT = Path(__file__).resolve().parents[2]
KEEPER_LABEL, COMPOSE_LABEL = PROJECT_LABELS = ("io.reconciler.keeper", "com.docker.compose.project")
"""Ours on what stays outside a project (keepers: first, as their watchdog could bring it back), and Compose's."""

Completed = subprocess.CompletedProcess[str]


@dataclass(frozen=True)
class Project:
    """A Compose project of this test's own; `docker_host` says on which engine (empty: this machine's)."""

    name: str
    deploy_dir: Path
    port: int
    docker_host: str = ""

    def url(self, path: str = "/") -> str:
        """Where web answers, from the server's own loopback."""
        return f"http://127.0.0.1:{self.port}{path}"

    def ask(self, path: str) -> Answer:
        """One GET of web, from here."""
        return ask(self.url(path))

    def version(self) -> str:
        """The tag that really serves; empty when nothing does."""
        answer = self.ask("/version")
        return answer.body.strip() if answer.ok() else ""

    def containers(self) -> dict[str, Container]:
        """Service name to container: the project's, stopped ones included. Of a scaled service, the last."""
        with self._engine() as engine:
            found = engine.containers.list(all=True, filters={"label": f"{COMPOSE_LABEL}={self.name}"})
        return {container.labels["com.docker.compose.service"]: container for container in found}

    def container_ids(self) -> dict[str, str]:
        """Service name to container id: the same before and after something means that it changed nothing."""
        return {service: str(container.id) for service, container in self.containers().items()}

    def keepers(self) -> list[Container]:
        """The containers outside the project that hold its images."""
        with self._engine() as engine:
            found = engine.containers.list(all=True, filters={"label": f"{KEEPER_LABEL}={self.name}"})
        return [container for container in found if COMPOSE_LABEL not in container.labels]

    def remove(self) -> None:
        """Remove every container, network and volume of the project, and its directory."""
        with self._engine() as engine:
            for label in PROJECT_LABELS:
                mine: dict[str, str | list[str] | bool] = {"label": f"{label}={self.name}"}
                for container in engine.containers.list(all=True, filters=mine):
                    with suppress(NotFound):
                        container.remove(force=True, v=True)
                for network in engine.networks.list(filters=mine):
                    with suppress(NotFound):
                        network.remove()
                for volume in engine.volumes.list(filters=mine):
                    with suppress(NotFound):
                        volume.remove(force=True)
        shutil.rmtree(self.deploy_dir, ignore_errors=True)

    @contextmanager
    def _engine(self) -> Iterator[docker.DockerClient]:
        client = docker.DockerClient(base_url=self.docker_host) if self.docker_host else docker.DockerClient.from_env()
        with closing(client) as engine:
            yield engine


@contextmanager
def new_project(tmp: Path, *, docker_host: str = "") -> Iterator[Project]:
    """A project with a name, a directory and a port that nothing else has; all of it is gone when the block ends."""
    project = Project(f"t{os.getpid()}-{secrets.token_hex(3)}", tmp / "server", free_port(), docker_host)
    try:
        yield project
    finally:
        project.remove()


@dataclass(frozen=True)
class Repo:
    """A git repository with deploy.yaml, the observer's desired state, and .env.server (not committed)."""

    path: Path
    project: Project
    env: dict[str, str] = field(default_factory=dict, repr=False)

    @property
    def deploy_file(self) -> Path:
        """Its deploy.yaml."""
        return self.path / "deploy.yaml"

    def set(self, *, tag: str) -> None:
        """Change the tag as a developer does: that one line, and nothing else in the file."""
        text, count = re.subn(r"(?m)^tag:.*$", f'tag: "{tag}"', self.deploy_file.read_text())
        assert count == 1, "deploy.yaml has one line `tag:`"
        self.deploy_file.write_text(text)

    def edit(self, changes: Mapping[str, Any]) -> None:
        """Set values in deploy.yaml by dotted path (`{"targets.demo.host": "127.0.0.1"}`); None removes the key.

        The file is written anew, without its comments.
        """
        document = yaml.load(self.deploy_file.read_text(), Loader=yaml.SafeLoader)  # the safe loader
        for dotted, value in changes.items():
            *parents, key = dotted.split(".")
            place = document
            for parent in parents:
                place = place.setdefault(parent, {})
            place.pop(key, None) if value is None else place.update({key: value})
        self.deploy_file.write_text(yaml.safe_dump(document, sort_keys=False))

    def set_env(self, **values: str) -> None:
        """Change values of .env.server, and keep the others."""
        self.env.update(values)
        path = self.path / ".env.server"
        path.write_text("".join(f"{key}={value}\n" for key, value in self.env.items()))
        path.chmod(0o600)

    def write(self, path: str, text: str) -> Path:
        """Write a file of the repository, its directories included."""
        file = self.path / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        return file

    def commit(self, message: str = "Change") -> str:
        """Commit everything that isn't ignored and return the commit's id. Nothing to commit is a commit, too."""
        self.git("add", "--all")
        self.git("commit", "--quiet", "--allow-empty", "--message", message)
        return self.git("rev-parse", "HEAD")

    def release(self, tag: str) -> str:
        """Set the tag, commit it, and return the commit's id: what a merge does."""
        self.set(tag=tag)
        return self.commit(f"Release {tag}")

    def git(self, *arguments: str) -> str:
        """Git's output, without white space at its ends. Raises CalledProcessError."""
        command = ["git", "-C", str(self.path), *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

    def records(self) -> list[Path]:
        """The run records of the work tree, in the order of their names."""
        return sorted((self.path / "ops" / "run_records").glob("*.md"))

    def reconcile(self, *arguments: str, env: Mapping[str, str] | None = None, timeout: float = 120.0) -> Completed:
        """Run the command line in the repository, as `reconcile` on a person's PATH."""
        return reconcile(*arguments, cwd=self.path, env=env, timeout=timeout)


def reconcile(*arguments: str, cwd: Path, env: Mapping[str, str] | None = None, timeout: float = 120.0) -> Completed:
    """Run the command line in a process of its own; `env` comes on top of this process's. Never raises for its exit."""
    return subprocess.run(
        [sys.executable, "-m", "reconciler.cli.main", *arguments],
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": str(CHECKOUT), **(env or {})},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )


def new_repo(path: Path, project: Project, images: Images) -> Repo:
    """A repository at `path` that deploys `project` on this machine, with one commit and its first good image built."""
    path.mkdir(parents=True)
    for name in ("deploy.yaml", ".gitignore"):
        shutil.copy(CHECKOUT / name, path / name)
    shutil.copytree(CHECKOUT / "desired_state", path / "desired_state")
    repo = Repo(path, project)
    # Each probe costs the engine 60 ms of CPU: at one a second, the apps of four tests kept half a core busy.
    compose = path / "desired_state" / "observer" / "compose.yaml"
    quick = compose.read_text().replace("interval: 1s", "interval: 3s\n      start_interval: 300ms")
    compose.write_text(quick.replace("retries: 3", "retries: 2"))
    repo.set_env(
        IMAGE=images.repository,
        PORT=str(project.port),
        LOG_LEVEL="info",
        CAPTURE_INTERVAL="1",
        API_TOKEN=f"token-{secrets.token_hex(8)}",
    )
    repo.edit(
        {
            "app": project.name,
            "tag": images.good(),
            "image.repository": images.repository,
            "targets": {"demo": {"host": "local", "deploy_dir": str(project.deploy_dir)}},
            "gates.http": [{"name": "web", "url": project.url("/healthz"), "from": "target", "status": 200}],
        }
    )
    for settings in (["init", "--quiet", "--initial-branch=main"], ["config", "user.name", "Test"]):
        repo.git(*settings)
    repo.git("config", "user.email", "test@example.invalid")
    repo.git("config", "commit.gpgsign", "false")
    repo.commit("Desired state")
    return repo
