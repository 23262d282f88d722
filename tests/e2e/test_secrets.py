"""P9: secrets stay put. A canary in every awkward shape, looked for everywhere that isn't its place."""

from __future__ import annotations

import base64
import itertools
import json
import os
import secrets
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from reconciler.adapters.env.values import quote
from tests.e2e.far import QUICK
from tests.e2e.untouched import watching_processes
from tests.world.images import GOOD, Images
from tests.world.network import free_port
from tests.world.sshd import ssh_server
from tests.world.world import CHECKOUT, Project, Repo

pytestmark = pytest.mark.engine

A, B, C = GOOD
MARK = f"kanarie{secrets.token_hex(2)}"
"""Stands in every secret; no form of quoting changes it. Another in every run: what an earlier one left isn't ours."""
SECRETS = {
    "QUOTED": f'it\'s "{MARK}" `q`',
    "DOLLARS": f"a${MARK}$$b${{{MARK}}}",
    "UNICODE": f"Vögel-{MARK}-ünï✓",
    "LINES": f"-----BEGIN {MARK}-----\nMIIE{MARK}first\n{MARK}second==\n-----END {MARK}-----\n",
    "URL": f"postgres://user:p%40{MARK}@db.internal:5432/a?b=c&d=<{MARK}>#e",
    "BACKSLASH": f"C:\\{MARK}\\n\\",
    "JSON": json.dumps({"key": MARK, "other": [f"{MARK} ü"]}),
}


@dataclass
class Trail:
    """Everything that was said in the passes of one test, and what was seen of its machine meanwhile."""

    repo: Repo
    metrics: Path
    rendering: Path
    said: dict[str, str] = field(default_factory=dict)

    def run(self, *command: str, code: int) -> str:
        """Once as text and once as JSON, where a second time does no harm, each with everything logged."""
        outputs = ["text", "json"] if command[0] in {"plan", "history", "show"} else ["json"]
        for output in outputs:
            loud = ("--output", output, "--log-level", "debug", "--log-format", output)
            done = self.repo.reconcile(
                *command, *loud, "--metrics-file", str(self.metrics), env={"TMPDIR": str(self.rendering)}
            )
            self.said[f"{len(self.said)}: {' '.join(command)} ({output})"] = done.stdout + done.stderr
            assert done.returncode == code, f"{command}: {done.returncode}\n{done.stdout[-3000:]}{done.stderr[-3000:]}"
        return done.stdout


def holds_secret(data: bytes) -> bool:
    found = [MARK.encode(), *(base64.b64encode((" " * shift + MARK).encode())[4:12] for shift in range(3))]
    return any(each in data for each in found)


@contextmanager
def watching_files(*places: Path) -> Iterator[list[str]]:
    """Files that held a secret while others could read them, however short a time."""
    found: dict[str, None] = {}
    ended = threading.Event()

    known: set[tuple[str, int, int]] = set()

    def look() -> None:
        for directory, _, names in itertools.chain.from_iterable(os.walk(place) for place in places):
            for path in (f"{directory}/{name}" for name in names):
                with suppress(OSError):  # gone meanwhile
                    seen = os.lstat(path)
                    as_it_is = (path, seen.st_ino, seen.st_ctime_ns)  # any write and any chmod makes another
                    if stat.S_ISREG(seen.st_mode) and seen.st_mode & 0o077 and as_it_is not in known:
                        if holds_secret(Path(path).read_bytes()):
                            found[f"{path} {seen.st_mode & 0o777:o}"] = None
                        known.add(as_it_is)

    def watch() -> None:
        while not ended.wait(0.1):
            look()

    thread = threading.Thread(target=watch, name="ls", daemon=True)
    thread.start()
    report: list[str] = []
    try:
        yield report
    finally:
        ended.set()
        thread.join()
        look()
        report += found


