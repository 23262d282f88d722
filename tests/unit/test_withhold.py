"""core/withhold.py: a model without its values, and back."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.core.env_diff import fingerprints
from reconciler.core.withhold import filled, recalled, withheld
from reconciler.model.errors import PreflightFailed

KEY = b"k" * 32
VALUES = {"DB_URL": "postgres://app:s3cr$t@db/app", "TOKEN": "abcdef", "ONE": "1", "TWIN": "abcdef", "EMPTY": ""}
MODEL: dict[str, Any] = {
    "name": "app",
    "services": {
        "web": {
            "environment": {"URL": "postgres://app:s3cr$$t@db/app", "COUNT": "1", "PRICE": "5 $$", "N": ""},
            "command": ["serve", "--token=abcdef", "--level", "10"],
            "ports": [{"target": 80, "published": "1"}],
        }
    },
}


def texts(value: Any) -> list[str]:
    if isinstance(value, dict):
        return [text for each in value.values() for text in texts(each)]
    if isinstance(value, list):
        return [text for each in value for text in texts(each)]
    return [str(value)]


def test_no_value_stays_and_filling_brings_the_same_model_back() -> None:
    stored = withheld(MODEL, VALUES)
    shown = json.dumps(stored)
    assert "s3cr" not in shown
    assert "abcdef" not in shown
    assert "1" not in texts(stored)
    assert stored["services"]["web"]["command"][3] == "10"
    assert filled(stored, VALUES) == MODEL


def test_compose_refuses_what_is_stored_and_says_why() -> None:
    """`:?` is an error in every Compose; the text is what the person reads."""
    token = withheld(MODEL, VALUES)["services"]["web"]["command"][1]
    assert token.startswith("--token=${T")
    assert ":?env.delivery is runtime" in token


def test_missing_values_are_named() -> None:
    with pytest.raises(PreflightFailed, match="DB_URL"):
        filled(withheld(MODEL, VALUES), {"TOKEN": "abcdef", "TWIN": "abcdef", "ONE": "1"})


def test_a_value_in_a_name_is_refused_by_its_key() -> None:
    with pytest.raises(PreflightFailed, match="the value of TOKEN") as caught:
        withheld({"services": {"web": {"labels": {"x.abcdef": "1"}}}}, {"TOKEN": "abcdef"})
    assert "abcdef" not in str(caught.value)


def test_what_a_container_has_is_taken_only_where_it_is_confirmed() -> None:
    model = withheld(
        {"services": {"web": {"environment": {"URL": "http://me:abcdef@h/?$$x", "T": "abcdef", "OLD": "zzzzzz"}}}},
        {"TOKEN": "abcdef", "OLD": "zzzzzz"},
    )
    running = {"web": [{"URL": "http://me:abcdef@h/?$x", "T": "abcdef", "OLD": "somebody's"}]}
    known = fingerprints(KEY, {"TOKEN": "abcdef", "OLD": "zzzzzz"})
    assert recalled(model, running, key=KEY, known=known) == {"TOKEN": "abcdef"}
    assert recalled(model, running, key=b"x" * 32, known=known) == {}
    assert recalled(model, {}, key=KEY, known=known) == {}


SCALARS = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=12)


@given(
    st.dictionaries(st.from_regex(r"[A-Z][A-Z0-9_]{0,5}", fullmatch=True), SCALARS, max_size=6),
    st.lists(SCALARS, max_size=4),
)
def test_any_values_in_any_text_come_back(values: dict[str, str], around: list[str]) -> None:
    joined = ["".join([*around[:1], value, *around[1:]]).replace("$", "$$") for value in values.values()]
    model = {"services": {"s": {"command": joined, "environment": {f"K{n}": text for n, text in enumerate(joined)}}}}
    stored = withheld(model, values)
    assert filled(stored, values) == model
    for value in values.values():
        if len(value.replace("$", "$$")) >= 4:
            assert not any(value.replace("$", "$$") in rest for rest in _without_places(stored))


def _without_places(model: Any) -> list[str]:
    import re

    return [part for text in texts(model) for part in re.split(r"\$\{\w+:\?[^}]*\}", text)]
