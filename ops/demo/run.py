"""The demo: the observer goes live on this machine, a good release follows, a bad one comes back by itself, and what
somebody changed by hand is put back.

It works on a copy of deploy.yaml and desired_state/ in a git repository of its own under a temporary directory, so the
checkout and its history stay as they are. At its end, after Ctrl-C and after a failure, everything is removed again:
containers, keepers, networks, volumes, images, directories.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import sys
import tempfile
import time
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

import docker
from docker.errors import DockerException, NotFound

from ops.demo.images import LABEL, BusyboxMissing, Fault, build
from ops.demo.session import Client, DemoFailed, Terminal, get, say

CHECKOUT = Path(__file__).resolve().parents[2]
BIN = Path(sys.executable).parent
PROJECT, IMAGES = "demo-observer", "observer-demo"
"""The Compose project and the images' repository in deploy.yaml: nothing else on this machine is called so."""
PORT = 18080
"""The port in .env.server.example and deploy.yaml; another one where it is taken."""
KEEPERS = f"io.reconciler.keeper={PROJECT}"
CONTAINERS = f"com.docker.compose.project={PROJECT}"

FIRST, GOOD, BAD = "20260122_101500", "20260123_094500", "20260123_163000"
RELEASES = {FIRST: Fault.NONE, GOOD: Fault.NONE, BAD: Fault.UNHEALTHY}


@dataclass(frozen=True)
class Demo:
    """Where the demo happens."""

    repository: Path
    deploy_dir: Path
    port: int

    def url(self, path: str) -> str:
        """An address of web."""
        return f"http://127.0.0.1:{self.port}{path}"


def main() -> int:
    """Run the demo; 0 if everything went as it says."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _interrupt)
    started = time.monotonic()
    directory = Path(tempfile.mkdtemp(prefix="reconcile-demo-"))
    demo = Demo(directory / "repository", directory / "server", _free_port())
    try:
        say("Building three releases of the observer; the third is bad on purpose.")
        clean_up(demo)  # what a demo left that was killed
        for tag, fault in RELEASES.items():
            build(tag, fault, IMAGES)
        prepare(demo)
        show(demo)
    except KeyboardInterrupt:
        say("\ninterrupted")
        return 130
    except (DemoFailed, BusyboxMissing, DockerException) as error:
        say(f"\nThe demo failed: {error}")
        return 1
    finally:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
        clean_up(demo)
        shutil.rmtree(directory, ignore_errors=True)
        say(f"\nCleaned up, {time.monotonic() - started:.0f} s after the start.")
    return 0


def show(demo: Demo) -> None:
    """The scenes. Raises DemoFailed where the world is not as they say."""
    path = f"{BIN}{os.pathsep}{os.environ.get('PATH', '')}"
    terminal = Terminal(demo.repository, {**os.environ, "PATH": path, "GIT_PAGER": "cat"})
    client = Client(demo.url("/version"))

    terminal.scene("A first deploy: deploy.yaml says what should run")
    terminal.run("reconcile", "--once")
    _expect_version(demo, FIRST)

    terminal.scene("Nothing to do: the same containers go on")
    before = _containers()
    terminal.run("reconcile", "--once")
    if _containers() != before:
        raise DemoFailed(f"a pass with nothing to do changed the containers: {before} became {_containers()}")
    say(f"the same containers as before: {', '.join(f'{name} {short[:12]}' for name, short in before.items())}")

    terminal.scene("A good release: one line changes")
    _release(terminal, GOOD)
    terminal.run("git", "diff", "-U0", "HEAD~1", "--", "deploy.yaml")
    terminal.run("reconcile", "plan", expect=2)
    client.start()
    terminal.run("reconcile", "--once")
    say(client.stop())
    _expect_version(demo, GOOD)

    terminal.scene("A bad release: it comes back by itself")
    _release(terminal, BAD)
    client.start()
    terminal.run("reconcile", "--once", expect=3)
    say(client.stop())
    _expect_version(demo, GOOD)

    terminal.scene("Somebody changes the server by hand: it is found and put back")
    _release(terminal, GOOD)
    say("The tag goes back to the good one in git, too. Then, at three in the morning:")
    drift_by_hand(demo, terminal)
    terminal.run("reconcile", "audit", expect=2)
    before = _containers()
    terminal.run("reconcile", "--once")
    _expect_version(demo, GOOD)
    if _containers() != before or (demo.deploy_dir / "hotfix.sh").exists():
        raise DemoFailed("what was changed by hand should be put back, and no container made anew for it")
    terminal.run("reconcile", "plan")

    terminal.scene("What happened, and why: it is all on record")
    terminal.run("reconcile", "status", expect=None)
    terminal.run("reconcile", "history")
    terminal.run("git", "log", "--oneline")
    records = sorted((demo.repository / "ops" / "run_records").glob("*.md"), key=lambda file: file.stat().st_mtime)
    if not records:
        raise DemoFailed("no run record was written")
    terminal.run("reconcile", "show", records[-1].stem, until="```yaml")


def drift_by_hand(demo: Demo, terminal: Terminal) -> None:
    """What a person does at three in the morning: stops a container, edits a config file, leaves a script behind."""
    (config,) = (demo.deploy_dir / ".reconciler" / "files").glob("*/observer.conf")
    terminal.run("docker", "stop", "-t", "1", f"{PROJECT}-web-1")
    say(f"$ echo keep_archives=0 >> {config}")
    config.chmod(0o644)
    with config.open("a") as file:
        file.write("keep_archives=0\n")
    say(f"$ echo 'true' > {demo.deploy_dir}/hotfix.sh")
    (demo.deploy_dir / "hotfix.sh").write_text("true\n")


def prepare(demo: Demo) -> None:
    """A git repository with the desired state, as its owner would have it."""
    demo.repository.mkdir()
    shutil.copytree(CHECKOUT / "desired_state", demo.repository / "desired_state")
    shutil.copy(CHECKOUT / ".gitignore", demo.repository)
    deploy = (CHECKOUT / "deploy.yaml").read_text().replace(f":{PORT}/", f":{demo.port}/")
    deploy = re.sub(r"(?m)^( +deploy_dir:).*$", rf"\1 {demo.deploy_dir}", deploy)
    (demo.repository / "deploy.yaml").write_text(deploy)
    values = (CHECKOUT / ".env.server.example").read_text().replace(f"PORT={PORT}", f"PORT={demo.port}")
    (demo.repository / ".env.server").touch(mode=0o600)
    (demo.repository / ".env.server").write_text(values)
    git = Terminal(demo.repository, os.environ)
    git.quietly("git", "init", "--quiet", "--initial-branch=main")
    for key, value in {"user.name": "Demo", "user.email": "demo@example.invalid", "commit.gpgsign": "false"}.items():
        git.quietly("git", "config", key, value)
    git.quietly("git", "add", "--all")
    git.quietly("git", "commit", "--quiet", "--message", f"Release {FIRST}")


def clean_up(demo: Demo) -> None:
    """Remove everything of the demo from the engine and the disk. What can't be removed is named, and left."""
    try:
        with closing(docker.DockerClient.from_env()) as engine:
            for label in (KEEPERS, CONTAINERS):
                for container in engine.containers.list(all=True, filters={"label": label}):
                    with suppress(NotFound):
                        container.remove(force=True, v=True)
            for network in engine.networks.list(filters={"label": CONTAINERS}):
                network.remove()
            for volume in engine.volumes.list(filters={"label": CONTAINERS}):
                volume.remove()
            _remove_data(demo, engine)
            for image in engine.images.list(name=IMAGES, filters={"label": f"{LABEL}=1"}):
                for reference in image.tags:
                    if reference.startswith(f"{IMAGES}:"):
                        engine.images.remove(reference, force=True)
    except DockerException as error:
        say(f"could not clean up everything: {error}")


