"""The self-contained, rendered release (DESIGN, "On the target"), on a real engine with real Compose.

Every project of tests/corpus is deployed as a team would have it; what happened is judged from the engine and from the
server's files.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import docker
import pytest
from docker.models.containers import Container

from tests.world.images import Images
from tests.world.world import CHECKOUT, Completed, Project, Repo

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
        return {
            str(container.name).removeprefix(self.project.name): str(container.id) for container in self.containers()
        }

    def count(self) -> dict[str, int]:
        """Service to number of containers."""
        services = [container.labels["com.docker.compose.service"] for container in self.containers()]
        return {service: services.count(service) for service in services}

    def shell(self, service: str, *command: str) -> str:
        """What a command in a service's container prints."""
        code, output = self.containers(service)[0].exec_run(list(command))
        assert code == 0, output
        assert isinstance(output, bytes)
        return output.decode()

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
        return self._run("--once", expected)

    def plan(self, expected: int) -> Completed:
        """A plan, with the exit code that it has to have."""
        return self._run("plan", expected)

    def _run(self, command: str, expected: int) -> Completed:
        temporary = self.repo.path.parent / "temporary"
        temporary.mkdir(exist_ok=True)
        done = self.repo.reconcile(command, env={"TMPDIR": str(temporary)})
        assert done.returncode == expected, f"exit {done.returncode}:\n{done.stdout}\n{done.stderr}"
        assert list(temporary.iterdir()) == []
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


OFTEN = {"include", "env-files", "init-chain", "configs-secrets", "mounts", "overrides"}
"""What a release is most likely to lose; `make test-all` has the others, too."""


@pytest.mark.parametrize(
    "world",
    [pytest.param(case.name, marks=() if case.name in OFTEN else pytest.mark.exhaustive) for case in CASES],
    indirect=True,
)
class TestTheCorpus:
    def test_a_deploy_stays_as_it_is_until_a_commit_changes_it(
        self, world: World, request: pytest.FixtureRequest
    ) -> None:
        """Deployed once, nothing is ever done again: not by a second pass, or a person's own `up -d`."""
        case = BY_NAME[request.node.callspec.params["world"]]
        world.reconcile()
        assert world.count() == case.services
        ids, records = world.ids(), world.repo.records()
        assert len(records) == 1
        world.reconcile()
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
        for change in CHANGES.get(case.name, ()):
            change(world)


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


def check_include(world: World) -> None:
    assert world.shell("database", "cat", "/etc/database.conf") == "max_connections = 10\n"
    assert world.environment("database")["DATABASE_NAME"] == "app"
    assert world.environment("cache")["SIZE"] == "large"
    assert world.shell("cache", "cat", "/cache") == "evict lru\n"


def check_extends(world: World) -> None:
    assert world.environment("mixed").items() >= {"THREADS": "2", "QUEUE": "reports"}.items()
    assert world.shell("worker", "cat", "/etc/worker.conf") == "threads = 2\n"


def check_anchors(world: World) -> None:
    labels = world.containers("two")[0].labels
    assert labels["com.example.dollar"] == "5 $ and ${BRACES}"
    assert labels["com.example.team"] == "storage"
    assert world.environment("one").items() >= {"MODE": "base", "LEVEL": "debug"}.items()


def check_env_files(world: World) -> None:
    found = world.environment("app")
    assert {key: value for key, value in found.items() if key not in {"PATH", "OBSERVER_TAG", "OBSERVER_FAULT"}} == {
        **world.repo.env,
        "TAG": "20260101_000001",
        "PASSED_THROUGH": "passed",
        "COMMON": "yes",
        "EXPORTED": "1",
        "SINGLE": 'a $HOME b "c" # d',
        "DOUBLE": "line one\nline two $5 'x'",
        "ESCAPED": "$plain",
        "HASH": "a#b",
        "TRAILING": "value",
        "COLON": "a: b",
        "EMPTY": "",
        "JSON": '{"a": [1, 2, "$$"]}',
        "REFERS": "yes-more",
    }


def check_configs_secrets(world: World) -> None:
    assert world.shell("app", "cat", "/plain", "/etc/elsewhere.conf") == "plain\nelsewhere\n"
    assert world.shell("app", "cat", "/etc/inline.conf") == "level = info\nprice = 5 $\n"
    assert world.shell("app", "cat", "/run/secrets/certificate") == "not really a certificate\n"
    assert world.shell("app", "cat", "/run/secrets/token") == TOKEN
    assert world.shell("keeper-of-placed", "cat", "/run/secrets/placed") == "placed\n"


