"""Masking what is shown, with what is learned of values on the way."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from pydantic import SecretStr

from reconciler.adapters.env.dotenv import parse_dotenv
from reconciler.model.errors import EnvError
from reconciler.telemetry.log import RedactorHolder
from reconciler.telemetry.redact import Redactor


def redactor_of(values: Mapping[str, SecretStr], *, text: str, public: Collection[str] = ()) -> Redactor:
    """Masks `values` (env key to value).

    A value that stands in `text` (deploy.yaml), and every value of the keys `public` (marked so in the template), is
    masked only where it stands as its own key's value. Where a secret key has the same value it is masked everywhere.
    """
    masks = Redactor({key: value for key, value in values.items() if key not in public}, public=text)
    for key, value in values.items():
        if key in public:
            masks = masks.union(Redactor({key: value}, public=value.get_secret_value()))
    return masks


class Mask:
    """Implements `cycle.context.Masker` over the redactor in force. `text` and `public` as in `redactor_of`."""

    def __init__(self, holder: RedactorHolder, text: str, public: Collection[str] = ()) -> None:
        self._holder = holder
        self._text = text
        self._public = public

    def text(self, text: str) -> str:
        return self._holder.current.text(text)

    def quoted(self, text: str) -> str:
        return self._holder.current.strict().text(text)

    def learn(self, *env: bytes) -> None:
        for data in env:
            values = values_in(data)
            if values is None:  # somebody edited it: what can't be parsed is taken line by line
                values = dict(
                    line.split("=", 1) for line in data.decode("utf-8", "replace").splitlines() if "=" in line
                )
            self.know({key: value for key, value in values.items() if key != "TAG"})

    def know(self, values: Mapping[str, str]) -> None:
        secrets = {key: SecretStr(value) for key, value in values.items()}
        self._holder.set_redactor(redactor_of(secrets, text=self._text, public=self._public))


def values_in(env: bytes) -> Mapping[str, str] | None:
    """Key to value of a dotenv file on a target; None where it can't be read."""
    try:
        entries = parse_dotenv(env.decode("utf-8", "replace"), file=".env on the target")
    except EnvError:
        return None
    return {entry.key: entry.value.get_secret_value() for entry in entries}
