"""The forms in which a value can come back to us: what Compose, Go, JSON, YAML, shells, URLs and Python make of it."""

from __future__ import annotations

import re

STABLE_BASE64 = 8
"""Characters that the part of a base64 text must have which further bytes after the value don't change."""

_GO_ESCAPES = {"\a": "\\a", "\b": "\\b", "\f": "\\f", "\n": "\\n", "\r": "\\r", "\t": "\\t", "\v": "\\v"}
_JSON_OF_GO = str.maketrans({"<": "\\u003c", ">": "\\u003e", "&": "\\u0026", "\u2028": "\\u2028", "\u2029": "\\u2029"})
_CUT = "\u2028\u2029\ufeff"  # what YAML would take for a line's end or a mark
_YAML_ESCAPES = {
    **_GO_ESCAPES,
    "\x1b": "\\e",
    "\0": "\\0",
    "\x85": "\\N",
    "\xa0": "\\_",
    "\u2028": "\\L",
    "\u2029": "\\P",
}


def forms(value: str) -> set[str]:
    """`value` and its encodings, each as it stands inside a longer text (without the quotes around it)."""
    carried = {value, value.replace("$", "$$"), value.replace("'", "'\"'\"'"), value.replace("'", "'\\''")}
    found: set[str] = set(carried)
    for each in carried:
        found |= _escaped(each)
    found |= {_json(each) for each in (_json(value), _json_of_go(value))}  # JSON text as a string in JSON
    return found | _url(value) | _base64(value)


def _escaped(value: str) -> set[str]:
    import html

    python = {repr(value)[1:-1], ascii(value)[1:-1], repr(value.encode(errors="surrogatepass"))[2:-1]}
    python |= {form.replace("\\'", "'") for form in python} | {re.sub(r"(?<!\\)'", r"\\'", form) for form in python}
    return {
        _json(value),
        _json(value, ascii_only=True),
        _json_of_go(value),
        _go(value, ascii_only=False),
        _go(value, ascii_only=True),
        _yaml(value, ascii_only=False),
        _yaml(value, ascii_only=True),
        value.replace("'", "''"),
        value.replace('"', '\\"'),
        html.escape(value),
        html.escape(value, quote=False),
        *python,
    }


def _json(value: str, *, ascii_only: bool = False) -> str:
    import json

    return json.dumps(value, ensure_ascii=ascii_only)[1:-1]


def _json_of_go(value: str) -> str:
    return _json(value).translate(_JSON_OF_GO)


def _go(value: str, *, ascii_only: bool) -> str:
    """Go's %q and %+q."""
    return "".join(
        _numbered(character, _GO_ESCAPES, kept=character.isprintable() and (character.isascii() or not ascii_only))
        for character in value
    )


def _yaml(value: str, *, ascii_only: bool) -> str:
    """YAML in double quotes on one line as PyYAML writes it, without or with allow_unicode."""
    found: list[str] = []
    for character in value:
        kept = " " <= character <= "~" or (not ascii_only and "\xa0" <= character <= "\ufffd" and character not in _CUT)
        found.append(_numbered(character, _YAML_ESCAPES, kept=kept, upper=True))
    return "".join(found)


def _numbered(character: str, named: dict[str, str], *, kept: bool, upper: bool = False) -> str:
    if character in '"\\':
        return "\\" + character
    if kept:
        return character
    if character in named:
        return named[character]
    code = ord(character)
    letters = "X" if upper else "x"
    if code < (0x100 if upper else 0x80):
        return f"\\x{code:02{letters}}"
    return f"\\u{code:04{letters}}" if code < 0x10000 else f"\\U{code:08{letters}}"


def _url(value: str) -> set[str]:
    from urllib.parse import quote, quote_plus

    raw = value.encode(errors="surrogatepass")
    found = {quote(raw, safe=""), quote(raw), quote_plus(raw), quote(raw, safe="!$&'()*+,;=:@/?-._~")}
    return found | {re.sub("%[0-9A-F]{2}", lambda match: match.group().lower(), form) for form in found}


def _base64(value: str) -> set[str]:
    """Base64 of the whole value: without padding, and the part that stays when something (a newline) follows it."""
    import base64

    raw = value.encode(errors="surrogatepass")
    found = {encode(raw).decode().rstrip("=") for encode in (base64.b64encode, base64.urlsafe_b64encode)}
    stable = len(raw) // 3 * 4
    return found | {form[:stable] for form in found if stable >= STABLE_BASE64}
