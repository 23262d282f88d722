"""A real sshd of our own on loopback: own configuration, host key and user key, gone when the block ends."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import socket
import subprocess
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

STARTUP_SECONDS = 15.0

_DEFAULTS: Mapping[str, str] = {
    "ListenAddress": "127.0.0.1",
    "PidFile": "none",
    "PermitRootLogin": "yes",
    "PasswordAuthentication": "no",
    "KbdInteractiveAuthentication": "no",
    "PubkeyAuthentication": "yes",
    "UsePAM": "no",
    "StrictModes": "no",
    "PrintMotd": "no",
    "MaxStartups": "100",
    "LogLevel": "VERBOSE",
    # bash reads ~/.bashrc for a command of sshd only when it is not nested: a developer's one may take half a second
    "SetEnv": "SHLVL=1",
}


class SshdFailed(RuntimeError):
    """sshd didn't start; the text holds what it said."""


@dataclass
class SshServer:
    """A running sshd. `known_hosts` holds its host key; `identity_file` logs in as `user`."""

    host: str
    port: int
    user: str
    identity_file: Path
    known_hosts: Path
    host_key: Path
    pid: int
    log: list[str] = field(default_factory=list)

    def connection_pids(self) -> list[int]:
        """The sshd processes that serve one connection each (not the listener)."""
        return _children(self.pid)

    def cut_connections(self) -> None:
        """Kills every connection's sshd at once, as a crash would; the listener stays."""
        for pid in _descendants(self.pid):
            if _name(pid).startswith("sshd"):
                _kill(pid, signal.SIGKILL)


@contextmanager
def ssh_server(
    tmp: Path, *, port: int | None = None, options: Mapping[str, str | Sequence[str]] | None = None
) -> Iterator[SshServer]:
    """An sshd on 127.0.0.1 (or on `options["ListenAddress"]`, loopback only), its files under `tmp`.

    `options` are sshd_config keywords; a list of values makes one line for each. Keys are made once per `tmp`, so a
    second server on the same directory has the same host key. Raises SshdFailed with what sshd said.
    """
    settings: dict[str, str | Sequence[str]] = {**_DEFAULTS, **(options or {})}
    addresses = _values(settings["ListenAddress"])
    if not all(address.startswith("127.") or address == "::1" for address in addresses):
        raise ValueError(f"loopback addresses only, not {addresses}")
    _run_directory()
    host_key, identity = _key(tmp, "host_ed25519"), _key(tmp, "id_ed25519")
    user = pwd.getpwuid(os.getuid()).pw_name

    chosen = port or _free_port(addresses[0])
    config = tmp / f"sshd_config_{chosen}"
    authorized = tmp / "authorized_keys"
    shutil.copyfile(identity.with_suffix(".pub"), authorized)
    settings = {"Port": str(chosen), "HostKey": str(host_key), "AuthorizedKeysFile": str(authorized), **settings}
    config.write_text("".join(f"{key} {value}\n" for key, values in settings.items() for value in _values(values)))
    known_hosts = tmp / f"known_hosts_{chosen}"
    public = " ".join(host_key.with_suffix(".pub").read_text().split()[:2])
    known_hosts.write_text("".join(f"[{address}]:{chosen} {public}\n" for address in addresses))

    sshd = shutil.which("sshd") or "/usr/sbin/sshd"
    process = subprocess.Popen(
        [sshd, "-D", "-e", "-f", str(config)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    server = SshServer(addresses[0], chosen, user, identity, known_hosts, host_key, process.pid)
    try:
        _await_listening(process, server.log)
        yield server
    finally:
        _stop(process)


def _await_listening(process: subprocess.Popen[str], log: list[str]) -> None:
    """Returns when sshd says that it listens; keeps its stderr drained into `log` from then on."""
    settled = threading.Event()

    def drain() -> None:
        assert process.stderr is not None
        with process.stderr as stderr:
            for line in stderr:
                log.append(line.rstrip("\n"))
                if line.startswith("Server listening on"):
                    settled.set()
        settled.set()  # the end of its stderr: it failed, and the log says why

    threading.Thread(target=drain, name=f"sshd-{process.pid}-log", daemon=True).start()
    if not settled.wait(STARTUP_SECONDS) or not any(line.startswith("Server listening on") for line in log):
        raise SshdFailed("sshd did not start:\n" + "\n".join(log))


def _stop(process: subprocess.Popen[str]) -> None:
    """Ends every connection, what runs on it, and the listener; returns when the listener is gone."""
    for pid in _descendants(process.pid):
        _kill(pid, signal.SIGKILL)
    process.terminate()
    try:
        process.wait(5)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    # A connection accepted between the two kills was reparented; it ends by itself at our close.


def _key(tmp: Path, name: str) -> Path:
    path = tmp / name
    if not path.exists():
        subprocess.run(
            ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", name, "-f", str(path)], check=True, timeout=20
        )
    return path


def _run_directory() -> None:
    """sshd's privilege separation directory: Debian's unit file makes it, and here no unit does."""
    if os.getuid() == 0:
        Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)


def _free_port(address: str) -> int:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.bind((address, 0))
        return int(probe.getsockname()[1])


def _values(value: str | Sequence[str]) -> list[str]:
    return [value] if isinstance(value, str) else list(value)


def _kill(pid: int, signal_number: signal.Signals) -> None:
    try:
        os.kill(pid, signal_number)
    except ProcessLookupError:
        return  # it ended by itself: what we wanted


def _name(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/comm").read_text(errors="replace").strip()  # cut off anywhere
    except OSError:
        return ""  # gone meanwhile


def _children(pid: int) -> list[int]:
    return [child for child, parent in _parents().items() if parent == pid]


def _descendants(pid: int) -> list[int]:
    """Every process below `pid`, the deepest last."""
    parents = _parents()
    found, queue = [], [pid]
    while queue:
        above = queue.pop(0)
        below = [child for child, parent in parents.items() if parent == above]
        found += below
        queue += below
    return found


def _parents() -> dict[int, int]:
    parents = {}
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            stat = (entry / "stat").read_text(errors="replace")
        except OSError:
            continue  # it ended while we looked
        parents[int(entry.name)] = int(stat.rpartition(")")[2].split()[1])
    return parents
