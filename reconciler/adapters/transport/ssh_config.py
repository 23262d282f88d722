"""From settings and the user's ssh configuration to the hops that lead to a target."""

from __future__ import annotations

import getpass
import io
import os
import sys
from dataclasses import replace
from pathlib import Path

from reconciler.adapters.transport._paramiko import paramiko
from reconciler.adapters.transport.ssh_settings import SshSettings
from reconciler.dataclass import dataclass
from reconciler.model.errors import LoginRefused

_DEFAULT_PORT = 22
_DEFAULT_CONNECT_SECONDS = 10.0
_MAX_INCLUDES = 16  # nested, as in OpenSSH
_MAX_JUMPS = 8
_DEFAULT_IDENTITIES = ("id_ed25519", "id_ecdsa", "id_rsa")


@dataclass(frozen=True, slots=True)
class Hop:
    """One sshd on the way, the last one being the target."""

    alias: str
    host: str
    port: int
    user: str
    identity_files: tuple[Path, ...]
    identities_chosen: bool
    """Somebody named the identity files; otherwise they are ssh's defaults, and a missing one is no error."""
    identities_only: bool
    known_hosts: tuple[Path, ...]
    host_key_name: str
    connect_timeout: float
    label: str | None = None

    @property
    def name(self) -> str:
        return f"{self.user}@{self.host}:{self.port}"

    @property
    def where(self) -> str:
        """For messages: `prod (203.0.113.10:22)`."""
        return f"{self.label or self.alias} ({self.host}:{self.port})"


def route(settings: SshSettings) -> tuple[Hop, ...]:
    """The hops to the target, in the order in which they are connected.

    Raises LoginRefused for a configuration that can't be read or asks for what we don't do (ProxyCommand).
    """
    config = _load(settings.config_file)
    hops = _hops(settings, config, depth=0)
    return (*hops[:-1], replace(hops[-1], label=settings.label))


def ssh_directory() -> Path:
    return Path(os.path.expanduser("~")) / ".ssh"  # noqa: PTH111 - Path.home() raises for a user without one


def _hops(settings: SshSettings, config: paramiko.SSHConfig, *, depth: int) -> list[Hop]:
    if depth > _MAX_JUMPS:
        raise LoginRefused(f"{settings.host}: ProxyJump goes round in circles; see your ssh configuration")
    try:
        options = config.lookup(settings.host)
    except Exception as error:  # paramiko raises its own, ValueError and OSError for what a file may hold
        raise LoginRefused(f"{settings.host}: can't apply your ssh configuration: {_one_line(error)}") from error
    if options.get("proxycommand"):
        raise LoginRefused(f"{settings.host}: ProxyCommand in your ssh configuration isn't supported; use ProxyJump")
    jumps = str(options.get("proxyjump") or "none")
    before: list[Hop] = []
    if jumps.lower() != "none":
        # Each jump of a list is reached through the one before it; only the first may have jumps of its own.
        for index, jump in enumerate(part.strip() for part in jumps.split(",")):
            user, host, port = _jump(settings.host, jump)
            through = SshSettings(
                host=host,
                port=port,
                user=user,
                known_hosts=settings.known_hosts,
                connect_timeout=settings.connect_timeout,
                config_file=settings.config_file,
            )
            reached = _hops(through, config, depth=depth + 1)
            before += reached if index == 0 else reached[-1:]
    return [*before, _hop(settings, options)]