@pytest.fixture
def trail(repo: Repo, tmp_path: Path) -> Iterator[Trail]:
    """The observer with secrets in web's environment, over a real sshd on this machine: both sides are to be seen."""
    repo.edit(QUICK)
    compose = repo.path / "desired_state" / "observer" / "compose.yaml"
    token = "      API_TOKEN: ${API_TOKEN:?}\n"
    assert token in compose.read_text()
    lines = "".join(f"      {key}: ${{{key}:?}}\n" for key in SECRETS)
    compose.write_text(compose.read_text().replace(token, token + lines))
    template = repo.path / "desired_state" / "observer" / "env.template"
    template.write_text(template.read_text() + "\n" + "".join(f"{key}=\n" for key in SECRETS))
    repo.set_env(API_TOKEN=f"{MARK}-token", **{key: quote(value) for key, value in SECRETS.items()})
    (tmp_path / "sshd").mkdir()
    (tmp_path / "rendering").mkdir()
    with ssh_server(
        tmp_path / "sshd", options={"AcceptEnv": "TMPDIR", "SetEnv": f"TMPDIR={tmp_path / 'rendering'}"}
    ) as sshd:
        way = {
            "host": "127.0.0.1",
            "port": sshd.port,
            "user": sshd.user,
            "identity_file": str(sshd.identity_file),
            "known_hosts": str(sshd.known_hosts),
        }
        repo.edit({"targets": {"demo": {**way, "deploy_dir": str(repo.project.deploy_dir)}}})
        repo.commit("Secrets")
        yield Trail(repo, tmp_path / "metrics.prom", tmp_path / "rendering")


@contextmanager
def found_nowhere(trail: Trail, *projects: Project) -> Iterator[None]:
    """Fails where a secret came to light in the block: said, written, listed, or readable for others."""
    repo = trail.repo
    with watching_processes(MARK) as processes, watching_files(repo.project.deploy_dir, trail.rendering) as files:
        yield
    leaks = {name: excerpt(text) for name, text in trail.said.items() if holds_secret(text.encode())}
    assert leaks == {}
    assert repo.records() != []
    for record in repo.records():
        assert not holds_secret(record.read_bytes()), record
    assert not holds_secret(trail.metrics.read_bytes())
    repo.git("add", "--all")
    assert not holds_secret(repo.git("log", "-p", "--all").encode())
    assert [seen for seen in processes if "in no container" in seen] == []
    assert files == []
    assert open_files(repo.path) == []
    assert [str(path) for path in trail.rendering.iterdir()] == []
    assert open_files(Path("/tmp")) == []
    assert outside_of_env(*projects) == []


def test_a_deployed_secret_is_found_nowhere(trail: Trail, project: Project) -> None:
    """Plan, deploy, no-op, status; another value; a model that Compose refuses, quoting the value or a piece of it."""
    repo = trail.repo
    with found_nowhere(trail, project):
        trail.run("plan", code=2)
        trail.run("--once", code=0)
        assert project.version() == A
        inside = {entry.partition("=")[::2] for entry in project.containers()["web"].attrs["Config"]["Env"]}
        assert set(SECRETS.items()) <= inside, "it arrived, byte for byte"
        trail.run("--once", code=0)
        trail.run("status", code=0)
        repo.set_env(QUOTED=quote(f"another {MARK}"))
        assert "QUOTED" in trail.run("plan", code=2), "that it changes is shown"
        for port in (f"80-{MARK}", f"{MARK}:80", f"{MARK} x"):
            repo.set_env(PORT=quote(port))
            assert "Compose refuses" in trail.run("--once", code=1)


def test_a_secret_that_the_app_gives_away_is_found_nowhere(trail: Trail, project: Project, images: Images) -> None:
    """A health check and a log that say it; what a breach quotes, a revert, a rollback and every command about them."""
    repo = trail.repo
    compose = repo.path / "desired_state" / "observer" / "compose.yaml"
    good = compose.read_text()
    with found_nowhere(trail, project):
        trail.run("--once", code=0)
        loud = 'test: [CMD, /bin/sh, -c, "echo no: $$QUOTED $$LINES $$DOLLARS $$URL $$JSON; exit 1"]'
        assert good.count("test: [CMD, /app/probe.sh, web]") == 1
        compose.write_text(good.replace("test: [CMD, /app/probe.sh, web]", loud))
        repo.release(images.good(B))
        reverted = trail.run("--once", code=3)
        assert "web" in reverted
        assert "***-" not in reverted, "names of containers stay readable"
        dying = 'command: [/bin/sh, -c, "env; echo FATAL $$URL $$LINES; exit 3"]'
        compose.write_text(good.replace("command: [/app/web.sh]", dying))
        trail.run("--once", code=3)
        trail.run("--once", code=4)
        compose.write_text(good)
        repo.release(images.good(C))
        trail.run("--once", code=0)
        trail.run("rollback", code=0)
        trail.run("history", code=0)
        trail.run("show", repo.records()[-1].stem.split("_", 1)[1], code=0)


