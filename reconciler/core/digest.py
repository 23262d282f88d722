"""Digests. Those over values are keyed by the target's own key, so that nothing public confirms a guess (P9)."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Iterable
from typing import Any


def canonical(value: Any) -> bytes:
    """One byte string for one JSON value: sorted keys, no spaces, UTF-8."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def keyed(key: bytes, value: Any) -> str:
    """HMAC-SHA256 over a JSON value, 64 hex digits."""
    return hmac.new(key, canonical(value), hashlib.sha256).hexdigest()


def plain(value: Any) -> str:
    """SHA-256 over a JSON value, 64 hex digits: only for what holds no value of an env key."""
    return hashlib.sha256(canonical(value)).hexdigest()


def tree(entries: Iterable[tuple[str, int, bytes]]) -> str:
    """SHA-256 over files as (path, mode, bytes), whatever their order."""
    return plain([[path, mode, hashlib.sha256(data).hexdigest()] for path, mode, data in sorted(entries)])


def release_id(tag: str, digest: str) -> str:
    """`<tag>-<first 8 hex digits of the digest>`."""
    return f"{tag}-{digest[:8]}"
