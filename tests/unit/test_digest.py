"""core/digest.py: one value, one digest; and nothing about a value without the key."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.core import digest

KEY = bytes(range(32))

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("abc"), inner, max_size=3),
    max_leaves=8,
)


def test_the_order_of_keys_is_none_and_the_order_of_a_list_is_one() -> None:
    assert digest.keyed(KEY, {"a": 1, "b": [1, 2]}) == digest.keyed(KEY, {"b": [1, 2], "a": 1})
    assert digest.keyed(KEY, [1, 2]) != digest.keyed(KEY, [2, 1])


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (1, "1"),
        (None, ""),
        (None, "null"),
        (True, 1),
        ({"a": {}}, {"a": []}),
        ({"a": "b"}, {"a:b": ""}),
        (["ab"], ["a", "b"]),
        ("é", "e\u0301"),
        ({}, {"a": None}),
    ],
)
def test_what_differs_has_another_digest(one: Any, other: Any) -> None:
    assert digest.keyed(KEY, one) != digest.keyed(KEY, other)
    assert digest.plain(one) != digest.plain(other)


@given(json_values)
def test_a_key_decides(value: Any) -> None:
    """Nobody without the target's key can confirm a guess: neither plain SHA-256 nor another key gives the digest."""
    keyed = digest.keyed(KEY, value)
    assert len(keyed) == 64
    assert keyed == digest.keyed(KEY, value)
    assert keyed not in {digest.plain(value), digest.keyed(KEY[::-1], value), digest.keyed(b"", value)}


def test_plain_is_sha_256_of_the_canonical_json() -> None:
    assert digest.canonical({"b": "é", "a": [1, None]}) == '{"a":[1,null],"b":"é"}'.encode()
    assert digest.plain({"b": 1, "a": 2}) == hashlib.sha256(b'{"a":2,"b":1}').hexdigest()


def test_a_tree_is_its_paths_modes_and_contents() -> None:
    files = [("a", 0o644, b"1"), ("b/c", 0o755, b"2")]
    whole = digest.tree(files)
    assert digest.tree(reversed(files)) == whole
    others = [
        [("a", 0o644, b"1")],
        [("a", 0o755, b"1"), ("b/c", 0o755, b"2")],
        [("a", 0o644, b"2"), ("b/c", 0o755, b"1")],
        [("a", 0o644, b"1"), ("b/d", 0o755, b"2")],
        [("a", 0o644, b""), ("b/c", 0o755, b"12")],
        [],
    ]
    assert len({whole, *(digest.tree(other) for other in others)}) == len(others) + 1


def test_a_release_id_is_tag_and_eight_digits() -> None:
    assert digest.release_id("20260122_101500", "0123456789abcdef") == "20260122_101500-01234567"