def _remove_data(demo: Demo, engine: docker.DockerClient) -> None:
    """The app's containers are root and so are their files: where we aren't, a container removes them."""
    if demo.deploy_dir.exists() and os.geteuid() != 0:
        with suppress(DockerException):
            engine.containers.run(
                f"{IMAGES}:{FIRST}",
                ["sh", "-c", "rm -rf /server/* /server/.[!.]*"],
                volumes={str(demo.deploy_dir): {"bind": "/server", "mode": "rw"}},
                remove=True,
            )
    shutil.rmtree(demo.deploy_dir, ignore_errors=True)


def _release(terminal: Terminal, tag: str) -> None:
    file = terminal.directory / "deploy.yaml"
    file.write_text(re.sub(r'(?m)^tag: "[^"]*"', f'tag: "{tag}"', file.read_text()))
    terminal.quietly("git", "commit", "--quiet", "--message", f"Release {tag}", "--", "deploy.yaml")


def _expect_version(demo: Demo, tag: str) -> None:
    """Show what really serves. Raises DemoFailed if it isn't `tag`."""
    version = get(demo.url("/version"))
    say(f"GET {demo.url('/version')} → {version or 'no answer'}")
    if version != tag:
        raise DemoFailed(f"{tag} should serve")


def _containers() -> dict[str, str]:
    """Service name to id of the project's containers, stopped ones included."""
    with closing(docker.DockerClient.from_env()) as engine:
        found = engine.containers.list(all=True, filters={"label": CONTAINERS})
    return {each.labels["com.docker.compose.service"]: str(each.id) for each in found}


def _free_port() -> int:
    """The port that the files name; where it is taken, the next: below those that the kernel gives to clients."""
    for port in range(PORT, PORT + 1000):
        with socket.socket() as probe, suppress(OSError):
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(("127.0.0.1", port))
            return port
    raise DemoFailed("no port is free on 127.0.0.1")


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt
