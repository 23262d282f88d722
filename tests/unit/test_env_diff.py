"""Comparing env values by keyed fingerprints: what is told, and what can't be told from it."""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from reconciler.adapters.env.mask import values_in
from reconciler.core.env_diff import Change, Comparison, compare, fingerprints
from reconciler.cycle.env_diff import env_diff
from reconciler.model.env import EnvEntry, EnvValues
from reconciler.model.errors import NotOurs, TargetUnfit
from reconciler.model.observed import HostView
from reconciler.model.stored import Manifest

KEY = b"k" * 32
CANARY = "hunter2hunter2"
VALUES = st.dictionaries(st.sampled_from("ABCDEF"), st.text(max_size=4), max_size=6)


@given(local=VALUES, target=VALUES)
def test_every_difference_is_told_and_nothing_else(local: dict[str, str], target: dict[str, str]) -> None:
    """Judged from the values themselves."""
    found = compare(fingerprints(KEY, local), fingerprints(KEY, target))
    told = {each.key: each.change for each in found.changes}
    expected = dict.fromkeys(local.keys() - target.keys(), Change.ADDED)
    expected |= dict.fromkeys(target.keys() - local.keys(), Change.REMOVED)
    expected |= {key: Change.CHANGED for key in local.keys() & target.keys() if local[key] != target[key]}
    assert told == expected
    assert found.same == sum(local[key] == target[key] for key in local.keys() & target.keys())


def test_fingerprints_are_short_and_keyed() -> None:
    """Two people who look at one target see the same; another target's key, or none, tells nothing."""
    (mine,) = fingerprints(KEY, {"A": CANARY}).values()
    assert fingerprints(KEY, {"A": CANARY})["A"] == mine
    assert len(mine) == 8
    assert int(mine, 16) >= 0
    assert fingerprints(b"o" * 32, {"A": CANARY})["A"] != mine
    assert fingerprints(KEY, {"B": CANARY})["B"] != mine, "nor that two keys hold the same value"
    plain = [algorithm(CANARY.encode()).hexdigest()[:8] for algorithm in (hashlib.sha256, hashlib.sha1, hashlib.md5)]
    assert mine not in [*plain, hmac.new(b"", CANARY.encode(), "sha256").hexdigest()[:8]]
    assert fingerprints(KEY, {"TAG": "20260122_101500"}) == {}


@dataclass
class Context:
    """What `env_diff` asks for, and what was given to the masks."""

    view: HostView
    values: dict[str, str]
    name: str = "prod"
    learnt: list[bytes] = field(default_factory=list)

    @property
    def env(self) -> EnvValues:
        return EnvValues(tuple(EnvEntry(key, SecretStr(value), 1) for key, value in self.values.items()))

    @property
    def host(self) -> Any:
        return type("Host", (), {"observe": lambda _self: self.view})()

    @property
    def mask(self) -> Any:
        return type("Mask", (), {"learn": lambda _self, env: self.learnt.append(env)})()

    @property
    def target(self) -> Any:
        return type("Target", (), {"deploy_dir": "/srv/app"})()


def diff(view: HostView, values: dict[str, str]) -> tuple[Comparison, str]:
    context = Context(view, values)
    found = env_diff(cast("Any", context), values_in)
    assert context.learnt == [view.env], "the values of the target are masked from then on"
    assert found.is_equal is (found.comparison.changes == ())
    return found.comparison, found.note


def test_against_the_release_that_serves() -> None:
    env = f"A=1\nB={CANARY}\nC='x y'\nTAG=20260122_101500\n".encode()
    comparison, note = diff(HostView(ours=True, key=KEY, current="r", env=env), {"A": "1", "C": "x  y", "D": ""})
    assert [(each.key, each.change) for each in comparison.changes] == [
        ("B", Change.REMOVED),
        ("C", Change.CHANGED),
        ("D", Change.ADDED),
    ]
    assert (comparison.same, note) == (1, "")
    assert CANARY not in repr(comparison)


def test_against_values_that_are_not_on_the_targets_disk() -> None:
    """`env.delivery: runtime`: the manifest has the fingerprints that the values had."""
    manifest = Manifest(
        release="r",
        tag="t",
        app="a",
        project="p",
        digest="d",
        public_digest="d",
        created_at=datetime(2026, 1, 22, tzinfo=UTC),
        services={},
        runtime=True,
        fingerprints=fingerprints(KEY, {"A": "1", "B": CANARY}),
    )
    view = HostView(ours=True, key=KEY, current="r", manifest=manifest)
    comparison, _ = diff(view, {"A": "1", "B": "another"})
    assert [(each.key, each.change) for each in comparison.changes] == [("B", Change.CHANGED)]
    assert comparison.same == 1


def test_before_anything_was_deployed_there_is_no_key() -> None:
    """No fingerprint without one, rather than an unkeyed hash."""
    comparison, note = diff(HostView(ours=False), {"B": CANARY, "A": "1"})
    assert [(each.key, each.local, each.target) for each in comparison.changes] == [
        ("A", None, None),
        ("B", None, None),
    ]
    assert note.startswith("the target has no key yet")
    comparison, note = diff(HostView(ours=True, key=KEY), {"A": "1"})
    assert comparison.changes[0].local is not None
    assert note == "no release serves on the target"


def test_what_cannot_be_compared_is_said() -> None:
    with pytest.raises(NotOurs, match=r"prod: /srv/app has something that isn't ours \(compose.yaml\)"):
        diff(HostView(ours=False, foreign=("compose.yaml",)), {})
    with pytest.raises(TargetUnfit, match=r"prod: the \.env of release r can't be read"):
        diff(HostView(ours=True, key=KEY, current="r", env=b"A='\n"), {})
