"""`targets`: one place where the app runs, and how it is reached."""

import re
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema, model_validator

from reconciler.model.base import Model, as_written, refused, wrong
from reconciler.model.paths import AbsoluteDir
from reconciler.model.text import ComposeName, Line

_HOST = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,251}[A-Za-z0-9])?", re.ASCII)
_IPV6 = re.compile(r"[0-9A-Fa-f:]*:[0-9A-Fa-f:]*:[0-9A-Fa-f:.]*(?:%[A-Za-z0-9._-]+)?", re.ASCII)
_USER = re.compile(r"[A-Za-z0-9_.][A-Za-z0-9_.@\\-]{0,254}\$?", re.ASCII)
_ONLY_FOR_SSH = ("port", "user", "identity_file", "known_hosts")


def _host(value: str) -> str:
    if "@" in value:
        raise wrong("a host name or an address", "the user goes under `user:`")
    if re.fullmatch(r"[^:]+:\d+", value):
        raise wrong("a host name or an address", "the port goes under `port:`")
    if not _HOST.fullmatch(value) and not _IPV6.fullmatch(value):
        raise wrong("a host name or an address", "`local` means this machine")
    return value


def _user(value: str) -> str:
    if not _USER.fullmatch(value):
        raise wrong("a user name")
    return value


def _socket(value: str) -> str:
    if not re.fullmatch(r"unix:///[^\x00-\x1f\x7f]+", value):
        raise wrong("a Unix socket on the target", "such as `unix:///var/run/docker.sock`; TCP would need no login")
    return value


class Target(Model):
    """One place where the app runs: a host and a directory on it."""

    host: Annotated[
        str, BeforeValidator(as_written), AfterValidator(_host), WithJsonSchema({"type": "string", "minLength": 1})
    ] = Field(description="`local` for this machine, else a host name, an address or an alias of ~/.ssh/config.")
    port: int | None = Field(None, ge=1, le=65535, description="SSH port; left out: what ~/.ssh/config says, else 22.")
    user: Annotated[str, BeforeValidator(as_written), AfterValidator(_user)] | None = Field(
        None, description="User to log in as; left out: what ~/.ssh/config says, else the one who runs this."
    )
    identity_file: Line | None = Field(
        None, description="Private key file on the controller (`~` works); left out: ~/.ssh/config and the agent."
    )
    known_hosts: Line | None = Field(
        None, description="File of accepted host keys on the controller (`~` works); left out: ~/.ssh/known_hosts."
    )
    deploy_dir: AbsoluteDir = Field(description="The app's directory on the target: absolute, and the app's alone.")
    engine: Literal["compose", "swarm"] = Field("compose", description="What runs the app on the target.")
    project: ComposeName | None = Field(
        None, description="Compose project name; left out: `app`. Two instances on one host need two names."
    )
    sudo: bool = Field(
        False, description="Reach Docker and write files by `sudo -n` (the user isn't in docker's group)."
    )
    docker_host: Annotated[
        str,
        BeforeValidator(as_written),
        AfterValidator(_socket),
        WithJsonSchema({"type": "string", "pattern": "^unix:///"}),
    ] = Field("unix:///var/run/docker.sock", description="The engine's socket on the target; `unix://` only.")

    @property
    def is_local(self) -> bool:
        """Whether it is the machine that the controller runs on."""
        return self.host == "local"

    @property
    def docker_socket(self) -> str:
        """The path of the engine's socket on the target."""
        return self.docker_host.removeprefix("unix://")

    @model_validator(mode="after")
    def _local_needs_no_login(self) -> Self:
        for name in _ONLY_FOR_SSH:
            if self.is_local and getattr(self, name) is not None:
                raise refused("has no meaning with `host: local`", "leave it out", at=(name,))
        return self
