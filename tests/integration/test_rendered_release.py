"""The self-contained, rendered release (DESIGN, "On the target"), on a real engine with real Compose.

Every project of tests/corpus is deployed as a team would have it; what happened is judged from the engine and from the
server's files.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import docker
import pytest
from docker.models.containers import Container

from tests.world.images import Images
from tests.world.world import CHECKOUT, Completed, Project, Repo, new_project

pytestmark = pytest.mark.engine

CORPUS = CHECKOUT / "tests" / "corpus"
ODD_VALUE = "yes: 🚀 'a' \"b\" $HOME ${X} # no \\ {{.}} 0o17"
TOKEN = "canary-4f9d1c"


@dataclass(frozen=True)
class Case:
    """One project of the corpus. `one_shots` are the lines that its one-shots append to state/ran, once each."""

    name: str
    compose: tuple[str, ...] = ("compose.yaml",)
    values: Mapping[str, str] = field(default_factory=dict)
    one_shots: tuple[str, ...] = ()
    services: Mapping[str, int] = field(default_factory=dict)


CASES = (
    Case("anchors", services={"one": 1, "two": 1}),
    Case("include", services={"web": 1, "database": 1, "cache": 1}),
    Case("extends", services={"worker": 1, "mixed": 1}),
    Case("profiles", values={"COMPOSE_PROFILES": "metrics"}, services={"app": 1, "metrics": 1}),
    Case("scale", services={"pool": 3, "workers": 2}),
    Case("env-files", values={"PASSED_THROUGH": "passed"}, services={"app": 1}),
    Case(
        "init-chain",
        one_shots=("init", "migrate"),
        services={"app": 1, "migrate": 1, "database": 1, "init": 1, "sidecar": 1},
    ),
    Case("configs-secrets", services={"app": 1, "other": 1, "keeper-of-placed": 1}),
    Case("volumes-networks", services={"app": 1, "store": 1, "alone": 1}),
    Case("mounts", services={"app": 1, "twin": 1}),
    Case("build", services={"app": 1, "tool": 1}),
    Case("overrides", compose=("base/compose.yaml", "prod/override.yaml"), services={"app": 1, "added": 1}),
    Case("sharing", services={"gateway": 1, "client": 1, "observer": 1, "bystander": 1}),
    Case("dollars", values={"PRICE": "5 $ or $$"}, services={"app": 1}),
    Case("odd-strings", values={"ODD": ODD_VALUE}, services={"app": 1}),
    Case("container-settings", services={"app": 1}),
)
BY_NAME = {case.name: case for case in CASES}


class World:
    """One project's engine and server, as a person with a shell there sees them."""

    def __init__(self, repo: Repo, project: Project) -> None:
        self.repo, self.project = repo, project

    def containers(self, service: str | None = None) -> list[Container]:
        """The project's, stopped ones included, sorted by name."""
        with closing(docker.DockerClient.from_env()) as engine:
            labels = [f"com.docker.compose.project={self.project.name}"]
            labels += [f"com.docker.compose.service={service}"] if service else []
            found = engine.containers.list(all=True, filters={"label": labels})
        return sorted(found, key=lambda container: str(container.name))

    def ids(self) -> dict[str, str]:
        """Container name to id."""
        return {str(container.name).removeprefix(self.project.name): str(container.id) for container in self.containers()}

    def count(self) -> dict[str, int]:
        """Service to number of containers."""
        services = [container.labels["com.docker.compose.service"] for container in self.containers()]
        return {service: services.count(service) for service in services}

    def shell(self, service: str, *command: str) -> str:
        """What a command in a service's container prints."""
        code, output = self.containers(service)[0].exec_run(list(command))
        assert code == 0, output
        return str(output.decode())

    def environment(self, service: str) -> dict[str, str]:
        """The environment that a service's container was made with."""
        entries = self.containers(service)[0].attrs["Config"]["Env"]
        return dict(entry.partition("=")[::2] for entry in entries)

    def compose(self, *arguments: str, cwd: Path | None = None) -> Completed:
        """`docker compose` of a person in deploy_dir, with variables in their shell that mean something else."""
        done = subprocess.run(
            ["docker", "compose", *arguments],
            cwd=cwd or self.project.deploy_dir,
            env={**os.environ, "LEVEL": "of the shell", "NOT_GIVEN": "of the shell", "IMAGE": "nonsense", "TAG": "no"},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done

    @property
    def server(self) -> Path:
        """deploy_dir."""
        return self.project.deploy_dir

    def releases(self) -> list[str]:
        """Of the target, by name."""
        return sorted(path.name for path in (self.server / "releases").iterdir())

    def reconcile(self, expected: int = 0) -> Completed:
        """One pass, with the exit code that it has to have."""
        import time; t=time.time()
        done = self.repo.reconcile("--once")
        print("PASS", time.time()-t, done.stdout, done.stderr)
        assert done.returncode == expected, f"exit {done.returncode}:\n{done.stdout}\n{done.stderr}"
        return done

    def plan(self, expected: int) -> Completed:
        """A plan, with the exit code that it has to have."""
        done = self.repo.reconcile("plan")
        assert done.returncode == expected, f"exit {done.returncode}:\n{done.stdout}\n{done.stderr}"
        return done

    def recreated_by(self, change: Any, expected: int = 0) -> set[str]:
        """The names of the containers that are other ones, or new, or gone, after `change` and one pass."""
        before = self.ids()
        change()
        self.reconcile(expected)
        after = self.ids()
        return {name.split("-", 1)[1] for name in before.keys() | after.keys() if before.get(name) != after.get(name)}

    def edit(self, path: str, old: str, new: str) -> None:
        """Change a file of the repository."""
        file = self.repo.path / path
        text = file.read_text()
        assert old in text
        file.write_text(text.replace(old, new))


def new_world(tmp: Path, project: Project, images: Images, case: Case) -> World:
    """A repository with one project of the corpus, to be deployed to `project`."""
    repo = Repo(tmp / "repo", project)
    shutil.copytree(CORPUS / case.name, repo.path)
    network = f"{project.name}-outside"
    (tmp / "outside").mkdir()
    (tmp / "outside" / "file").write_text("of the host\n")
    repo.set_env(
        IMAGE=images.repository,
        LEVEL="info",
        PORT=str(project.port),
        PROJECT=project.name,
        NETWORK=network,
        OUTSIDE=str(tmp / "outside"),
        API_TOKEN=TOKEN,
    )
    with (repo.path / ".env.server").open("a") as values:
        for key, value in case.values.items():
            escaped = value.replace("\\", "\\\\").replace('"', '\\"').replace("$", "\\$")
            values.write(f'{key}="{escaped}"\n')
    repo.write(".gitignore", ".env.server\nops/run_records/\n")
    document = {
        "apiVersion": "reconciler/v1",
        "app": project.name,
        "tag": images.good(),
        "compose": list(case.compose),
        "image": {"repository": images.repository, "delivery": "present"},
        "env": {"values": ".env.server"},
        "targets": {"here": {"host": "local", "deploy_dir": str(project.deploy_dir)}},
        "writable": ["state"],
        "gates": {"window": "200ms", "interval": "100ms"},
        "records": {"commit": False},
    }
    repo.write("deploy.yaml", json.dumps(document, indent=1))
    for settings in (["init", "--quiet", "--initial-branch=main"], ["config", "user.name", "Test"]):
        repo.git(*settings)
    repo.git("config", "user.email", "test@example.invalid")
    repo.commit("Desired state")
    (project.deploy_dir / "state").mkdir(parents=True)
    (project.deploy_dir / "state" / "placed.txt").write_text("placed\n")
    if case.name == "volumes-networks":
        with closing(docker.DockerClient.from_env()) as engine:
            engine.networks.create(network, labels={"com.docker.compose.project": project.name})
    return World(repo, project)


@pytest.fixture
def world(request: pytest.FixtureRequest, tmp_path: Path, project: Project, images: Images) -> World:
    """The project of the corpus that the test names by indirect parametrization, not deployed yet."""
    return new_world(tmp_path, project, images, BY_NAME[request.param])


def of(name: str) -> pytest.MarkDecorator:
    """Runs a test with one project of the corpus."""
    return pytest.mark.parametrize("world", [name], indirect=True)


def temporary() -> set[Path]:
    """Directories of renderings on this machine."""
    return set(Path("/tmp").glob("reconciler.*"))


@pytest.mark.parametrize("world", [case.name for case in CASES], indirect=True)
class TestTheCorpus:
    def test_a_deploy_stays_as_it_is(self, world: World, request: pytest.FixtureRequest) -> None:
        """Deployed once, nothing is ever done again: not by a second pass, a plan, or a person's own `up -d`."""
        case = BY_NAME[request.node.callspec.params["world"]]
        world.reconcile()
        assert world.count() == case.services
        ids, records = world.ids(), world.repo.records()
        assert len(records) == 1
        world.reconcile()
        world.plan(0)
        assert world.ids() == ids
        assert world.repo.records() == records
        ran = world.server / "state" / "ran"
        assert (ran.read_text().split() if ran.exists() else []) == list(case.one_shots)
        said = world.compose("up", "--detach").stderr
        assert world.ids() == ids, said
        self_contained(world)
        extra = CHECKS.get(case.name)
        if extra:
            extra(world)


def self_contained(world: World) -> None:
    """Nothing of the release points at what is gone, and nothing is left lying around."""
    [release] = world.releases()
    for file in (world.server / "releases" / release).iterdir():
        text = file.read_text()
        assert "/reconciler." not in text, file.name
        assert str(world.repo.path) not in text, file.name
    for container in world.containers():
        for mount in container.attrs["Mounts"]:
            assert "/reconciler." not in mount["Source"]
    staging = world.server / ".reconciler" / "staging"
    assert not staging.exists() or not any(staging.iterdir())


CHECKS: dict[str, Any] = {}
