"""No value survives in any form, what is no value stays, and masking twice is masking once."""

from __future__ import annotations

import base64
import json
import shlex
from collections.abc import Callable
from urllib.parse import quote, quote_plus

import pytest
import yaml
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from pydantic import SecretStr

from reconciler.telemetry.redact import MASK, Redactor, is_common

ANY = st.characters(exclude_categories=["Cs"], exclude_characters="\0")
LONG = st.text(ANY, min_size=4, max_size=30).filter(lambda text: not is_common(text))
TRICKY = st.text("ab$'\"\\\n%&<é ", min_size=4, max_size=12).filter(lambda text: not is_common(text))
VALUES = st.one_of(LONG, TRICKY, st.text("abcdef0123456789", min_size=4, max_size=40))
AROUND = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=20)

ENCODERS: dict[str, Callable[[str], str]] = {
    "plain": str,
    "json": json.dumps,
    "json, unicode kept": lambda value: json.dumps(value, ensure_ascii=False),
    "json in json": lambda value: json.dumps(json.dumps(value, ensure_ascii=False), ensure_ascii=False),
    "repr": repr,
    "ascii": ascii,
    "repr of bytes": lambda value: repr(value.encode()),
    "url": lambda value: quote(value, safe=""),
    "url path": quote,
    "url form": quote_plus,
    "base64": lambda value: base64.b64encode(value.encode()).decode(),
    "base64, url": lambda value: base64.urlsafe_b64encode(value.encode()).decode(),
    "shell": shlex.quote,
    "compose": lambda value: value.replace("$", "$$"),
    "compose as json": lambda value: json.dumps(value.replace("$", "$$"), ensure_ascii=False),
    "yaml": lambda value: yaml.safe_dump({"k": value}, width=10**9, allow_unicode=True, default_style='"'),
    "yaml, ascii": lambda value: yaml.safe_dump({"k": value}, width=10**9, default_style='"'),
}


def middle(value: str, encoded: str, encode: Callable[[str], str]) -> str:
    """The part of an encoded text that differs from the encoded empty text: the value without its quotes."""
    empty = encode("")
    start = 0
    while start < len(empty) // 2 and encoded[start] == empty[start]:
        start += 1
    return encoded[start : len(encoded) - start].strip("\n") or value


@pytest.mark.parametrize("form", ENCODERS)
@given(value=VALUES, before=AROUND, after=AROUND)
@settings(max_examples=60, deadline=None)
def test_no_value_survives(form: str, value: str, before: str, after: str) -> None:
    """Whatever the encoding and the text around it."""
    encode = ENCODERS[form]
    encoded = encode(value)
    assume(value.strip() not in MASK)
    masked = Redactor({"KEY": SecretStr(value)}).text(f"{before}{encoded}{after}")
    core = middle(value, encoded, encode) if form not in ("yaml", "yaml, ascii") else encoded[4:-2]
    assert value not in masked
    assert core.rstrip("=") not in masked
    assert MASK in masked


@given(
    values=st.lists(VALUES, min_size=1, max_size=8), pieces=st.lists(st.one_of(AROUND, st.integers(0, 7)), max_size=12)
)
@settings(max_examples=200, deadline=None)
def test_none_of_many_survives_and_twice_is_once(values: list[str], pieces: list[str | int]) -> None:
    """Values that overlap, contain each other or stand side by side: none is left, and a second pass finds nothing."""
    redactor = Redactor({f"K{number}": SecretStr(value) for number, value in enumerate(values)})
    text = "".join(piece if isinstance(piece, str) else values[piece % len(values)] for piece in pieces)
    masked = redactor.text(text)
    assert not [value for value in values if value in masked and value not in MASK]
    assert redactor.text(masked) == masked


@given(
    value=st.text("0123456789", min_size=4, max_size=12).filter(lambda text: not is_common(text)),
    text=st.text("abcdefghijklmnop =:\"'\n", max_size=200),
)
def test_other_text_stays(value: str, text: str) -> None:
    """A text that shares no character with the value is left as it is."""
    assert Redactor({"KEY": SecretStr(value)}).text(text) == text


@given(
    value=st.one_of(st.text("ab1$ é", max_size=3), st.sampled_from(["true", "localhost", "INFO", "----"])),
    around=AROUND,
)
def test_common_values_twice_is_once(value: str, around: str) -> None:
    """Short and common values are masked at their key, and masking again finds nothing."""
    redactor = Redactor({"KEY": SecretStr(value)})
    masked = redactor.text(f"{around}\nKEY={value}\n{around}")
    assert redactor.text(masked) == masked
    assert masked.count(f"KEY={value}\n") == 0 or value.strip() == ""


@given(data=st.binary(max_size=60), value=LONG)
def test_bytes_pass_through(data: bytes, value: str) -> None:
    """Bytes that aren't UTF-8 come out as they went in, with the value masked between them."""
    redactor = Redactor({"KEY": SecretStr(value)})
    masked = redactor.bytes(data + b"\xff" + value.encode() + b"\xff")
    assert value.encode() not in masked
    assert redactor.bytes(masked) == masked
