"""Masking what is shown, with what is learned of values on the way."""

from __future__ import annotations

from reconciler.adapters.env.dotenv import parse_dotenv
from reconciler.model.errors import EnvError
from reconciler.telemetry.log import RedactorHolder
from reconciler.telemetry.redact import Redactor


class Mask:
    """Implements `cycle.context.Masker` over the redactor in force. `public` as in Redactor."""

    def __init__(self, holder: RedactorHolder, public: str) -> None:
        self._holder = holder
        self._public = public

    def text(self, text: str) -> str:
        return self._holder.current.text(text)

    def quoted(self, text: str) -> str:
        return self._holder.current.strict().text(text)

    def learn(self, env: bytes) -> None:
        try:
            entries = parse_dotenv(env.decode("utf-8", "replace"), file=".env on the target")
        except EnvError:
            return  # somebody edited it: what can't be parsed can't be masked key by key
        values = {entry.key: entry.value for entry in entries if entry.key != "TAG"}
        self._holder.set_redactor(Redactor(values, public=self._public))
