"""Env values: held to the template, written for the target.

The template (`env.template`) fixes keys and order: `KEY=` (or with a comment that starts with `required`, or with a
placeholder as its default) must have a value; `KEY=default` supplies the default where the values have no such key;
`KEY=""` may be left out or empty. What its annotations ask of a value: `adapters.env.template`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from pydantic import SecretBytes, SecretStr

from reconciler.adapters.env.dotenv import parse_dotenv, resolve
from reconciler.adapters.env.template import Template, contract_of
from reconciler.adapters.env.written import Written, read_plain
from reconciler.model.env import EnvEntry, EnvValues, shown_key
from reconciler.model.env_contract import RESERVED, is_placeholder, steers_compose
from reconciler.model.errors import EnvError

_PLAIN = re.compile(r"[A-Za-z0-9_./:@%+,-]+")


def load_values(
    values_file: Path | None,
    template: str | None,
    *,
    template_file: str = "env.template",
) -> EnvValues:
    """The values of the plain file `values_file`, as `checked_values` gives them. Raises EnvError.

    Without a values file the template's defaults must be enough.
    """
    written = Written("env.values", "")
    if values_file is not None:
        written = read_plain(values_file, hint=f"copy {template_file} to {values_file} and fill it in")
    return checked_values(written, template, template_file=template_file)


def checked_values(written: Written, template: str | None, *, template_file: str = "env.template") -> EnvValues:
    """The values, checked against the text of the template and completed by its defaults.

    Without a template every key is taken as it is. Raises EnvError: one line that says where, what, and what to do; it
    names keys, never values.
    """
    name = written.name
    given = parse_dotenv(written.text, file=name)
    _refuse_twice(given, file=name)
    for entry in given:
        if entry.key in RESERVED:
            raise EnvError(f"{name}:{entry.line}: {RESERVED[entry.key]}; remove the line")
    held = contract_of(template, file=template_file) if template is not None else None
    entries = _complete(given, held, file=name) if held else given
    _refuse_placeholders(given, file=name)
    if held:
        _refuse_wrong_types(entries, given, held, file=name)
    return EnvValues(
        entries=entries,
        raw=SecretBytes(_render(_pairs(entries))),
        warnings=written.warnings + _warn_of_steering(entries, file=name),
        public=held.contract.public_keys() if held else frozenset(),
    )


def render_env(values: EnvValues, extra: Mapping[str, str]) -> bytes:
    """The dotenv file to deliver, `extra` (TAG) last: Compose reads every value back byte for byte, both by
    `--env-file` and by `env_file:`, and nothing in it is interpolated.

    Raises EnvError for a key that is in both, or a value with a NUL or without a UTF-8 form.
    """
    both = [key for key in extra if values.get(key) is not None]
    if both:
        raise EnvError(f"env values: {', '.join(both)}: set by deploy.yaml; remove it from the values")
    return _render(_pairs(values.entries) + list(extra.items()))


def quote(value: str) -> str:
    """`value` as a dotenv file holds it: bare where nothing could misread it, else in single or double quotes."""
    if _PLAIN.fullmatch(value):
        return value
    if "'" not in value and "\\" not in value:
        return f"'{value}'"
    escaped = value.replace("\\", "\\\\").replace('"', '\\"').replace("$", "\\$")
    return f'"{escaped}"'


def _pairs(entries: Iterable[EnvEntry]) -> list[tuple[str, str]]:
    return [(entry.key, entry.value.get_secret_value()) for entry in entries]


def _render(pairs: Iterable[tuple[str, str]]) -> bytes:
    lines: list[str] = []
    for key, value in pairs:
        if "\0" in value:
            raise EnvError(f"env values: {key}: a value can't hold a NUL")
        lines.append(f"{key}={quote(value)}\n")
    try:
        return "".join(lines).encode()
    except UnicodeEncodeError:
        raise EnvError("env values: a value has no UTF-8 form (a lone surrogate)") from None


def _complete(given: tuple[EnvEntry, ...], template: Template, *, file: str) -> tuple[EnvEntry, ...]:
    """The entries in the template's order, its defaults filled in. Raises EnvError."""
    contract = template.contract
    by_key = {entry.key: entry for entry in given}
    required = [each for each in contract.declarations if each.is_required]
    missing = [each for each in required if each.key not in by_key]
    if missing:
        keys = ", ".join(each.key for each in missing)
        raise EnvError(f"{file}: missing {keys} ({contract.file}:{missing[0].line}); add a line KEY=value for each")
    expected = {each.key for each in contract.declarations}
    unknown = [entry for entry in given if entry.key not in expected]
    if unknown:
        keys = ", ".join(shown_key(entry) for entry in unknown)
        raise EnvError(
            f"{file}:{unknown[0].line}: not in {contract.file}: {keys}; correct the spelling or add it to the template"
        )
    empty = [by_key[each.key] for each in required if not by_key[each.key].value.get_secret_value()]
    if empty:
        keys = ", ".join(entry.key for entry in empty)
        raise EnvError(f"{file}:{empty[0].line}: empty, and {contract.file} requires a value: {keys}; fill it in")
    known = {entry.key: entry.value.get_secret_value() for entry in given}
    entries: list[EnvEntry] = []
    for each in template.statements:
        if each.key not in by_key:
            known[each.key] = resolve(each, known, file=contract.file)
        entries.append(by_key.get(each.key) or EnvEntry(each.key, SecretStr(known[each.key]), each.line))
    return tuple(entries)


def _refuse_wrong_types(
    entries: tuple[EnvEntry, ...], given: tuple[EnvEntry, ...], template: Template, *, file: str
) -> None:
    written = {entry.key for entry in given}
    # The entries are one for each declaration, in its order.
    for entry, declaration in zip(entries, template.contract.declarations, strict=True):
        if wanted := declaration.wanted(entry.value.get_secret_value()):
            place = f"{file}:{entry.line}" if entry.key in written else f"{template.contract.file}:{entry.line}"
            raise EnvError(
                f"{place}: {entry.key} should be {wanted} ({template.contract.file}:{declaration.line}); correct it"
            )


def _refuse_placeholders(given: tuple[EnvEntry, ...], *, file: str) -> None:
    left = [entry for entry in given if is_placeholder(entry.value.get_secret_value())]
    if left:
        keys = ", ".join(entry.key for entry in left)
        raise EnvError(f"{file}:{left[0].line}: still a placeholder: {keys}; fill in the real value")


def _refuse_twice(entries: Iterable[EnvEntry], *, file: str) -> None:
    first: dict[str, int] = {}
    for entry in entries:
        if entry.key in first:
            raise EnvError(
                f"{file}:{entry.line}: {shown_key(entry)} stands twice (first on line {first[entry.key]}); keep one"
            )
        first[entry.key] = entry.line


def _warn_of_steering(entries: tuple[EnvEntry, ...], *, file: str) -> tuple[str, ...]:
    """Keys that Compose reads for itself, or that a shell always sets: in `${KEY}` the shell's value wins."""
    keys = [entry.key for entry in entries if steers_compose(entry.key)]
    if not keys:
        return ()
    return (f"{file}: {', '.join(keys)}: also read by Docker, Compose or the shell on the target; better another name",)
