"""Text in deploy.yaml: free text, names, and addresses. Numbers keep the text that they were written as."""

from __future__ import annotations

import re
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, WithJsonSchema

from reconciler.model.base import as_written, refused, wrong

_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_CONTROL_IN_TEXT = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")
_HOST_AND_PORT = re.compile(r"(?:[A-Za-z0-9][A-Za-z0-9._-]*|\[[0-9A-Fa-f:.]+\]):(\d{1,5})", re.ASCII)
_URL = re.compile(
    r"https?://(?P<login>[^/?#\s@]*@)?(?:[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(?::(\d{1,5}))?(?:[/?#]\S*)?", re.ASCII
)


def _text(value: str) -> str:
    if not value.strip():
        raise refused("is empty", "fill it, or leave it out")
    if found := _CONTROL_IN_TEXT.search(value):
        raise refused(f"holds the control character U+{ord(found[0]):04X}")
    return value


def check_line(value: str) -> str:
    """Accepts one line of visible text. Raises a pydantic error otherwise."""
    if not value.strip():
        raise refused("is empty", "fill it, or leave it out")
    if found := _CONTROL.search(value):
        raise refused(f"holds the control character U+{ord(found[0]):04X}", "it has to be one line of plain text")
    return value


def _argument(value: str) -> str:
    if "\0" in value:
        raise refused("holds the control character U+0000")
    return value


def _port_ok(port: str | None) -> bool:
    return port is None or 1 <= int(port) <= 65535


def _host_and_port(value: str) -> str:
    parts = _HOST_AND_PORT.fullmatch(value)
    if parts is None or not _port_ok(parts[1]):
        raise wrong("`host:port`", "such as `db.internal:5432`")
    return value


def _url(value: str) -> str:
    parts = _URL.fullmatch(value)
    if parts and parts["login"]:
        raise refused("holds a user name or a password", "those don't belong in deploy.yaml")
    if parts is None or not _port_ok(parts[2]):
        raise wrong("an http:// or https:// address", "such as `http://127.0.0.1:8000/healthz`")
    return value


def _name(pattern: str, hint: str) -> Any:
    def check(value: str) -> str:
        if len(value) > 63 or not re.fullmatch(pattern, value):
            raise wrong("a name", hint)
        return value

    return AfterValidator(check)


_AS_WRITTEN = BeforeValidator(as_written)
_COMPOSE_NAME = r"[a-z0-9][a-z0-9_-]*"
_PLAIN_NAME = r"[A-Za-z0-9][A-Za-z0-9._-]*"
_VARIABLE = r"[A-Za-z_][A-Za-z0-9_]*"

Text = Annotated[str, _AS_WRITTEN, AfterValidator(_text), WithJsonSchema({"type": "string", "minLength": 1})]
"""Text that isn't blank; it may have several lines."""

Line = Annotated[str, _AS_WRITTEN, AfterValidator(check_line), WithJsonSchema({"type": "string", "minLength": 1})]
"""One line of text that isn't blank, without control characters."""

Argument = Annotated[str, _AS_WRITTEN, AfterValidator(_argument)]
"""One argument of a command: any text, also empty; no shell reads it."""

ComposeName = Annotated[
    str,
    _AS_WRITTEN,
    _name(_COMPOSE_NAME, "lower-case letters, digits, `-` and `_`, at most 63, the first a letter or a digit"),
    WithJsonSchema({"type": "string", "pattern": f"^{_COMPOSE_NAME}$", "maxLength": 63}),
]
"""A Compose project name. Source: the Compose specification, "name"."""

PlainName = Annotated[
    str,
    _AS_WRITTEN,
    _name(_PLAIN_NAME, "letters, digits, `.`, `-` and `_`, at most 63, the first a letter or a digit"),
    WithJsonSchema({"type": "string", "pattern": f"^{_PLAIN_NAME}$", "maxLength": 63}),
]
"""The name of a target, a gate or a service: safe in a file name and as a metric's label."""

VariableName = Annotated[
    str,
    _AS_WRITTEN,
    _name(_VARIABLE, "letters, digits and `_`, the first not a digit"),
    WithJsonSchema({"type": "string", "pattern": f"^{_VARIABLE}$", "maxLength": 63}),
]
"""The name of an environment variable."""

HostAndPort = Annotated[str, _AS_WRITTEN, AfterValidator(_host_and_port)]
"""`host:port`; an IPv6 address in brackets."""

HttpUrl = Annotated[str, _AS_WRITTEN, AfterValidator(_url), WithJsonSchema({"type": "string", "pattern": "^https?://"})]
"""An http:// or https:// address without a login in it."""
