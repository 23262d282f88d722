"""P1 and P6: what can't be done is refused before anything is touched, and what can't be seen is left alone."""

from __future__ import annotations

import json
import pwd
import shutil
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.e2e.far import QUICK, Far, far_away
from tests.e2e.untouched import leftovers, refused, untouched, watching_processes
from tests.world.engine import SecondEngine, second_engine
from tests.world.images import GOOD, Images
from tests.world.registry import Login, Registry, registry
from tests.world.sshd import SshServer, ssh_server
from tests.world.world import Completed, Project, Repo

pytestmark = pytest.mark.engine

A, B, C = GOOD
PASSWORD = "canary-pw-0f3a9c71"


@pytest.fixture(scope="module")
def second(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SecondEngine]:
    with second_engine(tmp_path_factory.mktemp("second")) as engine:
        yield engine


def once(repo: Repo, *, code: int = 0, env: dict[str, str] | None = None) -> Completed:
    done = repo.reconcile("--once", env=env)
    assert done.returncode == code, done.stdout + done.stderr
    return done


@pytest.fixture
def quick(repo: Repo) -> Repo:
    """Release A serves on this machine's engine."""
    repo.edit(QUICK)
    repo.commit("Quick")
    return repo


class TestRegistry:
    @pytest.fixture
    def closed(self, tmp_path: Path, quick: Repo, images: Images) -> Iterator[Registry]:
        """A registry with a login that has A and B; the target's engine has neither under that name."""
        (tmp_path / "closed").mkdir()
        with registry(tmp_path / "closed", login=Login("deployer", PASSWORD)) as closed:
            for tag in (A, B, C):
                closed.push(images.reference(images.good(tag)), tag)
            quick.edit({"image.repository": closed.repository(), "image.delivery": "registry"})
            quick.set_env(IMAGE=closed.repository())
            yield closed
        for tag in (A, B, C):
            subprocess.run(["docker", "rmi", f"{closed.repository()}:{tag}"], capture_output=True, check=False)

    def test_a_failed_pull_costs_nothing(self, quick: Repo, project: Project, closed: Registry, tmp_path: Path) -> None:
        """Each cause in turn over one running app; then, each time, what was missing arrives."""
        by_env = {"username": "deployer", "password": {"env": "REGISTRY_PASSWORD"}}
        right, wrong = {"REGISTRY_PASSWORD": PASSWORD}, {"REGISTRY_PASSWORD": "not-it-at-all"}
        secret = tmp_path / "secret"
        secret.write_text(PASSWORD + "\nsecond line\n")
        quick.edit({"image.credentials": by_env})
        quick.release(A)
        once(quick, env=right)
        assert project.version() == A
        rendering = {"TMPDIR": str(tmp_path / "rendering")}
        (tmp_path / "rendering").mkdir()

        def refuses(*words: str, **env: str) -> None:
            said = quick.reconcile("--once", env={**rendering, **env})
            line = refused(said, 1, *words)
            assert PASSWORD not in line
            assert "not-it-at-all" not in line
            assert list((tmp_path / "rendering").iterdir()) == []

        with untouched(project, A), watching_processes(PASSWORD) as seen:
            quick.release(B)
            closed.stop()
            refuses(f":{B}", "refused", "is the registry up", **right)
            closed.start()
            refuses("nauthorized", "is the login right?", **wrong)
            refuses("REGISTRY_PASSWORD isn't set")
            for command, words in {
                ("sh", "-c", "echo not-it-at-all"): ("nauthorized", "is the login right?"),
                ("sh", "-c", f"cat {secret} >&2; exit 3"): ("password.command", "sh ended with 3"),
                ("no-such-program-here",): ("password.command", "no-such-program-here can't be run"),
            }.items():
                quick.edit({"image.credentials": {**by_env, "password": {"command": list(command)}}})
                refuses(*words)
            quick.edit({"image.credentials": None})
            refuses("no basic auth", "docker login")
            quick.edit({"image.credentials": by_env})
            quick.release("20260101_235959")
            refuses("20260101_235959", "is the tag pushed?", **right)
            # a plan looks, and neither pulls nor says that nothing is to be done
            quick.release(B)
            plan = quick.reconcile("plan")
            assert plan.returncode == 2, plan.stdout + plan.stderr
            assert f":{B}" in plan.stdout
        assert not [line for line in seen if "reconciler.cli.main" not in line and "cmdline" in line]

        once(quick, env=right)
        assert project.version() == B
        quick.edit({"image.credentials": {**by_env, "password": {"command": ["cat", str(secret)]}}})
        quick.release(C)
        with watching_processes(PASSWORD) as seen:
            once(quick)
        assert seen == [], "given by a command, it is in no process's arguments or environment"
        assert project.version() == C
        assert files_with(PASSWORD, quick.path, project.deploy_dir, Path.home() / ".docker") == []
        assert PASSWORD not in quick.git("log", "-p", "--all")

    def test_the_login_of_the_user_on_the_target_is_used(
        self, quick: Repo, project: Project, closed: Registry, tmp_path: Path
    ) -> None:
        """Without credentials of ours, `docker login` there is enough; a wrong one is refused."""
        config = {"DOCKER_CONFIG": str(tmp_path / "docker")}
        login = ["docker", "--config", config["DOCKER_CONFIG"], "login", "-u", "deployer", "--password-stdin"]
        subprocess.run([*login, closed.address], input=PASSWORD, text=True, capture_output=True, check=True)
        quick.release(A)
        once(quick, env=config)
        assert project.version() == A