@pytest.mark.exhaustive
def test_an_adopted_secret_is_found_nowhere(trail: Trail, project: Project, images: Images, tmp_path: Path) -> None:
    """What a person deployed has secrets that no .env.server of ours knows yet."""
    repo = trail.repo
    by_hand = Project(f"{project.name}h", project.deploy_dir, project.port)
    try:
        deploy_by_hand(by_hand, repo, images)
        repo.edit({"targets.demo.project": by_hand.name})
        repo.set_env(**{key: f"other-{key.lower()}" for key in SECRETS}, API_TOKEN="another-token")
        ids = by_hand.container_ids()
        with found_nowhere(trail, by_hand):
            trail.run("adopt", code=0)
            assert by_hand.container_ids() == ids
            assert "QUOTED" in trail.run("plan", code=2)
            trail.run("suspend", "--message", "a person's reason", code=0)
            trail.run("status", code=2)
    finally:
        by_hand.remove()


@pytest.mark.exhaustive
def test_what_looks_for_drift_and_compares_values_gives_none_away(trail: Trail, project: Project) -> None:
    """A release's values edited by hand, found, named by key and put back; checked, compared, and brought alone."""
    repo, deploy_dir = trail.repo, project.deploy_dir
    with found_nowhere(trail, project):
        trail.run("--once", code=0)
        env = deploy_dir / "current" / ".env"
        env.chmod(0o600)
        env.write_text(env.read_text().replace(f"{MARK}-token", f"{MARK}-by-hand"))
        env.chmod(0o400)
        compose = deploy_dir / "current" / "compose.yaml"
        compose.chmod(0o600)
        compose.write_bytes(compose.read_bytes() + f"# {MARK}\n".encode())
        compose.chmod(0o400)
        for command in ("audit", "plan"):
            assert "API_TOKEN" in trail.run(command, code=2)
        trail.run("--once", code=0)
        trail.run("audit", code=0)
        trail.run("env", "check", code=0)
        trail.run("env", "diff", code=0)
        repo.set_env(QUOTED=quote(f"one more {MARK}"))
        assert "QUOTED" in trail.run("env", "diff", code=2)
        trail.run("--once", "--env-only", code=0)
        repo.set_env(QUOTED=quote(f"wrong\n{MARK}"), PORT="no-number-at-all")
        trail.run("--once", "--env-only", code=1)


@pytest.mark.exhaustive
def test_a_pass_that_is_killed_at_any_step_gives_none_away(trail: Trail, project: Project) -> None:
    """SIGKILL after each line of progress of a pass that brings another value; the next one is killed, too, or not."""
    repo = trail.repo
    with found_nowhere(trail, project):
        trail.run("--once", code=0)
        steps = 0
        while killed_after(repo, steps := steps + 1):
            if steps % 2 == 0:
                trail.run("--once", code=0)
        assert steps > 4, "there are steps to be killed at"
        trail.run("--once", code=0)
        assert project.version() == A


