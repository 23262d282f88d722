"""Env values as the rest of the program sees them: keys in the open, values behind pydantic's secrets."""

from __future__ import annotations

from dataclasses import field

from pydantic import SecretBytes, SecretStr

from reconciler.dataclass import dataclass


@dataclass(frozen=True, slots=True)
class EnvEntry:
    """One key of an env file. `line` counts from 1; a default that a template supplied has the template's line."""

    key: str
    value: SecretStr
    line: int


def shown_key(entry: EnvEntry) -> str:
    """The key for a message about a key that nobody declared; not where the line may be a piece of a value.

    (The lines of a key file that was pasted without quotes end in `=` or `==`: the "key" is the secret.)
    """
    return entry.key if entry.value.get_secret_value().strip("=") else f"the key on line {entry.line}"


@dataclass(frozen=True, slots=True)
class EnvValues:
    """A complete, checked set of env values, in the order in which they are delivered.

    `raw` is the canonical dotenv file of the entries (`adapters.env.values.render_env`), without what deploy.yaml adds
    (TAG). `warnings` are whole sentences for a person; they name keys and files, never values. `public` are the keys
    that the template marks so: their values are masked only where they stand as their key's value.
    """

    entries: tuple[EnvEntry, ...] = ()
    raw: SecretBytes = field(default=SecretBytes(b""), repr=False)
    warnings: tuple[str, ...] = ()
    public: frozenset[str] = frozenset()

    def keys(self) -> tuple[str, ...]:
        """The keys, in the order of delivery."""
        return tuple(entry.key for entry in self.entries)

    def get(self, key: str) -> SecretStr | None:
        """The value of `key`; None where there is no such key."""
        return next((entry.value for entry in self.entries if entry.key == key), None)

    def secrets(self) -> dict[str, SecretStr]:
        """Key to value, as `telemetry.redact.Redactor` takes it."""
        return {entry.key: entry.value for entry in self.entries}