def files_with(canary: str, *places: Path) -> list[str]:
    """Files below `places` that hold `canary`."""
    files = (path for place in places for path in place.rglob("*") if path.is_file() and not path.is_symlink())
    return [str(path) for path in files if canary.encode() in path.read_bytes()]


class TestDisk:
    @pytest.fixture
    def small(self, quick: Repo, project: Project) -> Iterator[Repo]:
        """deploy_dir is a file system of its own: 40 MiB and 400 files."""
        project.deploy_dir.mkdir(parents=True)
        subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "size=40m,nr_inodes=400", "small", str(project.deploy_dir)], check=True
        )
        try:
            yield quick
        finally:
            project.remove()
            subprocess.run(["umount", "--lazy", str(project.deploy_dir)], check=True)

    def remount(self, project: Project, options: str) -> None:
        subprocess.run(["mount", "-o", f"remount,{options}", str(project.deploy_dir)], check=True)

    def test_too_small_at_any_time_costs_nothing(self, small: Repo, project: Project, images: Images) -> None:
        """For the first release, for the next one, and full in the middle; each time it goes through afterwards."""
        self.remount(project, "size=4m")
        refused(small.reconcile("--once"), 1, str(project.deploy_dir), "MiB free")
        assert project.containers() == {}
        assert not (project.deploy_dir / "releases").exists()
        assert leftovers(project) == []
        self.remount(project, "size=40m")
        once(small)
        assert project.version() == A

        small.release(images.good(B))
        data = project.deploy_dir / "uploads" / "data"
        data.write_bytes(b"\0" * 30 * 2**20)  # somebody's
        with untouched(project, A):
            refused(small.reconcile("--once"), 1, str(project.deploy_dir), "MiB free", "nothing was changed")
        assert data.stat().st_size == 30 * 2**20, "a person's data is never what makes room"
        data.unlink()
        once(small)
        assert project.version() == B

        # No check before can see it (here: no inode is left): what was unpacked is taken away again.
        compose = small.path / "desired_state" / "observer" / "compose.yaml"
        conf = "- ./config/observer.conf:/etc/observer.conf:ro"
        assert conf in compose.read_text()
        compose.write_text(compose.read_text().replace(conf, f"{conf}\n      - ./config/many:/etc/many:ro"))
        for number in range(500):
            small.write(f"desired_state/observer/config/many/{number}.conf", f"{number}\n")
        small.release(images.good(C))
        files = sorted((project.deploy_dir / ".reconciler" / "files").iterdir())
        with untouched(project, B):
            refused(small.reconcile("--once"), 1, "could not write the release", str(project.deploy_dir))
        assert sorted((project.deploy_dir / ".reconciler" / "files").iterdir()) == files
        self.remount(project, "nr_inodes=4000")
        once(small)
        assert project.version() == C