def check_volumes_networks(world: World) -> None:
    [app] = world.containers("app")
    name = world.project.name
    assert set(app.attrs["NetworkSettings"]["Networks"]) == {f"{name}_front", f"{name}_back", f"{name}-outside"}
    sources = {mount["Destination"]: mount.get("Name") for mount in app.attrs["Mounts"]}
    assert sources["/data"] == sources["/again"] == f"{name}_data"
    assert sources["/named"] == f"{name}-a-name-of-its-own"
    world.shell("app", "sh", "-c", "echo bound > /bound/bound")
    assert (world.server / "state" / "bound").read_text() == "bound\n"


def check_mounts(world: World) -> None:
    assert world.shell("app", "cat", "/etc/app.conf", "/etc/all/app.conf") == "listen 80\n" * 2
    assert world.shell("app", "cat", "/etc/twin-a.conf") == "the same in both\n"
    assert world.shell("twin", "cat", "/etc/twin-b.conf") == "the same in both\n"
    assert world.shell("app", "cat", "/etc/all/an odd näme.conf") == "odd\n"
    assert world.shell("app", "cat", "/outside/file") == "of the host\n"
    assert world.shell("app", "test", "-x", "/etc/all/scripts/run.sh") == ""
    world.shell("app", "sh", "-c", "echo deep > /deeper/file")
    assert (world.server / "state/deep/er/file").read_text() == "deep\n"
    for file in (world.server / ".reconciler" / "files").rglob("*"):
        assert file.is_dir() or not file.stat().st_mode & 0o222, file


def check_overrides(world: World) -> None:
    [app] = world.containers("app")
    assert not app.attrs["HostConfig"]["PortBindings"]
    assert world.environment("app")["MODE"] == "prod"
    assert world.shell("app", "cat", "/etc/app.conf") == "prod\n"
    assert {mount["Destination"]: mount["Source"] for mount in app.attrs["Mounts"]}["/state"] == str(
        world.server / "state"
    )


def check_sharing(world: World) -> None:
    ids = world.ids()
    assert world.containers("client")[0].attrs["HostConfig"]["NetworkMode"] == f"container:{ids['-gateway-1']}"
    observer = world.containers("observer")[0].attrs
    assert observer["HostConfig"]["PidMode"] == f"container:{ids['-client-1']}"
    assert [mount["Destination"] for mount in observer["Mounts"]] == ["/shared"]


def check_dollars(world: World) -> None:
    assert world.environment("app").items() >= {"ME": "you $ me", "PRICE": "5 $ or $$", "PATTERN": "^a$|\\d+$"}.items()
    user, said = (world.server / "state" / "said").read_text().split(" ", 1)
    assert (user, said) == ("0", "you $ me 1\n")
    assert world.containers("app")[0].labels["com.example.rule"] == "Host(`${DOMAIN}`)"


def check_odd_strings(world: World) -> None:
    found = world.environment("app")
    quoted = {
        "OCTAL": "0o17",
        "OLD_OCTAL": "017",
        "YES": "yes",
        "ON": "on",
        "SEXAGESIMAL": "22:22",
        "UNDERSCORE": "1_000",
        "FLOAT": "3.10",
        "EXPONENT": "1e3",
        "BIG": "12345678901234567890",
        "HEX": "0x1F",
        "NULLISH": "null",
        "TILDE": "~",
        "DATE": "2026-01-22",
        "MERGE": "<<",
        "EQUALS": "=",
        "EMOJI": "🚀 ünïcödé",
        "DEL": "a\x7fb",
        "NEL": "a\x85b",
        "LINE_SEPARATOR": "a\u2028b",
        "BOM": "\ufeffa",
        "NON_CHARACTER": "\uffffa",
        "TABS": "a\tb",
        "LINES": "one\ntwo\n",
        "SPACES": "  around  ",
        "QUOTES": "'\"`\\",
        "HTML": "<a href='x'>&amp;</a>",
        "FROM_VALUES": ODD_VALUE,
    }
    assert {key: found[key] for key in quoted} == quoted
    assert world.containers("app")[0].labels["com.example.del"] == "a\x7fb"
    assert found["BARE_SEXAGESIMAL"] == "22:22"  # Compose reads YAML 1.2 here, and so does what it gets back


