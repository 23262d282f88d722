"""A second server on this machine: its own network, processes, /run and Docker data, with a real dockerd on it.

Everything on it lives in a process namespace whose first process is ours. When that one ends, the kernel kills the
rest: so a reboot is a real power cut, and nothing stays behind, even when the test run itself is killed.
"""

from __future__ import annotations

import itertools
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from tests.world import network, server_init
from tests.world.network import Forwarder, free_port, here
from tests.world.sshd import SshServer

STARTUP_SECONDS = 60.0
_CHECKOUT = Path(__file__).resolve().parents[2]
_NAMESPACES = ("unshare", "--mount", "--net", "--pid", "--fork", "--kill-child", "--mount-proc")
_NUMBERS = itertools.count(1)
_SSHD = """
import json, sys
from pathlib import Path
from tests.world.sshd import ssh_server
with ssh_server(Path(sys.argv[1]), port=int(sys.argv[2]), options=json.loads(sys.argv[3])) as server:
    print(json.dumps({"user": server.user, "pid": server.pid, "host_key": str(server.host_key),
        "identity_file": str(server.identity_file), "known_hosts": str(server.known_hosts)}), flush=True)
    sys.stdin.read()
"""

Completed = subprocess.CompletedProcess[str]


class EngineFailed(RuntimeError):
    """The server or its dockerd didn't start; the text holds the end of its log."""


@dataclass
class RemoteSsh(SshServer):
    """The server's sshd, reached from this side through `link`, which can go dark."""

    link: Forwarder = field(kw_only=True)