def _hop(settings: SshSettings, options: paramiko.SSHConfigDict) -> Hop:
    port = settings.port or _number(settings.host, "Port", options.get("port")) or _DEFAULT_PORT
    host = str(options.get("hostname") or settings.host)
    chosen: tuple[Path, ...] = ()
    if settings.identity_file is not None:
        chosen = (settings.identity_file.expanduser(),)
    else:
        named = [file for file in options.get("identityfile", []) if file.lower() != "none"]
        chosen = tuple(Path(file).expanduser() for file in named)
    alias = options.get("hostkeyalias")
    timeout = settings.connect_timeout or _number(settings.host, "ConnectTimeout", options.get("connecttimeout"))
    return Hop(
        alias=settings.host,
        host=host,
        port=port,
        user=settings.user or options.get("user") or getpass.getuser(),
        identity_files=chosen or tuple(ssh_directory() / name for name in _DEFAULT_IDENTITIES),
        identities_chosen=bool(chosen),
        identities_only=str(options.get("identitiesonly", "no")).lower() == "yes",
        known_hosts=_known_hosts(settings, options),
        host_key_name=alias or (host.lower() if port == _DEFAULT_PORT else f"[{host.lower()}]:{port}"),
        connect_timeout=timeout or _DEFAULT_CONNECT_SECONDS,
    )


def _known_hosts(settings: SshSettings, options: paramiko.SSHConfigDict) -> tuple[Path, ...]:
    if settings.known_hosts is not None:
        user = [settings.known_hosts.expanduser()]
    elif named := options.get("userknownhostsfile"):
        user = [Path(file.strip('"')).expanduser() for file in named.split() if file.lower() != "none"]
    else:
        user = [ssh_directory() / "known_hosts", ssh_directory() / "known_hosts2"]
    return (*user, _system_directory() / "ssh_known_hosts")


def _system_directory() -> Path:
    return (
        Path(os.environ.get("PROGRAMDATA", r"C:\ProgramData")) / "ssh" if sys.platform == "win32" else Path("/etc/ssh")
    )


def _jump(host: str, text: str) -> tuple[str | None, str, int | None]:
    """`[user@]host[:port]`, or `ssh://…`, IPv6 addresses in brackets."""
    rest = text.removeprefix("ssh://").rstrip("/")
    user, _, place = rest.rpartition("@")
    if place.startswith("["):
        name, _, port = place[1:].partition("]")
        port = port.removeprefix(":")
    else:
        name, _, port = place.partition(":")
    if not name:
        raise LoginRefused(f"{host}: ProxyJump {text!r} names no host; see your ssh configuration")
    return user or None, name, _number(host, "ProxyJump", port or None)


def _number(host: str, key: str, text: str | None) -> int | None:
    if text is None or text.lower() == "none":
        return None
    if not text.isdigit() or not 0 < int(text) < 65536:
        raise LoginRefused(f"{host}: {key} in your ssh configuration is not a number: {text!r}")
    return int(text)


def _load(config_file: Path | None) -> paramiko.SSHConfig:
    """The configuration as ssh reads it: the user's first, then the system's; or `config_file` alone."""
    if config_file is not None:
        if not config_file.expanduser().is_file():
            raise LoginRefused(f"{config_file}: no such ssh configuration file")
        files = [config_file.expanduser()]
    else:
        files = [ssh_directory() / "config", _system_directory() / "ssh_config"]
    config = paramiko.SSHConfig()
    for file in files:
        if not file.is_file():
            continue
        try:
            # one anonymous "Host *" block for each file: what stands before the first Host applies to all
            config.parse(io.StringIO("\n".join(_lines(file, depth=0))))
        except (paramiko.ssh_exception.ConfigParseError, OSError, UnicodeDecodeError) as error:
            raise LoginRefused(f"{file}: can't read this ssh configuration: {_one_line(error)}") from error
    return config


def _lines(file: Path, *, depth: int) -> list[str]:
    """The lines of `file` with each Include replaced by what it includes: paramiko ignores it."""
    if depth > _MAX_INCLUDES:
        raise LoginRefused(f"{file}: Include is nested more than {_MAX_INCLUDES} deep")
    lines: list[str] = []
    for line in file.read_text(encoding="utf-8").splitlines():
        words = line.strip().replace("=", " ", 1).split()
        if not words or words[0].lower() != "include":
            lines.append(line)
            continue
        for pattern in words[1:]:
            place = Path(pattern.strip('"')).expanduser()
            base = place if place.is_absolute() else file.parent / place
            for included in sorted(base.parent.glob(base.name)):
                lines += _lines(included, depth=depth + 1)
    return lines


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split()) or type(error).__name__
