"""Env values: read from their one source, held to the template, written for the target.

The template (`env.template`) fixes keys and order: `KEY=` (or with a comment that starts with `required`, or with a
placeholder as its default) must have a value; `KEY=default` supplies the default where the values have no such key;
`KEY=""` may be left out or empty.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterable, Mapping
from pathlib import Path

from pydantic import SecretBytes, SecretStr

from reconciler.adapters.env.dotenv import Statement, parse_dotenv, resolve, statements
from reconciler.model.env import EnvEntry, EnvValues
from reconciler.model.errors import EnvError

MAX_BYTES = 1024 * 1024
RESERVED = {"TAG": "TAG comes from deploy.yaml's `tag:`"}
"""Keys that the reconciler sets itself, with the reason to show."""

_PLACEHOLDER = re.compile(r"<[^<>\n]*>|change[_-]?me|replace[_-]?me|fill[_-]?me([_-]?in)?", re.IGNORECASE)
_STEERS = re.compile(r"(COMPOSE|DOCKER)_.*|PATH|HOME|USER|PWD|SHELL|LANG", re.DOTALL)
_PLAIN = re.compile(r"[A-Za-z0-9_./:@%+,-]+")


def load_values(
    values_file: Path | None,
    template: str | None,
    *,
    template_file: str = "env.template",
) -> EnvValues:
    """The values of `values_file`, checked against the text of the template and completed by its defaults.

    Without a template every key is taken as it is; without a values file the template's defaults must be enough.
    Raises EnvError: one line that says where, what, and what to do; it names keys, never values.
    """
    name = str(values_file) if values_file is not None else "env.values"
    text, warnings = ("", ()) if values_file is None else _read(values_file, template_file=template_file)
    given = parse_dotenv(text, file=name)
    _refuse_twice(((entry.key, entry.line) for entry in given), file=name)
    _refuse_reserved(((entry.key, entry.line) for entry in given), file=name)
    entries = given
    if template is not None:
        entries = _complete(given, template, file=name, template_file=template_file)
    _refuse_placeholders(given, file=name)
    warnings += _warn_of_steering(entries, file=name)
    return EnvValues(entries=entries, raw=SecretBytes(_render(_pairs(entries))), warnings=warnings)


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


def _read(path: Path, *, template_file: str) -> tuple[str, tuple[str, ...]]:
    """The text of the values file and the warnings about it. Raises EnvError."""
    try:
        found = path.stat()  # before opening: opening a FIFO would wait for its writer
        if stat.S_ISDIR(found.st_mode):
            raise EnvError(f"{path}: is a directory; env.values names the file that holds the values")
        if not stat.S_ISREG(found.st_mode):
            raise EnvError(f"{path}: is not a regular file; copy the values into one")
        with path.open("rb") as file:
            raw = file.read(MAX_BYTES + 1)
    except (FileNotFoundError, NotADirectoryError):
        raise EnvError(f"{path}: no such file; copy {template_file} to {path} and fill it in") from None
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else "not a file name"
        raise EnvError(f"{path}: can't be read: {why}; make it readable for the user who deploys") from None
    if len(raw) > MAX_BYTES:
        raise EnvError(f"{path}: larger than 1 MiB; it should hold KEY=value lines only, files go by `secrets:`")
    try:
        text = raw.decode()
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise EnvError(f"{path}:{line}: not UTF-8; save the file as UTF-8") from None
    readable = os.name == "posix" and stat.S_IMODE(found.st_mode) & (stat.S_IRGRP | stat.S_IROTH)
    warning = f"{path}: others on this machine can read it (mode {stat.S_IMODE(found.st_mode):04o}); chmod 600 {path}"
    return text, (warning,) if readable else ()


def _complete(given: tuple[EnvEntry, ...], template: str, *, file: str, template_file: str) -> tuple[EnvEntry, ...]:
    """The entries in the template's order, its defaults filled in. Raises EnvError."""
    wanted = list(statements(template, file=template_file))
    _refuse_twice(((each.key, each.line) for each in wanted), file=template_file)
    _refuse_reserved(((each.key, each.line) for each in wanted), file=template_file)
    by_key = {entry.key: entry for entry in given}
    required = [each for each in wanted if _is_required(each)]
    missing = [each for each in required if each.key not in by_key]
    if missing:
        keys = ", ".join(each.key for each in missing)
        raise EnvError(f"{file}: missing {keys} ({template_file}:{missing[0].line}); add a line KEY=value for each")
    expected = {each.key for each in wanted}
    unknown = [entry for entry in given if entry.key not in expected]
    if unknown:
        keys = ", ".join(entry.key for entry in unknown)
        raise EnvError(
            f"{file}:{unknown[0].line}: not in {template_file}: {keys}; correct the spelling or add it to the template"
        )
    empty = [by_key[each.key] for each in required if not by_key[each.key].value.get_secret_value()]
    if empty:
        keys = ", ".join(entry.key for entry in empty)
        raise EnvError(f"{file}:{empty[0].line}: empty, and {template_file} requires a value: {keys}; fill it in")
    known = {entry.key: entry.value.get_secret_value() for entry in given}
    entries: list[EnvEntry] = []
    for each in wanted:
        if each.key not in by_key:
            known[each.key] = resolve(each, known, file=template_file)
        entries.append(by_key.get(each.key) or EnvEntry(each.key, SecretStr(known[each.key]), each.line))
    return tuple(entries)


def _is_required(statement: Statement) -> bool:
    if not statement.assigned or (not statement.text and not statement.quote):
        return True
    return statement.comment.lower().startswith("required") or _PLACEHOLDER.fullmatch(statement.text) is not None


def _refuse_placeholders(given: tuple[EnvEntry, ...], *, file: str) -> None:
    left = [entry for entry in given if _PLACEHOLDER.fullmatch(entry.value.get_secret_value())]
    if left:
        keys = ", ".join(entry.key for entry in left)
        raise EnvError(f"{file}:{left[0].line}: still a placeholder: {keys}; fill in the real value")


def _refuse_reserved(keys: Iterable[tuple[str, int]], *, file: str) -> None:
    for key, line in keys:
        if key in RESERVED:
            raise EnvError(f"{file}:{line}: {RESERVED[key]}; remove the line")


def _refuse_twice(keys: Iterable[tuple[str, int]], *, file: str) -> None:
    first: dict[str, int] = {}
    for key, line in keys:
        if key in first:
            raise EnvError(f"{file}:{line}: {key} stands twice (first on line {first[key]}); keep one")
        first[key] = line


def _warn_of_steering(entries: tuple[EnvEntry, ...], *, file: str) -> tuple[str, ...]:
    """Keys that Compose reads for itself, or that a shell always sets: in `${KEY}` the shell's value wins."""
    keys = [entry.key for entry in entries if _STEERS.fullmatch(entry.key)]
    if not keys:
        return ()
    return (f"{file}: {', '.join(keys)}: also read by Docker, Compose or the shell on the target; better another name",)
