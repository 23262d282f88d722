"""What counts as drift of our own files, and what puts it back: the judgement alone."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import pytest

from reconciler.core import file_layout
from reconciler.core.file_audit import findings, left_over
from reconciler.model.audit import (
    Action,
    Entry,
    EnvPair,
    FileAudit,
    Kind,
    Relink,
    Reseal,
    Restore,
    Sealed,
    SetAside,
    SetMode,
    StateCopies,
    printable,
)
from reconciler.model.drift import Drift
from reconciler.model.observed import HostView
from reconciler.model.stored import Past, Phase, TargetState

NOW = datetime(2026, 1, 1, tzinfo=UTC)
PROVED = Past(tag="t", switched_at=NOW, verified_at=NOW)
SEALS = {"old": "s-old", "new": "s-new"}
SHARED = ".reconciler/files/f/app.conf"
STATE = TargetState(
    app="a",
    project="a",
    serving="new",
    previous="old",
    phase=Phase.STABLE,
    releases={"old": PROVED, "new": PROVED.model_copy(update={"verified_at": datetime(2026, 1, 2, tzinfo=UTC)})},
    seals=SEALS,
)
LINKS = {
    "current": "releases/new",
    "last_good": "releases/new",
    "compose.yaml": "current/compose.yaml",
    ".env": "current/.env",
}
TOP = (
    *(Entry(name, Kind.LINK, 0o777, 0, 1, 0) for name in LINKS),
    Entry("last_good_tag", Kind.FILE, 0o444, 0, 2, 0),
    Entry(".reconciler", Kind.DIRECTORY, 0o755, 0, 1, 0),
    Entry("releases", Kind.DIRECTORY, 0o755, 0, 1, 0),
)


def line(path: str, release: str = "new") -> Sealed:
    return Sealed(release, path, 0o444, 1, "aa")


def entry(path: str, **changes: Any) -> Entry:
    values: dict[str, Any] = {"kind": Kind.FILE, "mode": 0o444, "uid": 0, "size": 1, "changed_at": 0, "sha256": "aa"}
    return Entry(path, **{**values, **changes})


def view(
    *,
    state: TargetState = STATE,
    found: tuple[Entry, ...] = (),
    expected: tuple[Sealed, ...] = (),
    seals: Mapping[str, str] = SEALS,
    releases: tuple[str, ...] = ("new", "old"),
    sealed: tuple[str, ...] = (),
    **audit: Any,
) -> HostView:
    values: dict[str, Any] = {
        "top": TOP,
        "links": LINKS,
        "last_good_tag": "t",
        "seals": seals,
        "contradicting": found,
        "expected": expected,
        **audit,
    }
    seen = FileAudit("/srv/app", ("logs", "archives/data"), **values)
    return HostView(ours=True, key=b"k" * 32, state=state, releases=releases, audit=seen, sealed=sealed)


def told(seen: HostView) -> list[tuple[str, Action | None]]:
    return [(each.drift.object, each.action) for each in findings(seen)]


def test_what_matches_is_no_drift() -> None:
    assert findings(view()) == ()


def test_before_anything_serves_nothing_is_expected() -> None:
    assert findings(HostView(ours=False)) == ()


def test_a_file_is_put_back_from_a_release_whose_sealed_copy_is_whole() -> None:
    both = (line(SHARED, "new"), line(SHARED, "old"))
    changed = entry(SHARED, sha256="bb")
    assert told(view(found=(changed,), expected=both)) == [(SHARED, Restore(SHARED, 0o444, "new", "s-new"))]
    tar = entry(".reconciler/sealed/new.tar", sha256="bb")
    other = (line(tar.path, "new"), *both)
    assert told(view(found=(changed, tar), expected=other)) == [
        (SHARED, Restore(SHARED, 0o444, "old", "s-old")),
        (tar.path, Reseal("new", "s-new")),
    ]


@pytest.mark.parametrize(
    ("changes", "found", "action"),
    [
        ({"mode": 0o644}, "mode 0644", SetMode(SHARED, 0o444)),
        ({"mode": 0o4444}, "mode 4444", SetMode(SHARED, 0o444)),
        ({"uid": 7}, "owner 7", Restore(SHARED, 0o444, "new", "s-new")),
        ({"sha256": "bb"}, "other content", Restore(SHARED, 0o444, "new", "s-new")),
        ({"sha256": ""}, "content that can't be read", Restore(SHARED, 0o444, "new", "s-new")),
        ({"sha256": None, "size": 9}, "other content", Restore(SHARED, 0o444, "new", "s-new")),
        ({"kind": Kind.LINK, "mode": 0o777, "sha256": None}, "a link", Restore(SHARED, 0o444, "new", "s-new")),
        ({"mode": 0o600, "sha256": "bb"}, "other content, mode 0600", Restore(SHARED, 0o444, "new", "s-new")),
    ],
)
def test_the_least_that_puts_it_back(changes: dict[str, Any], found: str, action: Action) -> None:
    (finding,) = findings(view(found=(entry(SHARED, **changes),), expected=(line(SHARED),)))
    assert (finding.drift.found, finding.action) == (found, action)


def test_what_is_gone_is_put_back_unless_it_may_only_be_out_of_sight() -> None:
    path = f"{SHARED}/deep"
    assert told(view(expected=(line(path),))) == [(path, Restore(path, 0o444, "new", "s-new"))]
    closed = entry(SHARED, kind=Kind.DIRECTORY, mode=0o000, sha256=None)
    directory = Sealed("new", SHARED, 0o555, None, None)
    assert told(view(found=(closed,), expected=(directory, line(path)))) == [(SHARED, SetMode(SHARED, 0o555))]


@pytest.mark.parametrize("seals", [{"old": "s-old"}, {"old": "s-old", "new": "forged"}])
def test_a_seal_that_is_not_the_one_known_proves_nothing(seals: Mapping[str, str]) -> None:
    """Nothing is expected by it, and what it might have explained isn't called foreign."""
    unexplained = (entry("releases/new/.env"), entry(".reconciler/files/g", kind=Kind.DIRECTORY))
    contradicted = (entry("releases/new/compose.yaml", sha256="bb"),)
    seen = view(found=(*unexplained, *contradicted), expected=(line("releases/new/compose.yaml"),), seals=seals)
    assert told(seen) == [(".reconciler/sealed/new.seal", Reseal("new", "s-new"))]


