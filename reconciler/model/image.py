"""`image`: which images carry the release's tag, and how they reach a target."""

import re
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema, model_validator

from reconciler.model.base import Listing, Model, OneOrMany, as_written, refused, wrong
from reconciler.model.text import Argument, Line, VariableName

_REPOSITORY = re.compile(
    r"(?:[a-zA-Z0-9.-]+(?::\d{1,5})?/)?[a-z0-9]+(?:(?:\.|_{1,2}|-+)[a-z0-9]+)*"
    r"(?:/[a-z0-9]+(?:(?:\.|_{1,2}|-+)[a-z0-9]+)*)*",
    re.ASCII,
)


def _repository(value: str) -> str:
    last = value.rpartition("/")[2]
    if ":" in last or "@" in last:
        raise wrong("an image repository without a tag", "the tag comes from `tag:`")
    if len(value) > 255 or not _REPOSITORY.fullmatch(value):
        raise wrong("an image repository", "such as `observer` or `registry.example:5000/team/observer`")
    return value


Repository = Annotated[
    str,
    BeforeValidator(as_written),
    AfterValidator(_repository),
    WithJsonSchema({"type": "string", "minLength": 1, "maxLength": 255}),
]
"""An image reference without tag or digest. Source of its form: the distribution project's reference grammar."""


class Password(Model):
    """Where a registry's password comes from: exactly one of `env` and `command`. Never the password itself."""

    env: VariableName | None = Field(None, description="Environment variable of the controller that holds it.")
    command: Listing[Argument] = Field(
        (), description="Command on the controller (a list; no shell) whose first output line it is."
    )

    @model_validator(mode="before")
    @classmethod
    def _not_the_password_itself(cls, value: Any) -> Any:
        if isinstance(value, str | int | float):
            raise refused(
                "a password doesn't belong in deploy.yaml",
                "name its source: `{env: NAME}` or `{command: [program, …]}`",
            )
        return value

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        if (self.env is None) == (not self.command):
            raise refused("needs exactly one of `env` and `command`")
        return self


class Credentials(Model):
    """Login at the registry of the app's images; by default the one that the target's user already has."""

    username: Line = Field(description="User name at the registry.")
    password: Password = Field(description="Where the password comes from: `{env: NAME}` or `{command: [program, …]}`.")


class Image(Model):
    """Which images carry the release's tag, and how they reach a target."""

    repository: OneOrMany[Repository] = Field(
        (), description="Image repositories that carry the tag: one, or a list. Left out: no image carries it."
    )
    delivery: Literal["registry", "archive", "present"] = Field(
        "registry",
        description="`registry`: pulled on the target; `present`: already there; `archive`: uploaded from a file.",
    )
    credentials: Credentials | None = Field(
        None, description="Registry login; left out: the login that the user on the target has."
    )
