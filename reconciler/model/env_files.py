"""`env`: where the app's environment comes from: its structure, its values, and what reads encrypted ones."""

import re
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema, model_validator

from reconciler.model.base import Listing, Model, as_written, refused, wrong
from reconciler.model.paths import RepoPath
from reconciler.model.text import Argument, Line, VariableName, check_line

AGE = ".age"
"""How the name of an encrypted values file ends."""

_SECRET_KEY = re.compile(r"AGE-SECRET-KEY-|AGE-PLUGIN-|-----BEGIN", re.IGNORECASE)
_RECIPIENT = re.compile(r"age1[02-9ac-hj-np-z]{20,}|ssh-(ed25519|rsa) [A-Za-z0-9+/]{20,}={0,2}( .*)?")


def _recipient(value: str) -> str:
    if _SECRET_KEY.match(value):
        raise refused("holds a secret key", "name the public one, `age1…`, and make a new key: this one is known")
    if not _RECIPIENT.fullmatch(value):
        raise wrong("a recipient", "`age1…`, or a line of an SSH key's .pub file: `ssh-ed25519 …`, `ssh-rsa …`")
    return value


Recipient = Annotated[
    str, BeforeValidator(as_written), AfterValidator(_recipient), WithJsonSchema({"type": "string", "minLength": 1})
]
"""A public key that values are encrypted to. Source of its form: age(1), "RECIPIENTS AND IDENTITIES"."""


class Values(Model):
    """Where the values come from: a file, or a program that prints them."""

    file: Line | None = Field(
        None, description="A file that git doesn't track, or one encrypted by age (`*.age`); `~` works."
    )
    command: Listing[Argument] = Field(
        (), description="A program on the controller (a list; no shell) that prints KEY=value lines."
    )

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        if (self.file is None) == (not self.command):
            raise refused("needs exactly one of `file` and `command`")
        return self

    @property
    def is_encrypted(self) -> bool:
        """Whether it is a file that age encrypted."""
        return self.file is not None and self.file.endswith(AGE)


def _a_path_is_a_file(value: Any) -> Any:
    value = as_written(value)
    return {"file": check_line(value)} if isinstance(value, str) else value


class Identity(Model):
    """Where the secret key that reads encrypted values is: exactly one of `file` and `env`. Never the key itself."""

    file: Line | None = Field(
        None,
        description="An age identity file or an SSH private key without a passphrase, on the controller; `~` works.",
    )
    env: VariableName | None = Field(None, description="Environment variable of the controller that holds its text.")

    @model_validator(mode="before")
    @classmethod
    def _not_the_key_itself(cls, value: Any) -> Any:
        if isinstance(value, str | int | float):
            raise refused(
                "a secret key doesn't belong in deploy.yaml", "name its source: `{file: ~/…}` or `{env: NAME}`"
            )
        return value

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        if (self.file is None) == (self.env is None):
            raise refused("needs exactly one of `file` and `env`")
        if self.file is not None and _SECRET_KEY.match(self.file):
            raise refused("holds a secret key", "name the file that has it, and make a new key: this one is known")
        return self


class EnvFiles(Model):
    """Where the app's environment comes from: a committed structure, and values that are never committed in plain."""

    template: RepoPath | None = Field(
        None, description="Structure and required keys: a file in the repository, relative to deploy.yaml."
    )
    values: Annotated[
        Values | None, BeforeValidator(_a_path_is_a_file, json_schema_input_type=Line | Values | None)
    ] = Field(
        None,
        description="The only source of values: a file that git doesn't track, relative to deploy.yaml; one that age"
        " encrypted (`*.age`, committed); or `{command: [program, …]}`.",
    )
    identity: Identity | None = Field(
        None, description="What decrypts `*.age` values: `{file: ~/…}` or `{env: NAME}`, on the controller."
    )
    recipients: Listing[Recipient] = Field(
        (), description="Whom `reconcile env encrypt` and `env edit` encrypt to: `age1…`, `ssh-ed25519 …`, `ssh-rsa …`."
    )
    delivery: Literal["file", "runtime"] = Field(
        "file", description="`file`: in the release on the target, mode 0400; `runtime`: never written to its disk."
    )

    @model_validator(mode="after")
    def _readable(self) -> Self:
        if self.values is not None and self.values.is_encrypted and self.identity is None:
            raise refused("is encrypted, and nothing says with what to read it", "add `env.identity`", at=("values",))
        return self