@dataclass
class SecondEngine:
    """A server with Docker. Its files are this machine's, but for /run, /var/lib/docker and /var/lib/containerd."""

    root: Path
    cgroup: str
    log: list[str] = field(default_factory=list)
    _unshare: subprocess.Popen[bytes] | None = None
    _dockerd: subprocess.Popen[str] | None = None

    @property
    def socket(self) -> Path:
        """Its Docker socket as this side sees it; on the server it is /var/run/docker.sock."""
        return self.root / "run" / "docker.sock"

    @property
    def docker_host(self) -> str:
        """For DOCKER_HOST on this side."""
        return f"unix://{self.socket}"

    @property
    def init_pid(self) -> int:
        """Its first process, as this side numbers it. Raises LookupError when the power is off."""
        return _child(self._unshare, "the second server is off")

    @property
    def dockerd_pid(self) -> int:
        """Its dockerd, as this side numbers it. Raises LookupError when it doesn't run."""
        return _child(self._dockerd, "dockerd doesn't run on the second server")

    def running(self) -> bool:
        """Whether dockerd runs there."""
        return self._dockerd is not None and self._dockerd.poll() is None

    def inside(self) -> AbstractContextManager[None]:
        """The calling thread uses the server's network; its 127.0.0.1 is the server's."""
        return network.inside(self.init_pid)

    def request(self, url: str, *, timeout: float = 5.0) -> tuple[int, str]:
        """Status and body of a GET made on the server. Raises OSError where nothing answers in `timeout` seconds."""
        with self.inside():
            try:
                with urllib.request.urlopen(url, timeout=timeout) as answer:  # noqa: S310 # a test's own http:// address
                    return int(answer.status), answer.read().decode()
            except urllib.error.HTTPError as error:
                with error:
                    return error.code, error.read().decode()

    def argv(self, *command: str) -> list[str]:
        """The command line of this side that runs `command` on the server, as root."""
        return ["nsenter", f"--target={self.init_pid}", "--mount", "--net", "--pid", "--wd=/", "--", *command]

    def run(self, *command: str, check: bool = True, env: Mapping[str, str] | None = None) -> Completed:
        """Run a command on the server; `env` comes on top of this process's environment."""
        return _run(self.argv(*command), check=check, env=env)

    def docker(self, *arguments: str, check: bool = True, env: Mapping[str, str] | None = None) -> Completed:
        """The docker command line against this engine."""
        return _run(["docker", "--host", self.docker_host, *arguments], check=check, env=env)

    def load(self, *images: str) -> None:
        """Copy images from the machine's own engine; their ids stay."""
        with subprocess.Popen(["docker", "save", *images], stdout=subprocess.PIPE) as saving:
            loading = ["docker", "--host", self.docker_host, "load", "--quiet"]
            subprocess.run(loading, stdin=saving.stdout, stdout=subprocess.DEVNULL, check=True, timeout=60)
        if saving.returncode:
            raise RuntimeError(f"docker save {' '.join(images)} ended with {saving.returncode}")

    def expose(self, port: int) -> Forwarder:
        """Let the server reach 127.0.0.1:`port` of this side at its own 127.0.0.1:`port`, until a reboot."""
        return Forwarder(port, listen=self.inside, connect=here)

    @contextmanager
    def ssh(
        self, tmp: Path, *, port: int | None = None, options: Mapping[str, str | Sequence[str]] | None = None
    ) -> Iterator[RemoteSsh]:
        """A real sshd on the server, its files under `tmp`; 127.0.0.1:`port` of this side leads to it.

        Everything that a session on it reaches is the server's: 127.0.0.1, /var/run/docker.sock, the processes.
        """
        port = port or free_port()
        arguments = [str(tmp), str(port), json.dumps(options or {})]
        with subprocess.Popen(
            self.argv("env", f"PYTHONPATH={_CHECKOUT}", sys.executable, "-c", _SSHD, *arguments),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        ) as process:
            assert process.stdin is not None
            assert process.stdout is not None
            told = json.loads(process.stdout.readline() or "null")
            if told is None:
                raise EngineFailed("sshd did not start on the second server; its message is on stderr")
            link = Forwarder(port, listen=here, connect=self.inside)
            try:
                yield RemoteSsh(
                    host="127.0.0.1",
                    port=port,
                    user=told["user"],
                    identity_file=Path(told["identity_file"]),
                    known_hosts=Path(told["known_hosts"]),
                    host_key=Path(told["host_key"]),
                    pid=network.process_inside(told["pid"], of=self.init_pid),
                    link=link,
                )
            finally:
                link.close()
                with suppress(BrokenPipeError):  # a reboot ended it before us
                    process.stdin.close()

    def power_on(self) -> None:
        """Start the server, with nothing running on it."""
        shutil.rmtree(self.root / "run", ignore_errors=True)  # a tmpfs, on a real server
        for name in server_init.OWN:
            (self.root / name).mkdir(parents=True, exist_ok=True)
        self._unshare = subprocess.Popen(
            [*_NAMESPACES, sys.executable, server_init.__file__, str(self.root)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=(self.root / "init.log").open("wb"),
        )
        assert self._unshare.stdout is not None
        if self._unshare.stdout.readline() != b"ready\n":
            self._unshare.wait()
            said = (self.root / "init.log").read_text().strip()
            raise EngineFailed(f"the second server ended at once (it needs root): {said}")

    def power_off(self) -> None:
        """Cut the power: every process on it is killed at once, and every mount is gone. Its disk stays."""
        if self._unshare is None:
            return
        with suppress(LookupError, ProcessLookupError):
            os.kill(self.init_pid, signal.SIGKILL)
        self._unshare.communicate()  # closes the pipes; it ends after the last process of its namespace
        self._unshare = None
        if self._dockerd is not None:
            self._dockerd.wait()
        _remove_cgroups(self.cgroup)

    def start(self) -> None:
        """Start dockerd, and nothing else, and wait until its API listens. Raises EngineFailed."""
        self.log.clear()
        listening = threading.Event()
        self._dockerd = subprocess.Popen(
            self.argv("dockerd", f"--cgroup-parent=/{self.cgroup}", "--exec-opt=native.cgroupdriver=cgroupfs"),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        threading.Thread(target=self._read_log, args=(self._dockerd, listening), daemon=True).start()
        if not listening.wait(STARTUP_SECONDS) or not self.running():
            raise EngineFailed("dockerd did not start:\n" + "\n".join(self.log[-10:]))

    def kill(self) -> None:
        """SIGKILL for dockerd alone: containerd, the shims and the containers run on."""
        os.kill(self.dockerd_pid, signal.SIGKILL)
        assert self._dockerd is not None
        self._dockerd.wait()

    def restart(self) -> None:
        """As `systemctl restart docker` does: dockerd stops the containers, ends and is started."""
        os.kill(self.dockerd_pid, signal.SIGTERM)
        assert self._dockerd is not None
        self._dockerd.wait()
        self.start()

    def reboot(self) -> None:
        """A power cut, then the power again and dockerd alone."""
        self.power_off()
        self.power_on()
        self.start()

    def _read_log(self, dockerd: subprocess.Popen[str], listening: threading.Event) -> None:
        assert dockerd.stderr is not None
        with dockerd.stderr as lines:
            for line in lines:
                self.log.append(line.rstrip("\n"))
                if "API listen on" in line:
                    listening.set()
        listening.set()  # the end of its log: whoever waits looks whether it runs


@contextmanager
def second_engine(tmp: Path) -> Iterator[SecondEngine]:
    """A second server with a running dockerd, its disk under `tmp`; all of it is gone when the block ends.

    Needs root and the Debian packages of ops/setup/packages.sh. Raises EngineFailed.
    """
    server = SecondEngine(tmp / "server", cgroup=f"reconciler-test-{os.getpid()}-{next(_NUMBERS)}")
    try:
        server.power_on()
        server.start()
        yield server
    finally:
        server.power_off()
        shutil.rmtree(server.root, ignore_errors=True)


def _child(process: subprocess.Popen[bytes] | subprocess.Popen[str] | None, otherwise: str) -> int:
    """The one child of `unshare` or `nsenter`: these stay outside, and their child is inside."""
    if process is None or process.poll() is not None:
        raise LookupError(otherwise)
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    if not children:
        raise LookupError(otherwise)
    return int(children[0])


def _run(command: list[str], *, check: bool, env: Mapping[str, str] | None) -> Completed:
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, timeout=120, env={**os.environ, **(env or {})}
    )
    if check and done.returncode:
        raise RuntimeError(f"{' '.join(command)} ended with {done.returncode}: {done.stderr.strip()}")
    return done


def _remove_cgroups(name: str) -> None:
    """Remove the empty control groups that the engine left, in every hierarchy (version 1 has many)."""
    root = Path("/sys/fs/cgroup")
    for top in [root / name, *root.glob(f"*/{name}")]:
        for directory, _, _ in os.walk(top, topdown=False):
            with suppress(OSError):
                Path(directory).rmdir()
