"""Any desk: the controller runs where Python does, Windows included. A target is POSIX; the desk needn't be."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path, PurePosixPath

import pytest

from reconciler.adapters.desired.load import load_deploy
from reconciler.adapters.desired.sources import read_sources

CHECKOUT = Path(__file__).resolve().parents[2]

_WITHOUT_POSIX = """
import importlib.abc, os, signal, socket, sys

class NotHere(importlib.abc.MetaPathFinder):
    NAMES = {"fcntl", "pwd", "grp", "termios", "resource", "tty", "pty", "syslog", "crypt", "spwd"}
    def find_spec(self, name, path=None, target=None):
        if name in self.NAMES:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

for name in NotHere.NAMES:
    sys.modules.pop(name, None)
sys.meta_path.insert(0, NotHere())
import subprocess, tempfile  # before the functions go that these choose by the name of the system
for module, names in {
    os: ["getuid", "geteuid", "getgid", "getegid", "getgroups", "fork", "killpg", "setsid", "chown", "fchown", "mkfifo",
         "sysconf", "uname"],
    signal: ["SIGKILL", "SIGHUP", "SIGALRM", "SIGCHLD", "SIGUSR1", "pthread_sigmask", "alarm"],
    socket: ["AF_UNIX", "TCP_QUICKACK", "TCP_USER_TIMEOUT", "SO_REUSEPORT", "SCM_RIGHTS"],
}.items():
    for name in names:
        if hasattr(module, name):
            delattr(module, name)
"""

_IMPORT_ALL = """
import importlib, pkgutil, reconciler
found = [module.name for module in pkgutil.walk_packages(reconciler.__path__, "reconciler.")]
assert len(found) > 80, found
for name in found:
    importlib.import_module(name)
"""

_PLAN = """
import json, sys
from reconciler.wiring import desk as wiring
from reconciler.cli.main import main
from reconciler.ports import Completed
from tests.fakes.transport import FakeTransport

MODEL = {"name": "shop", "services": {"web": {"image": "shop:20260101_000001", "command": None, "entrypoint": None,
    "environment": {"TOKEN": "s3cret-canary"},
    "volumes": [{"type": "bind", "source": "/tmp/r/web.conf", "target": "/etc/web.conf", "read_only": True},
                {"type": "bind", "source": "/tmp/r/data", "target": "/data"}]}}}

def script(call):
    name = call.command[call.command.index("-c") + 2].removeprefix("reconciler-")
    if name == "render":
        return Completed(0, b"/tmp/r\\n/tmp/r\\n" + json.dumps(MODEL).encode(), b"")
    return Completed(0, b"", b"")

def engine(request):
    if not request.endswith(b"\\r\\n\\r\\n"):
        return None
    path = request.split()[1].decode()
    status, body = 200, b"OK"
    if "/containers/json" in path:
        body = b"[]"
    elif "/images/" in path:
        body = json.dumps({"Id": "sha256:" + "ab" * 32}).encode()
    head = f"HTTP/1.1 {status} OK\\r\\nApi-Version: 1.45\\r\\nContent-Type: application/json\\r\\n"
    return head.encode() + f"Content-Length: {len(body)}\\r\\n\\r\\n".encode() + body

def far(name, target):
    transport = FakeTransport(name)
    transport.on("env", script)
    transport.unix["/var/run/docker.sock"] = engine
    return transport

wiring.transport_to = far
sys.exit(main(["plan", "--output", "json", "-f", sys.argv[1]]))
"""


def without_posix(script: str, *arguments: str, cwd: Path = CHECKOUT) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(CHECKOUT), "USERNAME": "olive"}
    for name in ("LOGNAME", "USER", "LNAME"):
        environment.pop(name, None)
    return subprocess.run(
        [sys.executable, "-c", _WITHOUT_POSIX + script, *arguments],
        cwd=cwd,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    """A desired state as it looks in a Windows checkout, beside the one line that differs in the tests."""
    (tmp_path / "app").mkdir()
    (tmp_path / "app" / "compose.yaml").write_text("services: {web: {image: 'shop:${TAG}'}}\n")
    (tmp_path / "app" / "web.conf").write_bytes(b"one\r\ntwo\n")
    (tmp_path / ".env.server").write_text("TOKEN=s3cret-canary\n")
    (tmp_path / ".env.server").chmod(0o600)
    (tmp_path / "deploy.yaml").write_bytes(
        b'apiVersion: reconciler/v1\r\napp: shop\r\ntag: "20260101_000001"\r\ncompose: app/compose.yaml\r\n'
        b"image: {repository: shop, delivery: present}\r\nenv: {values: .env.server}\r\nwritable: [data]\r\n"
        b"targets: {prod: {host: shop.example, deploy_dir: /srv/shop}}\r\n"
    )
    return tmp_path / "deploy.yaml"


def test_no_posix_module_is_on_the_import_path() -> None:
    done = without_posix(_IMPORT_ALL)
    assert done.returncode == 0, done.stderr


def test_a_desk_without_posix_plans(shop: Path) -> None:
    """The whole of a plan: deploy.yaml, sources, env, rendering, the engine's API, the planner, JSON."""
    done = without_posix(_PLAN, str(shop))
    assert done.returncode == 2, done.stderr + done.stdout
    assert '"create web' in done.stdout or "web" in done.stdout
    assert "s3cret-canary" not in done.stdout + done.stderr
    assert "\\" not in done.stdout.replace("\\n", "").replace('\\"', "").replace("\\u", ""), "paths on a target have /"


def test_paths_on_targets_are_posix_paths_everywhere(shop: Path) -> None:
    """A WindowsPath would send `\\srv\\shop` to the server."""
    deploy = load_deploy(shop)
    assert type(deploy.targets["prod"].deploy_dir) is PurePosixPath
    assert all(type(path) is PurePosixPath for path in (*deploy.compose, *deploy.writable))
    tree = read_sources(deploy, shop)
    assert all(type(file.path) is PurePosixPath for file in tree.files)
    assert type(tree.root) is PurePosixPath


def test_line_endings_go_up_as_they_are(shop: Path) -> None:
    """What git checked out is what the server gets, byte for byte."""
    tree = read_sources(load_deploy(shop), shop)
    assert {str(file.path): file.data for file in tree.files}["web.conf"] == b"one\r\ntwo\n"