def test_a_release_that_a_dead_pass_pruned_by_half_is_no_drift() -> None:
    releases = {**STATE.releases, "gone": Past(tag="t", switched_at=NOW)}
    state = STATE.model_copy(update={"seals": {**SEALS, "gone": "s"}, "releases": releases})
    assert told(view(state=state, releases=("new", "old", "gone"), found=(entry("releases/gone/.env"),))) == []
    assert told(view(state=state)) == []


def test_a_release_that_a_dead_pass_installed_is_no_drift_and_its_sealed_copy_is_found() -> None:
    expected = (line("releases/next/.env", "next"),)
    seen = view(seals={**SEALS, "next": "s"}, expected=expected, sealed=("next.seal", "next.tar", "key"))
    assert told(seen) == []
    assert left_over(seen, STATE) == ("next",)


def test_what_nobody_brought_is_set_aside() -> None:
    strangers = (entry("releases/x", kind=Kind.DIRECTORY), entry(".reconciler/files/x"), entry(".reconciler/sealed/x"))
    top = (*TOP, entry("y"), entry("logs"), entry("archives"), entry("archives/data"), entry("archives/z"))
    assert told(view(found=strangers, top=top)) == [
        (path, SetAside(path))
        for path in sorted(["releases/x", ".reconciler/files/x", ".reconciler/sealed/x", "y", "archives/z"])
    ]


def test_values_are_told_by_fingerprint_alone() -> None:
    path = "releases/new/.env"
    pair = EnvPair({"A": "secret-1", "B": "same"}, {"A": "secret-2", "B": "same", "C": "secret-3"})
    seen = view(found=(entry(path, sha256="bb"),), expected=(line(path),), envs={"new": pair})
    found = findings(seen)
    assert [(each.drift.vector.value, each.drift.object) for each in found] == [("env", "A"), ("env", "C")]
    assert "secret" not in repr([each.drift for each in found])
    assert "secret" not in repr(seen)


def test_links_are_not_judged_between_the_state_and_the_links() -> None:
    wrong = {**LINKS, "current": "releases/old"}
    assert told(view(links=wrong)) == [("current", Relink("new", None, None))]
    for phase in (None, Phase.REVERTING):
        assert told(view(links=wrong, state=STATE.model_copy(update={"phase": phase}))) == []


def test_what_could_not_be_looked_at_is_unknown() -> None:
    (finding,) = findings(view(unsure="no stat here", expected=(line(SHARED),)))
    assert finding.drift == Drift(
        finding.drift.vector, ".", "files that can be looked at", "unknown", why_not="no stat here"
    )
    assert findings(view(cut=3))[0].drift.found == "3 more differences"


@pytest.mark.parametrize(("copies", "count"), [(StateCopies(), 0), (StateCopies(key_lost=True), 1)])
def test_a_lost_key_is_drift(copies: StateCopies, count: int) -> None:
    seen = view()
    assert len(findings(HostView(ours=True, state=seen.state, copies=copies))) == count


def test_a_name_is_shown_in_one_line() -> None:
    assert printable("a\nb\x1b[0m\udcff é") == "a\\nb\\x1b[0m\\udcff é"


@pytest.mark.parametrize(
    "path", ["x", ".reconciler/x", "archives/x", ".reconciler/state.json.bak", "compose.override.yaml"]
)
def test_a_name_that_nobody_knows_is_foreign(path: str) -> None:
    assert file_layout.rule(path, ("archives/data",)) is file_layout.Rule.FOREIGN