class TestSsh:
    @pytest.fixture
    def sshd(self, tmp_path: Path, quick: Repo) -> Iterator[SshServer]:
        (tmp_path / "sshd").mkdir()
        with ssh_server(tmp_path / "sshd") as server:
            quick.edit({"targets.demo": over(quick.project, server)})
            quick.release(A)
            once(quick)
            yield server

    def test_out_of_reach_is_unknown(self, quick: Repo, project: Project, sshd: SshServer, images: Images) -> None:
        """Refused, silent, hanging up: 6 within 15 s, from every command, and the app goes on."""
        quick.release(images.good(B))
        began = time.monotonic()
        quick.reconcile("--version")
        start = time.monotonic() - began  # of Python alone, on a machine that may be busy
        with untouched(project, A):
            for behaviour, words in {
                nobody: ("connection refused",),
                silent: ("no banner came", "is sshd hanging?"),
                hangs_up: ("closed the connection",),
            }.items():
                with behaviour() as port:
                    quick.edit({"targets.demo.port": port})
                    for command in (["--once"],) if behaviour is silent else (["--once"], ["plan"], ["rollback"]):
                        began = time.monotonic()
                        refused(quick.reconcile(*command), 6, "demo", *words)
                        assert time.monotonic() - began < 15 + 3 * start
            status = quick.reconcile("status", "--output", "json")
            assert status.returncode == 6
            [target] = json.loads(status.stdout)["targets"]
            assert (target["sync"], target["health"]) == ("unknown", "unknown")
        quick.edit({"targets.demo.port": sshd.port})
        once(quick)
        assert project.version() == B

    def test_a_key_that_is_not_right_is_refused(
        self, quick: Repo, project: Project, sshd: SshServer, images: Images, tmp_path: Path
    ) -> None:
        """Of the server or of ours: a person has to act, and is told what to do; nothing is sent before."""
        quick.release(images.good(B))
        shown = fingerprint(sshd.host_key)
        right = sshd.known_hosts.read_text()
        other = tmp_path / "other"
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(other)], check=True)
        another = " ".join(other.with_suffix(".pub").read_text().split()[:2])
        with untouched(project, A):
            sshd.known_hosts.write_text(f"[127.0.0.1]:{sshd.port} {another}\n")
            refused(
                quick.reconcile("--once"),
                1,
                "HOST KEY CHANGED",
                shown,
                fingerprint(other),
                "ssh-keygen -R",
                "ssh-keyscan",
            )
            sshd.known_hosts.write_text("")
            refused(quick.reconcile("--once"), 1, "unknown host key", shown, "ssh-keyscan", str(sshd.known_hosts))
            assert sshd.known_hosts.read_text() == "", "nobody accepts a key for us"
            sshd.known_hosts.write_text(right)
            quick.edit({"targets.demo.identity_file": str(other)})
            refused(quick.reconcile("--once"), 1, "demo", sshd.user, str(other), "authorized_keys")
            quick.edit({"targets.demo.identity_file": str(tmp_path / "nowhere")})
            refused(quick.reconcile("--once"), 1, "demo", str(tmp_path / "nowhere"))
        quick.edit({"targets.demo": over(project, sshd)})
        once(quick)
        assert project.version() == B


def over(project: Project, sshd: SshServer) -> dict[str, object]:
    return {
        "host": "127.0.0.1",
        "port": sshd.port,
        "user": sshd.user,
        "identity_file": str(sshd.identity_file),
        "known_hosts": str(sshd.known_hosts),
        "deploy_dir": str(project.deploy_dir),
    }


def fingerprint(key: Path) -> str:
    listed = subprocess.run(["ssh-keygen", "-l", "-f", str(key)], capture_output=True, text=True, check=True)
    return listed.stdout.split()[1]


