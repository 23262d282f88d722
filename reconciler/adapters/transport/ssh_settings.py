"""What a caller says about an SSH target; imports nothing heavy."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class SshSettings:
    """How to reach one target. What is None comes from the user's ssh configuration, or else from ssh's defaults.

    `host` may be an alias of that configuration. `known_hosts` replaces the user's file; the system's is read as well.
    `config_file` replaces both configuration files, as `ssh -F` does. `connect_timeout` is in seconds, for the whole
    way to a login; None takes ConnectTimeout of the configuration, or 10. `label` is what messages call the target
    (its name in deploy.yaml).
    """

    host: str
    port: int | None = None
    user: str | None = None
    identity_file: Path | None = None
    known_hosts: Path | None = None
    connect_timeout: float | None = 10.0
    sudo: bool = False
    config_file: Path | None = None
    label: str | None = None
