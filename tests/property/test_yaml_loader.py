"""Whatever bytes a file holds: a document, or one error of ours."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.adapters.desired.load import load_deploy
from reconciler.adapters.desired.yaml_loader import parse_yaml
from reconciler.model.deploy import Deploy
from reconciler.model.errors import DesiredStateError
from reconciler.model.gates import Gates
from reconciler.model.target import Target

SYNTAX = [
    "a",
    "b: ",
    ": ",
    "- ",
    "[",
    "]",
    "{",
    "}",
    ", ",
    "\n",
    "  ",
    "\t",
    "&x ",
    "*x",
    "!t ",
    "|\n",
    ">-\n",
    "'",
    '"',
]
RARE = [
    "\\",
    "? ",
    "---\n",
    "...\n",
    "%YAML 1.2\n",
    "#",
    "<<: ",
    "~",
    "1",
    "1e5",
    "\ufeff",
    "\x85",
    "\u2028",
    "\U0001f600",
]
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
    max_leaves=20,
)
KEYS = st.sampled_from(
    [*Deploy.model_fields, *Target.model_fields, *Gates.model_fields, "apiVersion", "windows", "from"]
)
DEPLOYLIKE = st.dictionaries(
    KEYS,
    JSON | st.dictionaries(KEYS, JSON | st.dictionaries(KEYS, JSON | st.lists(st.dictionaries(KEYS, JSON)))),
    max_size=8,
)


def _outcome(content: bytes) -> dict[str, Any] | str:
    """The data, or the error's text. Any other exception fails the test."""
    try:
        return parse_yaml(content, "f").data
    except DesiredStateError as error:
        return str(error)


def _is_one_visible_line(text: str) -> bool:
    return text.isprintable() and len(text) < 400


@given(st.binary(max_size=300))
def test_any_bytes_are_a_document_or_one_line(content: bytes) -> None:
    outcome = _outcome(content)

    assert isinstance(outcome, dict) or _is_one_visible_line(outcome)


@given(st.lists(st.sampled_from(SYNTAX + RARE), max_size=60).map("".join))
def test_any_syntax_is_a_document_or_one_line(text: str) -> None:
    outcome = _outcome(text.encode())

    assert isinstance(outcome, dict) or _is_one_visible_line(outcome)


@given(DEPLOYLIKE)
def test_any_content_is_refused_in_visible_lines(tmp_path_factory: Any, data: dict[str, Any]) -> None:
    path: Path = tmp_path_factory.getbasetemp() / "deploy.yaml"
    path.write_text(json.dumps(data), encoding="utf-8")

    with pytest.raises(DesiredStateError) as caught:  # no target of it can be complete
        load_deploy(path)

    assert all(_is_one_visible_line(line) for line in str(caught.value).split("\n"))


@given(st.datetimes(min_value=datetime(1900, 1, 1)))  # noqa: DTZ001 - a tag has no time zone
def test_a_tag_stays_as_written_without_quotes(moment: datetime) -> None:
    tag = f"{moment:%Y%m%d_%H%M%S}"

    assert parse_yaml(f"tag: {tag}\n".encode(), "f").data == {"tag": tag}


@given(st.decimals(allow_nan=False, allow_infinity=False, places=3) | st.integers())
def test_numbers_keep_their_text(number: object) -> None:
    read = parse_yaml(f"n: {number}\n".encode(), "f").data["n"]

    assert (read if isinstance(read, str) else read.written) == str(number)