def check_container_settings(world: World) -> None:
    settings = world.containers("app")[0].attrs
    assert settings["HostConfig"]["Sysctls"] == {"net.core.somaxconn": "1024"}
    assert settings["HostConfig"]["NanoCpus"] == 500_000_000
    assert settings["HostConfig"]["PortBindings"]["8080/tcp"] == [
        {"HostIp": "127.0.0.1", "HostPort": str(world.project.port)}
    ]
    assert settings["Config"]["StopTimeout"] == 90
    assert settings["Config"]["Healthcheck"] == {"Test": ["NONE"]}


CHECKS: dict[str, Callable[[World], None]] = {
    "anchors": check_anchors,
    "include": check_include,
    "extends": check_extends,
    "env-files": check_env_files,
    "configs-secrets": check_configs_secrets,
    "volumes-networks": check_volumes_networks,
    "mounts": check_mounts,
    "overrides": check_overrides,
    "sharing": check_sharing,
    "dollars": check_dollars,
    "odd-strings": check_odd_strings,
    "container-settings": check_container_settings,
}


# What a commit changes is recreated, and nothing else.


def change_configs_and_secrets(world: World) -> None:
    """A changed `configs: file:`, `secrets: file:`, inline content or secret value recreates its service alone."""

    def files() -> None:
        world.edit("plain.conf", "plain", "changed")
        world.edit("certificate.pem", "not really", "really")

    assert world.recreated_by(files) == {"app-1"}
    assert world.shell("app", "cat", "/plain", "/run/secrets/certificate") == "changed\nreally a certificate\n"
    assert world.recreated_by(lambda: world.edit("compose.yaml", "price = 5", "price = 6")) == {"app-1"}
    assert "price = 6" in world.shell("app", "cat", "/etc/inline.conf")
    assert world.recreated_by(lambda: world.repo.set_env(API_TOKEN="another")) == {"app-1"}
    assert world.shell("app", "cat", "/run/secrets/token") == "another"
    ids = world.ids()
    world.compose("up", "--detach")
    assert world.ids() == ids


def change_mounted_files(world: World) -> None:
    """A mounted file recreates those that mount it, itself or its directory; its mode counts, too."""
    assert world.recreated_by(lambda: world.edit("twin-b.conf", "same", "other")) == {"twin-1"}
    assert world.shell("twin", "cat", "/etc/twin-b.conf") == "the other in both\n"
    assert world.shell("app", "cat", "/etc/twin-a.conf") == "the same in both\n"
    assert world.recreated_by(lambda: world.edit("config/app.conf", "80", "81")) == {"app-1", "twin-1"}
    before = world.releases()
    assert world.recreated_by(lambda: world.repo.write("README.md", "Not mounted by anything.")) == set()
    assert world.releases() == before


def change_comments_and_values(world: World) -> None:
    """A comment makes no release; a value recreates what consumes it, and what shares a namespace with that."""
    before, records = world.releases(), world.repo.records()
    assert world.recreated_by(lambda: world.edit("compose.yaml", "services:\n", "# Why not.\nservices:\n")) == set()
    assert (world.releases(), world.repo.records()) == (before, records)
    changed = world.recreated_by(lambda: world.repo.set_env(LEVEL="debug"))
    assert changed == {"gateway-1", "client-1", "observer-1"}
    check_sharing(world)
    ids = world.ids()
    world.compose("up", "--detach")
    assert world.ids() == ids


def change_lost_peer(world: World) -> None:
    """It comes back with those that shared its namespaces: these have no network any more."""
    world.containers("gateway")[0].remove(force=True)
    world.reconcile()
    check_sharing(world)
    world.reconcile()
    world.plan(0)


def change_scale_and_order(world: World) -> None:
    """Scale, depends_on and profiles recreate nothing; what Compose would recreate for, a pass does at once."""

    def more() -> None:
        world.edit("compose.yaml", "scale: 3", "scale: 4\n    depends_on: [workers]")
        world.edit("compose.yaml", "replicas: 2", "replicas: 1")

    assert world.recreated_by(more) == {"pool-4", "workers-2"}
    changed = world.recreated_by(lambda: world.edit("compose.yaml", "of: the-service", "of: others"))
    ids = world.ids()
    world.compose("up", "--detach")
    assert world.ids() == ids
    assert changed == {"workers-1"}


