"""Where a secret of the controller's own is (a token, a password): never the secret itself."""

from typing import Any, Self

from pydantic import Field, model_validator

from reconciler.model.base import Model, refused
from reconciler.model.text import Line, VariableName


class Secret(Model):
    """Where a secret is: exactly one of `env` and `file`, both on the controller."""

    env: VariableName | None = Field(None, description="Environment variable of the controller that holds it.")
    file: Line | None = Field(
        None, description="File on the controller whose content it is (`~/` or from deploy.yaml)."
    )

    @model_validator(mode="before")
    @classmethod
    def _not_itself(cls, value: Any) -> Any:
        if isinstance(value, str | int | float):
            raise refused("a secret doesn't belong in deploy.yaml", "name its source: `{env: NAME}` or `{file: ~/…}`")
        return value

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        if (self.env is None) == (self.file is None):
            raise refused("needs exactly one of `env` and `file`")
        return self
