"""Debian's docker-registry on loopback, with or without a login."""

from __future__ import annotations

import subprocess
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import bcrypt
import docker
import yaml

from tests.world.network import free_port

STARTUP_SECONDS = 20.0


class RegistryFailed(RuntimeError):
    """The registry didn't start, or refused an image; the text holds what it said."""


@dataclass(frozen=True, slots=True)
class Login:
    """The one account of a registry."""

    username: str
    password: str = field(repr=False)


@dataclass
class Registry:
    """A registry at `address` (host:port). Its images stay when it stops."""

    address: str
    config: Path
    login: Login | None
    log: list[str] = field(default_factory=list)
    _process: subprocess.Popen[str] | None = None

    @property
    def pid(self) -> int:
        """Its process. Raises LookupError when it doesn't run."""
        if self._process is None:
            raise LookupError(f"the registry {self.address} is stopped")
        return self._process.pid

    def start(self) -> None:
        """Start it on the same address and wait until it listens. Raises RegistryFailed."""
        listening = threading.Event()
        self._process = subprocess.Popen(
            ["docker-registry", "serve", str(self.config)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        threading.Thread(target=self._read_log, args=(self._process, listening), daemon=True).start()
        if not listening.wait(STARTUP_SECONDS) or self._process.poll() is not None:
            raise RegistryFailed("docker-registry did not start:\n" + "\n".join(self.log[-5:]))

    def stop(self) -> None:
        """Stop it: from now on its address refuses connections."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def repository(self, name: str = "observer") -> str:
        """The name of a repository in it, without a tag: what `image.repository` says."""
        return f"{self.address}/{name}"

    def push(self, image: str, tag: str, *, name: str = "observer") -> str:
        """Push an image of this machine's engine as `name:tag` and return its full reference.

        The engine keeps no reference to it, so a later pull really asks the registry. Raises RegistryFailed.
        """
        reference = f"{self.repository(name)}:{tag}"
        account = {"username": self.login.username, "password": self.login.password} if self.login else None
        with closing(docker.DockerClient.from_env()) as engine:
            engine.images.get(image).tag(self.repository(name), tag)
            try:
                lines = engine.images.push(self.repository(name), tag, auth_config=account, stream=True, decode=True)
                refusals = [line["error"] for line in lines if "error" in line]
            finally:
                engine.images.remove(reference, noprune=True)
        if refusals:
            raise RegistryFailed(f"{reference}: {refusals[0]}")
        return reference

    def _read_log(self, process: subprocess.Popen[str], listening: threading.Event) -> None:
        assert process.stderr is not None
        with process.stderr as lines:
            for line in lines:
                self.log.append(line.rstrip("\n"))
                if "listening on" in line:
                    listening.set()
        listening.set()  # the end of its log: whoever waits looks whether it runs


@contextmanager
def registry(tmp: Path, *, login: Login | None = None, port: int | None = None) -> Iterator[Registry]:
    """A running registry on 127.0.0.1 with its files under `tmp`; with `login`, it answers to nobody else."""
    address = f"127.0.0.1:{port or free_port()}"
    settings: dict[str, object] = {
        "version": 0.1,
        "log": {"level": "info"},
        "storage": {"filesystem": {"rootdirectory": str(tmp / "registry")}, "delete": {"enabled": True}},
        "http": {"addr": address, "secret": "of-a-test"},
    }
    if login is not None:
        hashed = bcrypt.hashpw(login.password.encode(), bcrypt.gensalt(rounds=4)).decode()
        (tmp / "htpasswd").write_text(f"{login.username}:{hashed}\n")
        settings["auth"] = {"htpasswd": {"realm": "reconciler test", "path": str(tmp / "htpasswd")}}
    config = tmp / "registry.yml"
    config.write_text(yaml.safe_dump(settings))
    server = Registry(address, config, login)
    try:
        server.start()
        yield server
    finally:
        server.stop()