@contextmanager
def nobody() -> Iterator[int]:
    """A port that refuses connections."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        yield int(probe.getsockname()[1])


@contextmanager
def silent() -> Iterator[int]:
    """A port that accepts connections and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield int(listener.getsockname()[1])


@contextmanager
def hangs_up() -> Iterator[int]:
    """A port that accepts connections and closes them at once."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            while True:
                try:
                    listener.accept()[0].close()
                except OSError:
                    return

        threading.Thread(target=serve, daemon=True).start()
        yield int(listener.getsockname()[1])
        listener.shutdown(socket.SHUT_RDWR)


class TestServer:
    """What only a server of its own allows: no engine, no Compose."""

    @pytest.fixture
    def far(self, tmp_path: Path, second: SecondEngine, images: Images) -> Iterator[Far]:
        with far_away(tmp_path, second, images) as far:
            second.load(*[images.reference(images.good(tag)) for tag in (A, B, C)])
            yield far

    def test_without_its_engine_nothing_is_known_and_nothing_repaired(self, far: Far) -> None:
        """A stopped dockerd is not an app without containers."""
        for tag in (A, B):
            far.repo.release(tag)
            once(far.repo)
        ids = far.project.container_ids()
        far.server.kill()
        far.repo.release(C)
        try:
            for command in (["--once"], ["plan"], ["rollback"]):
                refused(far.repo.reconcile(*command), 6, "demo", "docker.sock", "is dockerd up?")
            assert far.repo.reconcile("status").returncode == 6
            assert not list((far.project.deploy_dir / "releases").glob(f"{C}*"))
        finally:
            far.server.start()
        assert far.project.container_ids() == ids
        once(far.repo)
        assert far.version() == C

    def test_no_compose_or_only_v1_is_said_so(self, far: Far, tmp_path: Path) -> None:
        """The old docker-compose is on Debian's servers still."""
        once(far.repo)
        far.repo.release(B)
        (tmp_path / "nothing").mkdir()
        (tmp_path / "old").mkdir()
        old = tmp_path / "old" / "docker-compose"
        old.write_text("#!/bin/sh\necho 'docker-compose version 1.29.2, build unknown'\n")
        old.chmod(0o755)
        there = [Path(place) for place in PLUGIN_DIRECTORIES if Path(place).is_dir()]
        commands = [place for place in (Path("/usr/bin/docker"), Path("/usr/local/bin/docker")) if place.exists()]
        with untouched(far.project, A, place=far.server.inside), hidden(far.server, there, tmp_path / "nothing"):
            refused(far.repo.reconcile("--once"), 1, "Docker Compose v2 or later is missing", "install")
            with hidden(far.server, [Path("/usr/local/sbin")], tmp_path / "old"):
                refused(far.repo.reconcile("--once"), 1, "docker-compose v1 is not enough")
            with hidden(far.server, commands, Path("/dev/null")):
                refused(far.repo.reconcile("--once"), 1, "no docker command on this host", "install")
        once(far.repo)
        assert far.version() == B


PLUGIN_DIRECTORIES = (
    "/usr/local/lib/docker/cli-plugins",
    "/usr/local/libexec/docker/cli-plugins",
    "/usr/lib/docker/cli-plugins",
    "/usr/libexec/docker/cli-plugins",
    "/root/.docker/cli-plugins",
)


@contextmanager
def hidden(server: SecondEngine, places: list[Path], behind: Path) -> Iterator[None]:
    """On the server alone (its mounts are its own), `behind` stands where `places` are."""
    for place in places:
        server.run("mount", "--bind", str(behind), str(place))
    try:
        yield
    finally:
        for place in places:
            server.run("umount", str(place))


@dataclass(frozen=True)
class User:
    """A login of this machine that isn't root, and an sshd that takes it."""

    name: str
    home: Path
    sshd: SshServer

    def own(self, path: Path) -> None:
        """Make a directory that belongs to the user."""
        path.mkdir()
        shutil.chown(path, self.name)

    def groups(self, *names: str) -> None:
        subprocess.run(["usermod", "--groups", ",".join(names), self.name], check=True)


