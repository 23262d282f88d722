"""The main job as its attackers see it: a repository, a server, and what can be read off both without asking us."""

from __future__ import annotations

import json
import os
import re
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import docker
import yaml
from docker.models.containers import Container

from tests.world.images import Images
from tests.world.sshd import SshServer
from tests.world.world import CHECKOUT, Completed, Project, Repo, new_project, new_repo

WRITABLE = ("logs", "archives/data", "runtime/state", "temp", "uploads")
VOLATILE = re.compile(
    r"\.reconciler/(lock|holder|fence|generation|journal|acting(/.*)?|watchdog(/.*)?|state(\.backup)?\.json|inventory)"
)
"""What a pass that changes nothing may still write: who holds the lock, how far stabilizing is, what the audit saw."""

GATES: Mapping[str, Any] = {"gates.window": "1s", "gates.interval": "250ms"}
SLOW_TO_STABILIZE: Mapping[str, Any] = {"stabilization": {"period": "24h", "interval": "1m"}}


@dataclass
class Job:
    """One app's repository and server, with sentinels in its data and the means to look at both."""

    repo: Repo
    project: Project
    images: Images
    ssh: SshServer | None = None
    sentinels: dict[str, tuple[bytes, int, int]] = field(default_factory=dict)

    @property
    def dir(self) -> Path:
        """`deploy_dir`."""
        return self.project.deploy_dir

    def once(self, *arguments: str, expect: int | None = 0, env: Mapping[str, str] | None = None) -> Completed:
        """`reconcile --once`, its exit code checked (None: any)."""
        return self.run("--once", *arguments, expect=expect, env=env)

    def run(self, *arguments: str, expect: int | None = 0, env: Mapping[str, str] | None = None) -> Completed:
        """`reconcile …`, its exit code checked (None: any); never a traceback, whatever was asked."""
        done = self.repo.reconcile(*arguments, env=env)
        assert "Traceback" not in done.stderr, done.stderr
        assert "a defect of this program" not in done.stderr, done.stderr
        if expect is not None:
            assert done.returncode == expect, f"exit {done.returncode}, expected {expect}\n{done.stdout}{done.stderr}"
        return done

    def json(self, *arguments: str, expect: int | None = 0) -> Any:
        """What `reconcile … --output json` prints."""
        return json.loads(self.run(*arguments, "--output", "json", expect=expect).stdout)

    def deploy(self, tag: str, *, expect: int = 0) -> Completed:
        """A merge of `tag`, and the pass that follows it."""
        self.repo.release(tag)
        return self.once(expect=expect)

    @contextmanager
    def start(self, *arguments: str) -> Iterator[Running]:
        """`reconcile …` in a process group of its own, as a terminal starts it; killed if it still runs at the end."""
        process = subprocess.Popen(
            [sys.executable, "-m", "reconciler.cli.main", *arguments, "--log-level", "info"],
            cwd=self.repo.path,
            env={**os.environ, "PYTHONPATH": str(CHECKOUT)},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        try:
            yield Running(process)
        finally:
            if process.poll() is None:
                process.kill()
            process.communicate()

    def started(self) -> dict[str, tuple[str, str]]:
        """Service to the id of its container and the moment it was started: the same means untouched."""
        return {name: (str(c.id), c.attrs["State"]["StartedAt"]) for name, c in self.project.containers().items()}

    def service(self, name: str) -> Container:
        """The container of a service."""
        return self.project.containers()[name]

    def files(self) -> dict[str, tuple[int, int, int, int]]:
        """Path to inode, time, mode and size of everything in deploy_dir that isn't the app's own data."""
        found = {}
        for path in sorted(self.dir.rglob("*")):
            name = str(path.relative_to(self.dir))
            if name.startswith(WRITABLE) or VOLATILE.fullmatch(name) or name == ".reconciler":
                continue
            info = path.lstat()
            found[name] = (info.st_ino, info.st_mtime_ns, info.st_mode, info.st_size)
        return found

    def state(self) -> dict[str, Any]:
        """The target's state file."""
        state: dict[str, Any] = json.loads((self.dir / ".reconciler" / "state.json").read_text())
        return state

    def link(self, name: str) -> str:
        """The release that `current` or `last_good` points at; empty when there is none."""
        path = self.dir / name
        return path.readlink().name if path.is_symlink() else ""

    def last_good_tag(self) -> str:
        """The file for people and scripts; empty when there is none."""
        path = self.dir / "last_good_tag"
        return path.read_text().strip() if path.exists() else ""

    def records(self) -> list[dict[str, Any]]:
        """The machine's part of every run record, oldest first; each must parse."""
        found = [self.record(path) for path in self.repo.records()]
        return sorted(found, key=lambda record: str(record["started_at"]))

    def record(self, path: Path) -> dict[str, Any]:
        """The YAML block at the end of a record."""
        blocks = re.findall(r"^```yaml\n(.*?)^```$", path.read_text(), re.MULTILINE | re.DOTALL)
        block: dict[str, Any] = yaml.load(blocks[-1], Loader=yaml.SafeLoader)
        return block

    def plant(self) -> None:
        """Files of the user in every writable area and in the volume; `assert_data_untouched` looks at them again."""
        for area in WRITABLE:
            path = self.dir / area / "sentinel"
            path.write_bytes(secrets.token_bytes(64))
            path.chmod(0o640)
            info = path.lstat()
            self.sentinels[area] = (path.read_bytes(), info.st_ino, info.st_mtime_ns)
        self._in_volume("echo kept >/data/keep/sentinel")

    def assert_data_untouched(self) -> None:
        """Every sentinel is the same file with the same bytes, and the named volume is the same one."""
        for area, (content, inode, changed) in self.sentinels.items():
            path = self.dir / area / "sentinel"
            info = path.lstat()
            assert (path.read_bytes(), info.st_ino, info.st_mtime_ns) == (content, inode, changed), area
            assert info.st_mode & 0o777 == 0o640, area
        with closing(docker.DockerClient.from_env()) as engine:
            volume = engine.volumes.get(f"{self.project.name}_keep")
            assert (Path(volume.attrs["Mountpoint"]) / "sentinel").read_text() == "kept\n"

    def _in_volume(self, command: str) -> None:
        code, output = self.service("web").exec_run(["/bin/sh", "-c", command])
        assert code == 0, output


@dataclass
class Running:
    """A `reconcile` that runs."""

    process: subprocess.Popen[str]
    said: list[str] = field(default_factory=list)

    def wait_for(self, progress: str) -> None:
        """Until a progress line on standard error has `progress` in it."""
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.said.append(line.rstrip())
            if progress in line:
                return
        raise AssertionError(f"it ended without saying {progress!r}: {self.said} {self.process.communicate()}")

    def signal(self, number: signal.Signals) -> None:
        """To the whole process group, as a terminal's Ctrl-C goes."""
        os.killpg(self.process.pid, number)

    def end(self, *, expect: int | None) -> Completed:
        """Its end; the exit code is checked."""
        out, err = self.process.communicate(timeout=60)
        err = "\n".join([*self.said, err])
        assert "Traceback" not in err, err
        if expect is not None:
            assert self.process.returncode == expect, f"exit {self.process.returncode}, expected {expect}\n{out}{err}"
        return Completed(self.process.args, self.process.returncode, out, err)


def await_true(what: str, condition: Callable[[], object], *, seconds: float = 20.0) -> None:
    """For what neither an event nor a line announces."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not within {seconds} s: {what}"
        time.sleep(0.05)


@contextmanager
def new_job(tmp: Path, images: Images, ssh: SshServer | None = None) -> Iterator[Job]:
    """A job with short gates, one named volume in web, and nothing deployed yet."""
    with new_project(tmp) as project:
        repo = new_repo(tmp / "repo", project, images)
        compose = repo.path / "desired_state" / "observer" / "compose.yaml"
        uploads = "      - ./uploads:/data/uploads\n"
        text = compose.read_text().replace(uploads, f"{uploads}      - keep:/data/keep\n")
        compose.write_text(f"{text}\nvolumes:\n  keep:\n")
        repo.edit({**GATES, **SLOW_TO_STABILIZE, **(over_ssh(ssh) if ssh else {})})
        repo.commit("Short gates")
        yield Job(repo, project, images, ssh)


def over_ssh(server: SshServer) -> dict[str, Any]:
    """The edits that reach `targets.demo` through an sshd."""
    return {
        "targets.demo.host": server.host,
        "targets.demo.port": server.port,
        "targets.demo.user": server.user,
        "targets.demo.identity_file": str(server.identity_file),
        "targets.demo.known_hosts": str(server.known_hosts),
    }


def run_by_hand(job: Job, tag: str) -> None:
    """What a person did before us: the Compose file, the config and an .env in the directory, and `up -d`."""
    job.dir.mkdir(parents=True)
    (job.dir / "config").mkdir()
    source = job.repo.path / "desired_state" / "observer"
    for name in ("compose.yaml", "config/observer.conf"):
        (job.dir / name).write_text((source / name).read_text())
    values = {"TAG": tag, **job.repo.env}
    (job.dir / ".env").write_text("".join(f"{key}={value}\n" for key, value in values.items()))
    done = subprocess.run(
        ["docker", "compose", "--project-name", job.project.name, "up", "--detach", "--wait", "--pull", "never"],
        cwd=job.dir,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