def killed_after(repo: Repo, lines: int) -> bool:
    """Starts a pass that brings another value, and kills it after so many lines; False where it ended before."""
    repo.set_env(QUOTED=quote(f"{lines} {MARK}"))
    command = [sys.executable, "-m", "reconciler.cli.main", "--once", "--log-level", "info"]
    with subprocess.Popen(
        command, cwd=repo.path, env={**os.environ, "PYTHONPATH": str(CHECKOUT)}, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stderr is not None
        for number, said in enumerate(process.stderr, start=1):
            assert MARK not in said
            if number == lines:
                process.kill()
                return True
        return False


def excerpt(text: str) -> str:
    at = max(0, text.find(MARK) - 200)
    return text[at : at + 400]


def deploy_by_hand(project: Project, repo: Repo, images: Images) -> None:
    """As a person would: files copied, `.env` written, `docker compose up -d`."""
    source = repo.path / "desired_state" / "observer"
    subprocess.run(["cp", "-r", str(source), str(project.deploy_dir)], check=True)
    env = project.deploy_dir / ".env"
    env.touch(mode=0o600)
    env.write_text(
        "".join(f"{key}={value}\n" for key, value in {**repo.env, "PORT": str(project.port), "TAG": A}.items())
    )
    command = ["docker", "compose", "-p", project.name, "up", "-d", "--wait"]
    done = subprocess.run(command, cwd=project.deploy_dir, capture_output=True, text=True, check=False)
    assert project.containers()["web"].status == "running", done.stderr


def open_files(place: Path) -> list[str]:
    """Files below that hold a secret and that others may read; what engines of other tests keep is theirs."""
    found = subprocess.run(
        [
            *("grep", "-rlsI", "--exclude-dir=docker", "--exclude-dir=containerd"),
            f"--exclude={Path(__file__).name}",  # a checkout may lie there, and this file names them
            *("-f", "-", str(place)),  # by stdin: another test at work beside this one looks at command lines
        ],
        input=MARK,
        capture_output=True,
        text=True,
        check=False,
    )
    readable = []
    for name in filter(None, found.stdout.split("\n")):
        with suppress(FileNotFoundError):  # another test's, gone meanwhile
            if Path(name).stat().st_mode & 0o077:
                readable.append(name)
    return readable


def outside_of_env(*projects: Project) -> list[str]:
    """Where a secret stands in what the engine shows of the projects, but for a container's environment and command."""
    found = []
    for project in projects:
        for container in [*project.containers().values(), *project.keepers()]:
            shown = json.loads(json.dumps(container.attrs))
            shown["Config"].pop("Env")
            shown.get("State", {}).pop("Health", None)
            found += [
                f"{container.name}: {key}" for key, value in shown.items() if holds_secret(json.dumps(value).encode())
            ]
        for kind in ("network", "volume", "image"):
            label = ["--filter", f"label=com.docker.compose.project={project.name}"] if kind != "image" else []
            ids = subprocess.run(
                ["docker", kind, "ls", "-q", *label], capture_output=True, text=True, check=True
            ).stdout
            if ids.split():
                details = subprocess.run(["docker", kind, "inspect", *ids.split()], capture_output=True, check=False)
                found += [kind] if holds_secret(details.stdout) else []
    return found


def test_a_weak_value_cannot_be_confirmed(repo: Repo, project: Project, images: Images, tmp_path: Path) -> None:
    """Eight lower-case letters: two targets with the same value have nothing in common that depends on it."""
    twin = Project(f"{project.name}b", tmp_path / "twin", free_port())
    repo.edit(QUICK)
    repo.set_env(API_TOKEN="hunterzz")
    compose = repo.path / "desired_state" / "observer" / "compose.yaml"
    compose.write_text(compose.read_text().replace('"127.0.0.1:${PORT:?}:8080"', '"127.0.0.1:0:8080"'))
    template = repo.path / "desired_state" / "observer" / "env.template"
    template.write_text(template.read_text().replace("PORT=\n", 'PORT=""\n'))
    repo.edit(
        {
            "targets.twin": {"host": "local", "deploy_dir": str(twin.deploy_dir), "project": twin.name},
            "gates.http": None,
            "records.dir": "ops/run_records",
        }
    )
    repo.commit("Two targets")
    try:
        done = repo.reconcile("--once")
        assert done.returncode == 0, done.stdout + done.stderr
        first, second = manifest(project), manifest(twin)
        assert first["public_digest"] == second["public_digest"], "what isn't a value is comparable in a fleet"
        assert first["release"] != second["release"]
        assert first["digest"] != second["digest"]
        for service in ("web", "capture", "init"):
            assert first["services"][service]["digest"] != second["services"][service]["digest"]
            labels = [place.containers()[service].labels for place in (project, twin)]
            differing = [key for key in labels[0] if labels[0][key] != labels[1].get(key)]
            assert {"io.reconciler.digest", "com.docker.compose.config-hash"} <= set(differing)
        sources = [json.loads(state(place))["sources"].keys() for place in (project, twin)]
        assert not sources[0] & sources[1]
        assert [path.stat().st_mode & 0o777 for path in keys(project, twin)] == [0o400, 0o400]
        assert keys(project)[0].read_text() != keys(twin)[0].read_text()
        public = [first["public_digest"]]
        repo.set_env(API_TOKEN="hunteryy")
        done = repo.reconcile("--once", "--target", "demo")
        assert done.returncode == 0, done.stdout + done.stderr
        assert manifest(project)["digest"] != first["digest"]
        assert [manifest(project)["public_digest"]] == public, "it doesn't depend on a value"
        for record in repo.records():
            assert "hunter" not in record.read_text()
    finally:
        twin.remove()


def manifest(project: Project) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((project.deploy_dir / "current" / "manifest.json").read_text())
    return found


def state(project: Project) -> str:
    return (project.deploy_dir / ".reconciler" / "state.json").read_text()


def keys(*projects: Project) -> list[Path]:
    return [project.deploy_dir / ".reconciler" / "key" for project in projects]