def change_one_shots(world: World) -> None:
    """A one-shot runs again when it is defined otherwise, and for nothing else: no release, and not when gone."""
    ran = world.server / "state" / "ran"
    before = ran.read_text().split()  # a person's `up` ran them again
    world.edit("compose.yaml", 'command: [sleep, "600"]', 'command: [sleep, "601"]')
    world.reconcile()
    world.containers("init")[0].remove()
    world.reconcile()
    assert ran.read_text().split() == before
    world.edit("compose.yaml", "echo migrate", "echo again")
    world.reconcile()
    assert ran.read_text().split() == [*before, "again"]
    world.plan(0)


def change_removed_service(world: World) -> None:
    """Its containers go, its volumes stay; one that takes its port over can start."""
    world.shell("app", "sh", "-c", "echo kept > /data/file")
    text = (world.repo.path / "compose.yaml").read_text()
    start, end = text.index("  app:"), text.index("  store:")
    assert world.recreated_by(lambda: world.repo.write("compose.yaml", text[:start] + text[end:])) == {"app-1"}
    with closing(docker.DockerClient.from_env()) as engine:
        names = {volume.name for volume in engine.volumes.list()}
    assert {f"{world.project.name}_data", f"{world.project.name}-a-name-of-its-own"} <= names
    assert world.shell("store", "cat", "/data/file") == "kept\n"


def change_renamed_service(world: World) -> None:
    """The old one goes before the new one comes: both can't publish one port."""
    assert world.recreated_by(lambda: world.edit("compose.yaml", "  app:\n", "  renamed:\n")) == {
        "app-1",
        "renamed-1",
    }
    world.plan(0)


CHANGES: dict[str, tuple[Callable[[World], None], ...]] = {
    "configs-secrets": (change_configs_and_secrets,),
    "mounts": (change_mounted_files,),
    "sharing": (
        change_comments_and_values,
        change_lost_peer,
    ),
    "scale": (change_scale_and_order,),
    "init-chain": (change_one_shots,),
    "volumes-networks": (change_removed_service,),
    "container-settings": (change_renamed_service,),
}


class TestStrangers:
    """Containers of the project that no release explains."""

    @of("profiles")
    def test_what_is_a_persons_right_is_left_alone_and_a_foreign_container_stopped(self, world: World) -> None:
        """A one-off run and a service of an inactive profile are; what carries the project's label by hand isn't."""
        world.reconcile()
        name, image = world.project.name, world.containers("app")[0].attrs["Config"]["Image"]
        with closing(docker.DockerClient.from_env()) as engine:
            for number, labels in enumerate([{}, {"com.docker.compose.service": "app"}]):
                engine.containers.run(
                    image,
                    ["sleep", "600"],
                    detach=True,
                    name=f"{name}-by-hand-{number}",
                    labels={"com.docker.compose.project": name, **labels},
                    stop_signal="SIGKILL",
                )
        world.compose("run", "--detach", "--name", f"{name}-one-off", "app", "sleep", "600")
        source = world.repo.path
        env = ["--env-file", str(source / ".env.server"), "--project-name", name]
        images = {"IMAGE": world.repo.env["IMAGE"], "TAG": "20260101_000001"}
        subprocess.run(
            ["docker", "compose", *env, "--profile", "debug", "up", "--detach", "--no-deps", "debug"],
            cwd=source,
            env={**os.environ, **images},
            check=True,
            capture_output=True,
        )
        foreign, left = {f"{name}-by-hand-0", f"{name}-by-hand-1"}, {f"{name}-one-off", f"{name}-debug-1"}
        before, records = world.ids(), world.repo.records()
        said = world.plan(2).stdout
        for stranger in foreign:
            assert f"drift foreign_container: {stranger}: expected no such container" in said
        for stranger in left:
            assert f"{stranger} is" in said
        world.reconcile()
        assert world.ids() == before
        with closing(docker.DockerClient.from_env()) as engine:
            states = {stranger: engine.containers.get(stranger).status for stranger in foreign | left}
        assert states == dict.fromkeys(foreign, "exited") | dict.fromkeys(left, "running")
        assert len(world.repo.records()) == len(records) + 1
        world.plan(0)
        world.reconcile()
        assert len(world.repo.records()) == len(records) + 1
        world.edit("compose.yaml", '[sleep, "600"]', '[sleep, "601"]')
        changed = world.recreated_by(lambda: None)
        assert changed == {"app-1", "metrics-1"}
        world.plan(0)
        assert {str(container.name) for container in world.containers()} >= left


