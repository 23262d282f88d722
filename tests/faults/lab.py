"""Where cases happen: a server of our own with a dockerd and an sshd, a small disk, and a clock that can be wrong.

Over `ssh` the controller is a process of this machine that uses the server's network: its connection is one of real
sockets, and a firewall rule there stops it silently, whereas its processes are not the server's. Over `local` it is a
process of the server, and dies with it.

The wrong clock is one for those that read it: `date` (the one clock of our scripts) is shadowed on the PATH of the
target's commands, and the controller's own clock is moved in its process. The engine's clock stays right, for it can't
be moved in a container: a controller whose clock is wrong sees the engine's times as they are.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from tests.faults import passes
from tests.faults.passes import Ended, Pass
from tests.world.engine import RemoteSsh, SecondEngine, second_engine
from tests.world.images import GOOD, Images

DISK_BYTES = 48 << 20
"""Bytes of the file system that deploy_dir is on."""
PASS_SECONDS = 150.0
"""A pass that takes longer hangs: its longest time-out of its own is 60 s, and a dead peer's 30 s."""
_DATE = """#!/bin/sh
now=$({date} +%s) wrong=$(cat {clock} 2>/dev/null || echo 0)
exec {date} --date "@$((now + wrong))" "$@"
"""


@dataclass
class Lab:
    """One server, its disk, and its way in."""

    tmp: Path
    server: SecondEngine
    disk: Path
    tag: tuple[str, str, str]
    """Two good releases' tags, and a bad one's."""
    repository: str
    sshd: RemoteSsh | None = None
    _session: ExitStack = field(default_factory=ExitStack)
    _passes: int = 0

    @property
    def clock(self) -> Path:
        """The seconds by which the clock is wrong."""
        return self.tmp / "clock"

    @property
    def scratch(self) -> Path:
        """The target's TMPDIR: what is left there was left by us."""
        return self.tmp / "scratch"

    def connect(self) -> None:
        """Start sshd on the server: after a reboot on the same port, with the same key."""
        self._session.close()
        keys = self.tmp / "keys"
        keys.mkdir(exist_ok=True)
        port = self.sshd.port if self.sshd else None
        environment = f"SHLVL=1 PATH={self._path()} TMPDIR={self.scratch}"
        self.sshd = self._session.enter_context(self.server.ssh(keys, port=port, options={"SetEnv": environment}))

    def disconnect(self) -> None:
        """Stop its sshd."""
        self._session.close()

    def supply(self) -> None:
        """Every image is there again: a pass that prunes releases prunes the images that only they need."""
        there = self.server.docker("image", "ls", "--format", "{{.Repository}}:{{.Tag}}").stdout.split()
        if missing := [name for tag in self.tag if (name := f"{self.repository}:{tag}") not in there]:
            self.server.load(*missing)

    def repair(self) -> None:
        """After a case that went wrong: a new boot, and nothing left of the old one."""
        self.free_disk()
        self.clock.write_text("0")
        self.server.reboot()
        self.connect()
        shutil.rmtree(self.scratch)
        self.scratch.mkdir()

    def fill_disk(self) -> None:
        """Not a byte is left, nor a file of one."""
        with (self.disk / "filler").open("ab", buffering=0) as filler, suppress(OSError):
            while filler.write(bytes(1 << 16)):
                pass
        with (self.disk / "filler").open("ab", buffering=0) as filler, suppress(OSError):
            while filler.write(bytes(512)):
                pass

    def free_disk(self) -> None:
        """As it was."""
        (self.disk / "filler").unlink(missing_ok=True)

    def pass_of(self, repo: Path, transport: str, arguments: Sequence[str], options: Sequence[str] = ()) -> Pass:
        """Start a pass in the repository, from where the controller of that transport is."""
        self._passes += 1
        files = self.tmp / f"pass{self._passes % 40}"
        env = {"PATH": self._path(), "TMPDIR": str(self.scratch)} if transport == "local" else {}
        into = (
            self.server.argv("env", f"--chdir={repo}")
            if transport == "local"
            else ["nsenter", f"--net=/proc/{self.server.init_pid}/ns/net", "--", "env", f"--chdir={repo}"]
        )
        chosen = ["--clock", str(self.clock), *options]
        return passes.start(arguments, wrapper=into, files=files, env=env, options=chosen)

    def plain_pass(self, repo: Path, transport: str, *arguments: str) -> Ended:
        """A pass without numbers or faults. Raises TimeoutError."""
        return self.pass_of(repo, transport, arguments, ["--plain"]).end(seconds=PASS_SECONDS)

    def _path(self) -> str:
        return f"{self.tmp / 'bin'}:{os.environ['PATH']}"


@contextmanager
def new_lab(tmp: Path, images: Images, bad: str) -> Iterator[Lab]:
    """A lab under `tmp`, whose engine has two good releases' images and `bad`'s; gone when the block ends."""
    tmp.mkdir(parents=True)
    tags = (images.good(GOOD[0]), images.good(GOOD[1]), bad)
    with _small_disk(tmp / "disk"), second_engine(tmp / "second") as server:
        server.load(*(images.reference(tag) for tag in tags))
        lab = Lab(tmp, server, tmp / "disk", tags, images.repository)
        lab.scratch.mkdir()
        lab.clock.write_text("0")
        (tmp / "bin").mkdir()
        shim = tmp / "bin" / "date"
        shim.write_text(_DATE.format(date=shutil.which("date"), clock=lab.clock))
        shim.chmod(0o755)
        try:
            lab.connect()
            yield lab
        finally:
            lab.disconnect()


@contextmanager
def _small_disk(path: Path) -> Iterator[None]:
    """A file system of its own at `path`. It is this side's, so it outlives a reboot of the server, as a disk does."""
    path.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={DISK_BYTES}", "reconciler-faults", str(path)], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(path)], check=False)