class TestUser:
    @pytest.fixture
    def user(self, quick: Repo) -> Iterator[User]:
        """deploy_dir is `home/app`, and the user belongs to no group of weight yet."""
        home = Path(tempfile.mkdtemp(prefix="reconciler-user-"))  # pytest's own are closed to others
        home.chmod(0o755)
        name = f"rt{home.name[-6:].lower().replace('_', 'x')}"
        subprocess.run(
            ["useradd", "--no-create-home", "--home-dir", str(home / "home"), "--shell", "/bin/sh", "-p", "*", name],
            check=True,
        )
        try:
            keys = home / "keys"
            keys.mkdir()
            with ssh_server(keys) as sshd:
                user = User(name, home, sshd)
                user.own(home / "home")
                quick.edit(
                    {"targets.demo": {**over(quick.project, sshd), "user": name, "deploy_dir": str(home / "app")}}
                )
                yield user
        finally:
            quick.project.remove()
            while any(pwd.getpwnam(name).pw_uid == uid for uid in _owners()):
                time.sleep(0.1)
            subprocess.run(["userdel", name], check=True)
            shutil.rmtree(home)

    def test_in_dockers_group_and_owner_of_the_directory(
        self, user: User, quick: Repo, project: Project, images: Images
    ) -> None:
        """Neither root nor sudo is needed: deploy, change, go back."""
        user.groups("docker")
        user.own(user.home / "app")
        quick.release(A)
        once(quick)
        quick.edit({"retention.releases": 1})
        quick.release(images.good(B))
        once(quick)
        assert project.version() == B
        back = quick.reconcile("rollback")
        assert back.returncode == 0, back.stdout + back.stderr
        assert project.version() == A
        quick.release(images.good(C))
        once(quick)
        owners = {path.owner() for path in (user.home / "app" / ".reconciler").rglob("*")}
        assert owners == {user.name}

    def test_a_directory_of_somebody_else(self, user: User, quick: Repo, project: Project) -> None:
        user.groups("docker")
        refused(quick.reconcile("--once"), 1, str(user.home / "app"), user.name)  # nor may it be made
        (user.home / "app").mkdir(mode=0o755)
        refused(quick.reconcile("--once"), 1, str(user.home / "app"), user.name)
        (user.home / "app").chmod(0o700)
        refused(quick.reconcile("--once"), 1, str(user.home / "app"), user.name)
        assert project.containers() == {}
        assert list((user.home / "app").iterdir()) == []
        shutil.chown(user.home / "app", user.name)
        once(quick)
        assert project.version() == A

    def test_outside_of_dockers_group_and_with_sudo(
        self, user: User, quick: Repo, project: Project, images: Images
    ) -> None:
        """Docker's socket is closed to it: said so. `sudo: true` without the right to: said so, too. With it: works."""
        user.own(user.home / "app")
        done = quick.reconcile("--once")
        refused(done, done.returncode, "docker.sock", "permission denied", "group docker", "sudo: true")
        assert done.returncode in {1, 6}
        quick.edit({"targets.demo.sudo": True})
        done = quick.reconcile("--once")
        refused(done, 1, "sudo", "password")
        assert project.containers() == {}
        rule = Path(f"/etc/sudoers.d/{user.name}")
        rule.write_text(f"{user.name} ALL=(root) NOPASSWD: ALL\n")
        rule.chmod(0o440)
        try:
            for tag in (A, B):
                quick.release(images.good(tag))
                once(quick)
                assert project.version() == tag
            back = quick.reconcile("rollback")
            assert back.returncode == 0, back.stdout + back.stderr
            assert project.version() == A
        finally:
            rule.unlink()


def _owners() -> set[int]:
    """Who has processes on this machine."""
    found: set[int] = set()
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            found.add(entry.stat().st_uid)
        except OSError:
            continue
    return found