HOSTILE = {
    # What replaces what in compose.yaml, and what the message has to say.
    "neither writable nor tracked": ("volumes:", "volumes:\n      - ./untracked:/x", "service app mounts ./untracked"),
    "outside": ("volumes:", "volumes:\n      - ../beside:/x", "service app mounts ../beside, which lies outside"),
    "outside by detours": ("volumes:", "volumes:\n      - ./state/../../beside:/x", "service app mounts ../beside"),
    "everything": ("volumes:", "volumes:\n      - .:/all", "service app mounts ./., which is neither"),
    "a volume of an untracked directory": (
        "services:",
        "volumes: {placed: {driver: local, driver_opts: {type: none, o: bind, device: ./untracked}}}\n"
        'services:\n  y: {image: "${IMAGE}:${TAG}", volumes: ["placed:/x"]}',
        "volumes.placed.driver_opts.device: this refers to a path of the sources",
    ),
    "an external network that isn't there": (
        "services:",
        'networks: {elsewhere: {external: true}}\nservices:\n  y: {image: "${IMAGE}:${TAG}", networks: [elsewhere]}',
        "needs network elsewhere (external), which isn't there; make it with `docker network create elsewhere`",
    ),
    "an external volume that isn't there": (
        "services:",
        'volumes: {elsewhere: {external: true}}\nservices:\n  y: {image: "${IMAGE}:${TAG}", volumes: ["elsewhere:/x"]}',
        "needs volume elsewhere (external), which isn't there",
    ),
    "only a build section": ("image: ${IMAGE}:${TAG}", "build: .", "service app has no image:"),
    "an include outside": (
        "services:",
        "include: [../shared/compose.yaml]\nservices:",
        "../shared/compose.yaml: no such file or directory (only the directory of the Compose files is sent)",
    ),
    "an include of no Compose file": ("services:", "include: [/etc/hosts]\nservices:", "Compose refuses the model"),
    "extends outside": (
        "image: ${IMAGE}:${TAG}",
        "image: ${IMAGE}:${TAG}\n    extends: {file: ../../base.yaml, service: app}",
        "../../base.yaml",
    ),
    "a file of values that isn't sent": ("volumes:", "env_file: .env.server\n    volumes:", " .env.server not found"),
    "a dollar too few": ("me=", "$me=", "uses me, and no env value sets it"),
    "a variable of the shell": ("- ./state", "- ${PWD}/state", "uses PWD, and no env value sets it"),
    "a value in Compose's message": ("volumes:", 'ports: ["${API_TOKEN}:80"]\n    volumes:', "nvalid hostPort"),
    "a circle": ("volumes:", "depends_on: [app]\n    volumes:", "app -> app"),
    "a key that isn't": ("labels:", "lables:", "lables"),
    "no YAML": ("services:", "services: [", "yaml: line"),
    "no image": ("${IMAGE}:${TAG}", "${IMAGE}:${TAG}-nosuch", "-nosuch isn't on target"),
}

PLANNED = ("outside", "a value in Compose's message", "no image")


@of("dollars")
def test_what_cannot_become_a_release_costs_nothing(world: World) -> None:
    """Exit 1 and one clear line without a value, from a plan, too; the same containers, files and records."""
    world.reconcile()
    good = (world.repo.path / "compose.yaml").read_text()

    def everything() -> list[object]:
        files = [str(file) for file in world.server.rglob("*") if file.parent.name != "acting"]
        return [world.ids(), sorted(files), world.repo.records()]

    before = everything()
    for what, (old, new, said) in HOSTILE.items():
        world.edit("compose.yaml", old, new)
        for command in (world.reconcile, world.plan) if what in PLANNED else (world.reconcile,):
            try:
                done = command(1)
            except AssertionError as error:
                raise AssertionError(f"{what}: {error}") from None
            printed = done.stdout + done.stderr
            lines = [line for line in printed.splitlines() if line.strip()]
            assert len(lines) == 1, f"{what}: {printed}"
            assert said in lines[0], f"{what}: {printed}"
            assert "reconciler." not in printed, f"{what}: {printed}"
            assert TOKEN not in printed, what
        world.repo.write("compose.yaml", good)
    assert everything() == before
    world.reconcile()
    assert everything() == before
