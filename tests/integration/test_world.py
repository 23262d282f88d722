"""The world that the other tests judge by: its engines, registry, images and clients do what they say."""

from __future__ import annotations

import http.client
import os
import subprocess
import time
from contextlib import closing, suppress
from pathlib import Path

import docker
import pytest
from docker.errors import APIError
from docker.models.containers import Container

from ops.demo.images import Fault
from tests.world.engine import SecondEngine
from tests.world.images import GOOD, Images
from tests.world.network import free_port
from tests.world.poller import ask, poll
from tests.world.registry import Login, Registry, RegistryFailed, registry
from tests.world.world import CHECKOUT, Project, Repo

pytestmark = pytest.mark.engine

OBSERVER = CHECKOUT / "desired_state" / "observer"


def compose(project: Project, images: Images, tag: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """`docker compose` as a person would run it on the server, in a directory with the observer's own files."""
    project.deploy_dir.mkdir(parents=True, exist_ok=True)
    (project.deploy_dir / "config").mkdir(exist_ok=True)
    for name in ("compose.yaml", "config/observer.conf"):
        (project.deploy_dir / name).write_text((OBSERVER / name).read_text())
    (project.deploy_dir / ".env").write_text(
        f"TAG={tag}\nIMAGE={images.repository}\nPORT={project.port}\nCAPTURE_INTERVAL=0.2\nAPI_TOKEN=t0k3n\n"
    )
    host = ["--host", project.docker_host] if project.docker_host else []
    return subprocess.run(
        ["docker", *host, "compose", "--project-name", project.name, *arguments],
        cwd=project.deploy_dir,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def up(project: Project, images: Images, tag: str) -> subprocess.CompletedProcess[str]:
    return compose(project, images, tag, "up", "--detach", "--wait", "--pull", "never")


def state(container: Container) -> dict[str, object]:
    container.reload()
    return dict(container.attrs["State"], RestartCount=container.attrs["RestartCount"])


def await_true(what: str, condition: object, *, seconds: float = 20.0) -> None:
    """For what neither an event nor a log line announces."""
    assert callable(condition)
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not within {seconds} s: {what}"
        time.sleep(0.05)


def command_lines() -> list[str]:
    """Of every process on this machine."""
    found = []
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            found.append(entry.read_bytes().replace(b"\0", b" ").decode(errors="replace"))
    return found


def upload(project: Project, body: bytes, *, token: str) -> int:
    """The status of a POST to web."""
    with closing(http.client.HTTPConnection("127.0.0.1", project.port, timeout=5)) as connection:
        connection.request("POST", "/uploads", body, {"Authorization": f"Bearer {token}"})
        return connection.getresponse().status


class TestImages:
    """Of the faults only the one that nobody else looks at so: tests/e2e/test_faults.py has a pass see each."""

    def test_a_good_release_does_all_that_it_is_for_and_stops_at_once(self, project: Project, images: Images) -> None:
        tag = images.good()
        done = up(project, images, tag)
        assert done.returncode == 0, done.stderr
        assert project.ask("/healthz").body == "observer: ok\n"
        assert project.version() == tag
        assert project.ask("/latest").ok()
        archive = project.deploy_dir / "archives" / "data"
        await_true("a full spool is archived", lambda: list(archive.glob("*.csv.gz")))
        assert state(project.containers()["init"])["ExitCode"] == 0
        assert upload(project, b"a file", token="wrong") == 401
        assert upload(project, b"a file", token="t0k3n") == 201
        (stored,) = (project.deploy_dir / "uploads").iterdir()
        assert stored.read_text() == "a file"
        project.containers()["capture"].pause()
        await_true("web says so", lambda: project.ask("/healthz").status == 503)
        assert "the last sample is" in project.ask("/healthz").body
        project.containers()["capture"].unpause()
        started = time.monotonic()
        compose(project, images, tag, "stop")
        assert time.monotonic() - started < 5
        assert state(project.containers()["capture"])["ExitCode"] == 0

    def test_crash5_is_healthy_first_and_crashes_after_5_seconds(self, project: Project, images: Images) -> None:
        assert up(project, images, images.bad(Fault.CRASH5)).returncode == 0
        assert project.ask("/healthz").ok()
        web = project.containers()["web"]
        assert state(web)["RestartCount"] == 0
        await_true("web restarts", lambda: int(str(state(web)["RestartCount"])) > 0)


class TestSecondEngine:
    def test_it_survives_a_killed_dockerd_a_prune_and_a_reboot(
        self, server: SecondEngine, images: Images, tmp_path: Path
    ) -> None:
        first, second = images.good(GOOD[0]), images.good(GOOD[1])
        server.load(images.reference(first), images.reference(second))
        project = Project("observer", tmp_path / "app", free_port(), server.docker_host)
        assert up(project, images, first).returncode == 0
        assert server.request(project.url("/version")) == (200, f"{first}\n")
        assert not project.ask("/version").ok(), "its loopback is not ours"
        keeper = server.docker(
            "run", "--detach", "--init", "--restart=always", images.reference(second), "sleep", "100000"
        ).stdout.strip()

        server.docker("system", "prune", "--all", "--force")
        assert server.docker("image", "inspect", images.reference(second)).returncode == 0

        web = project.containers()["web"]
        pid = int(str(state(web)["Pid"]))
        server.kill()
        assert not server.running()
        assert server.run("test", "-d", f"/proc/{pid}", check=False).returncode == 0, "containers outlive dockerd"
        server.start()
        assert server.docker("inspect", "--format={{.State.Running}}", keeper).stdout.strip() == "true"

        assert up(project, images, first).returncode == 0
        server.reboot()
        await_true("keeper runs", lambda: "true" in server.docker("inspect", "-f={{.State.Running}}", keeper).stdout)
        with poll(project.url("/version"), place=server.inside) as poller:
            poller.wait_for(first)

    def test_after_a_power_cut_nothing_of_it_runs(self, server: SecondEngine, images: Images) -> None:
        server.load(images.reference(images.good()))
        seconds = f"1{os.getpid():09d}"
        server.docker("run", "--detach", images.reference(images.good()), "sleep", seconds)
        dockerd = server.dockerd_pid
        assert any(seconds in command for command in command_lines())
        server.power_off()
        assert not Path(f"/proc/{dockerd}").exists()
        assert not any(seconds in command or str(server.root) in command for command in command_lines())
        assert not list(Path("/sys/fs/cgroup").glob(f"**/{server.cgroup}"))
        with pytest.raises(LookupError):
            _ = server.init_pid

    def test_its_sshd_reaches_its_own_docker_and_its_link_can_go_dark(
        self, server: SecondEngine, images: Images, tmp_path: Path
    ) -> None:
        server.load(images.reference(images.good()))
        server.docker("run", "--detach", "--name=only-there", images.reference(images.good()), "sleep", "100000")
        keys = tmp_path / "keys"
        keys.mkdir()
        with server.ssh(keys) as sshd:
            login = ["ssh", "-F", "none", "-i", str(sshd.identity_file), "-o", f"UserKnownHostsFile={sshd.known_hosts}"]
            login += ["-p", str(sshd.port), f"{sshd.user}@{sshd.host}"]
            listed = subprocess.run(
                [*login, "docker", "ps", "--format={{.Names}}"], capture_output=True, text=True, timeout=20, check=True
            )
            assert listed.stdout.split() == ["only-there"]
            assert Path(f"/proc/{sshd.pid}/comm").read_text().startswith("sshd")
            sshd.link.go_dark()
            with pytest.raises(subprocess.TimeoutExpired):
                subprocess.run([*login, "true"], timeout=1, check=False)
            sshd.link.light_up()
            assert subprocess.run([*login, "true"], timeout=20, check=False).returncode == 0

    def test_a_port_of_this_side_can_be_exposed_to_it(self, server: SecondEngine, open_registry: Registry) -> None:
        forwarder = server.expose(int(open_registry.address.rpartition(":")[2]))
        try:
            assert server.request(f"http://{open_registry.address}/v2/") == (200, "{}")
        finally:
            forwarder.close()


class TestRegistry:
    def test_an_image_comes_back_with_its_id(self, open_registry: Registry, images: Images) -> None:
        tag = images.good()
        reference = open_registry.push(images.reference(tag), tag)
        with closing(docker.DockerClient.from_env()) as engine:
            assert engine.images.pull(open_registry.repository(), tag).id == images.id(tag)
            engine.images.remove(reference, noprune=True)

    def test_stopped_it_refuses_and_started_again_it_still_has_its_images(
        self, open_registry: Registry, images: Images
    ) -> None:
        tag = images.good()
        open_registry.push(images.reference(tag), tag)
        open_registry.stop()
        assert not ask(f"http://{open_registry.address}/v2/").ok()
        open_registry.start()
        assert (
            ask(f"http://{open_registry.address}/v2/observer/tags/list").body
            == f'{{"name":"observer","tags":["{tag}"]}}\n'
        )

    def test_a_login_is_needed_where_one_is_set(self, tmp_path: Path, images: Images) -> None:
        tag = images.good()
        with (
            registry(tmp_path, login=Login("deployer", "s3cret")) as closed,
            closing(docker.DockerClient.from_env()) as engine,
        ):
            assert ask(f"http://{closed.address}/v2/").status == 401
            reference = closed.push(images.reference(tag), tag)
            with pytest.raises(APIError):
                engine.images.pull(closed.repository(), tag)
            account = {"username": "deployer", "password": "wrong"}
            with pytest.raises(APIError):
                engine.images.pull(closed.repository(), tag, auth_config=account)
            engine.images.pull(closed.repository(), tag, auth_config={**account, "password": "s3cret"})
            engine.images.remove(reference, noprune=True)
            closed.login = Login("deployer", "wrong")
            with pytest.raises(RegistryFailed):
                closed.push(images.reference(tag), tag)


class TestClients:
    def test_the_poller_sees_every_change_and_every_failure(self, project: Project, images: Images) -> None:
        first, second = images.good(GOOD[0]), images.good(GOOD[1])
        assert up(project, images, first).returncode == 0
        with poll(project.url("/version")) as poller:
            poller.wait_for(first)
            assert poller.failures() == []
            assert up(project, images, second).returncode == 0
            poller.wait_for(second)
        assert [body.strip() for body in poller.bodies()] == [first, second]
        assert poller.failures(), "compose up has a dark time, and the poller saw it"
        assert 0.02 < poller.dark() < 15

    def test_a_repo_describes_its_own_project_and_changes_one_line_for_a_release(
        self, repo: Repo, images: Images
    ) -> None:
        repo.release(images.good(GOOD[1]))
        changed = repo.git("show", "--numstat", "--format=", "HEAD").split()
        assert changed == ["1", "1", "deploy.yaml"]
        assert repo.git("status", "--porcelain") == ""
        assert str(repo.project.deploy_dir) in repo.deploy_file.read_text()
        assert "API_TOKEN" not in repo.git("ls-files")
        assert (repo.path / ".env.server").stat().st_mode & 0o077 == 0

    def test_a_project_is_removed_with_everything_that_carries_its_name(self, project: Project, images: Images) -> None:
        assert up(project, images, images.good()).returncode == 0
        project.remove()
        assert project.containers() == {}
        assert not project.deploy_dir.exists()
