"""What looking and putting back do beyond the table of changes: what they may not do, and what they can't."""

from __future__ import annotations

import hashlib
import os
import shutil
import stat
import time
from dataclasses import replace
from pathlib import Path

import pytest

from reconciler.adapters.host import archive, seal
from reconciler.adapters.transport.local import LocalTransport
from reconciler.core.file_audit import findings, strangers, unsealed
from reconciler.model.audit import Action, Copy, Restore, SetAside, SetMode
from reconciler.model.errors import PreflightFailed
from tests.integration.by_hand import CONFS, SINGLE
from tests.integration.placed import (
    NEW,
    NOBODY,
    OLD,
    Place,
    Prefixed,
    as_user,
    bundle,
    deployed,
    open_directory,
    wrapped,
)


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return deployed(Place(tmp_path / "app", LocalTransport()))


def names(place: Place) -> list[str]:
    return [finding.drift.object for finding in place.look()]


def settled(place: Place) -> None:
    """Until no file is so young that another change of it could look the same."""
    deadline = time.monotonic() + 20
    while "\nracy " in (place.own / "inventory").read_text():
        assert time.monotonic() < deadline
        time.sleep(0.2)
        place.look()


def test_a_file_that_did_not_change_is_not_read_again_for_a_day(place: Place, tmp_path: Path) -> None:
    settled(place)
    log = tmp_path / "read"
    seen = wrapped(
        place,
        tmp_path / "bin",
        f'if [ $name = sha256sum ] && [ $# -gt 0 ]; then printf "%s\\n" "$@" >>{log}; fi; exec $real "$@"',
    )
    assert seen.look() == ()
    assert not log.exists(), "nothing was read"
    (place.dir / SINGLE).chmod(0o600)
    (place.dir / SINGLE).write_bytes(b"sINGLE\n")
    assert names(seen) == [SINGLE]
    assert log.read_text().splitlines() == [f".//{SINGLE}"]
    place.heal()
    settled(place)
    log.unlink()

    inventory = place.own / "inventory"
    head, _, rest = inventory.read_text().partition("\n")
    inventory.write_text(f"{int(head.split()[0]) - 86_401} clean\n{rest}")
    assert seen.look() == ()
    assert len(log.read_text().splitlines()) == sum(path.is_file() for path in releases_and_stores(place))


def releases_and_stores(place: Place) -> list[Path]:
    roots = [place.dir / "releases", place.own / "files", place.own / "sealed"]
    odd = {path for path in (place.own / "files").rglob("*") if "\n" in path.name}
    return [path for root in roots for path in root.rglob("*") if path.name != "key" and path not in odd]


def test_looking_without_the_lock_changes_nothing(place: Place) -> None:
    (place.dir / "foreign").write_bytes(b"x")
    (place.own / "inventory").unlink()
    before = {path: path.lstat() for path in [place.dir, *place.dir.rglob("*")]}
    view = place.new_host().observe()
    assert [each.drift.object for each in findings(view)] == ["foreign"]
    after = {path: path.lstat() for path in [place.dir, *place.dir.rglob("*")]}
    assert {path: (info.st_ino, info.st_mtime_ns, info.st_ctime_ns) for path, info in after.items()} == {
        path: (info.st_ino, info.st_mtime_ns, info.st_ctime_ns) for path, info in before.items()
    }


@pytest.mark.parametrize("tool", ["sha256sum", "stat", "find", "awk"])
def test_without_a_tool_it_is_unknown_and_not_fine(place: Place, tmp_path: Path, tool: str) -> None:
    directory = tmp_path / "bin"
    directory.mkdir()
    for path in (Path("/usr/bin"), Path("/bin"), Path("/usr/sbin"), Path("/sbin")):
        for each in path.iterdir():
            if each.name != tool and not (directory / each.name).exists():
                (directory / each.name).symlink_to(each)
    poor = Place(place.dir, Prefixed("env", f"PATH={directory}"), place.state)
    view = poor.host.observe()
    (finding,) = findings(view)
    assert (finding.drift.object, finding.drift.found, finding.action) == (".", "unknown", None)
    assert tool in finding.drift.why_not


def test_what_a_failing_tool_leaves_is_unknown_and_not_fine(place: Place, tmp_path: Path) -> None:
    broken = wrapped(place, tmp_path / "bin", 'if [ $name = find ]; then exit 1; fi; exec $real "$@"')
    (finding,) = findings(broken.host.observe())
    assert (finding.drift.found, finding.action) == ("unknown", None)


def test_what_can_not_be_proved_is_not_put_back_and_named(place: Place) -> None:
    """The file and the sealed copy were changed: better nothing than something of unknown origin."""
    for path in (place.own / f"sealed/{OLD}.tar", place.dir / f"releases/{OLD}/compose.yaml"):
        path.write_bytes(b"changed")
    (place.dir / "foreign").write_bytes(b"x")
    with pytest.raises(PreflightFailed, match=rf"releases/{OLD}/compose\.yaml") as caught:
        place.heal()
    assert f"sealed copy of {OLD}" in str(caught.value)
    assert not (place.dir / "foreign").exists(), "the rest was put back"
    assert (place.dir / f"releases/{OLD}/compose.yaml").read_bytes() == b"changed"


def test_a_forged_seal_proves_nothing(place: Place) -> None:
    """Who changes a file and its seal alike is found out by the state; and nothing is called foreign by such a seal."""
    seal = place.own / f"sealed/{NEW}.seal"
    compose = place.dir / f"releases/{NEW}/compose.yaml"
    compose.write_bytes(b"[]\n")
    before, after = (hashlib.sha256(data).hexdigest().encode() for data in (b"{}\n", b"[]\n"))
    assert before in seal.read_bytes()
    seal.write_bytes(seal.read_bytes().replace(before, after))
    assert names(place) == [f".reconciler/sealed/{NEW}.seal"]
    place.heal()
    assert names(place) == [f"releases/{NEW}/compose.yaml"], "the seal is back, made from the sealed copy"
    place.heal()
    assert (names(place), compose.read_bytes()) == ([], b"{}\n")


def test_another_name_of_a_file_is_never_written_through(place: Place) -> None:
    """Somebody links a user's file to our path: putting back may not write into it (P10)."""
    data = place.dir / "uploads/data"
    (place.dir / SINGLE).unlink()
    os.link(data, place.dir / SINGLE)
    place.heal()
    assert data.read_bytes() == b"user data"
    assert (place.dir / SINGLE).read_bytes() == b"single\n"
    assert data.stat().st_ino != (place.dir / SINGLE).stat().st_ino


def test_nothing_is_written_behind_a_link(place: Place, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    shutil.copytree(place.dir / CONFS, outside)
    (outside / "a.conf").chmod(0o644)
    (outside / "a.conf").write_bytes(b"theirs")
    shutil.rmtree(place.dir / CONFS)
    (place.dir / CONFS).symlink_to(outside)
    before = {path: path.read_bytes() for path in outside.rglob("*") if path.is_file()}
    place.heal()
    assert {path: path.read_bytes() for path in outside.rglob("*") if path.is_file()} == before
    assert (names(place), (place.dir / CONFS).is_symlink()) == ([], False)


def test_a_path_that_leads_through_a_link_is_refused(place: Place, tmp_path: Path) -> None:
    """As it may become between the look and the deed."""
    outside = tmp_path / "outside"
    shutil.move(place.dir / CONFS, outside)
    (place.dir / CONFS).symlink_to(outside)
    before = {path: path.lstat() for path in [outside, *outside.rglob("*")]}
    path = f"{CONFS}/a.conf"
    actions: list[Action] = [SetAside(path), SetMode(path, 0o600), Restore(path, 0o600, NEW, place.state.seals[NEW])]
    with place.locked():
        for action in actions:
            with pytest.raises(PreflightFailed, match="is a link"):
                place.host.put_back("run1", [action])
    assert {path: path.lstat() for path in [outside, *outside.rglob("*")]} == before


@pytest.mark.parametrize("path", ["../x", "releases/../../x", "/etc/x", "a//b", "./x"])
def test_a_path_that_leads_out_is_refused(place: Place, path: str) -> None:
    with place.locked(), pytest.raises(PreflightFailed):
        place.host.put_back("run1", [SetAside(path)])


def test_a_forged_sealed_copy_is_not_unpacked(place: Place) -> None:
    (place.dir / f"releases/{OLD}/compose.yaml").write_bytes(b"changed")
    forged = replace(bundle(OLD), compose=b"forged")
    members = archive.release(forged, forged.manifest.model_dump_json(indent=1).encode())
    (place.own / f"sealed/{OLD}.tar").write_bytes(seal.of(OLD, members).tar)
    with pytest.raises(PreflightFailed, match="was changed, too"):
        place.heal()
    assert (place.dir / f"releases/{OLD}/compose.yaml").read_bytes() == b"changed"


def test_who_has_a_file_mounted_sees_it_put_back(place: Place) -> None:
    """A container holds the inode, not the name: what was written into it is written over."""
    with (place.dir / SINGLE).open("rb") as mounted:
        (place.dir / SINGLE).write_bytes(b"evil")
        assert place.heal() == ()
        assert mounted.read() == b"single\n"


def test_what_a_container_mounts_is_never_moved(place: Place) -> None:
    (place.dir / "stray/deep").mkdir(parents=True)
    (finding,) = place.look(mounted=[f"{place.dir}/stray/deep"])
    assert (finding.drift.why_not, finding.action) == ("a container mounts it", None)
    (finding,) = place.look(mounted=[f"{place.dir}/stray2"])
    assert finding.action is not None


@pytest.mark.parametrize(
    ("pattern", "ignored"),
    [
        ("*.swp", True),
        ("stray/x.swp", True),
        ("stray/*", True),
        ("stray", True),
        ("stra", False),
        ("web:/stray", False),
    ],
)
def test_patterns_say_what_does_not_count(place: Place, pattern: str, ignored: bool) -> None:
    (place.dir / "stray").mkdir()
    (place.dir / "stray/x.swp").write_bytes(b"x")
    counted = place.look(ignore=[pattern])
    if pattern == "*.swp":
        assert [each.drift.object for each in counted] == ["stray"], "the directory is a stranger all the same"
        (place.dir / "stray/x.swp").rename(place.dir / "x.swp")
        (place.dir / "stray").rmdir()
        counted = place.look(ignore=[pattern])
    assert (counted == ()) is ignored


def test_what_lay_there_at_adoption_is_tolerated(place: Place) -> None:
    (place.dir / "README").write_bytes(b"x")
    with place.locked() as view:
        assert strangers(view) == ("README",)
        place.state = place.state.model_copy(update={"tolerated": strangers(view)})
        place.save()
    assert place.look() == ()
    (place.dir / "README2").write_bytes(b"x")
    assert names(place) == ["README2"]


def test_a_line_tells_what_was_set_aside(place: Place) -> None:
    (place.dir / "foreign").write_bytes(b"abc")
    (place.dir / "foreign").chmod(0o640)
    os.utime(place.dir / "foreign", (1_700_000_000, 1_700_000_000))
    place.heal("run7")
    aside = place.own / "set_aside/run7"
    sha = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert (aside / "list").read_text() == f"640 0:0 3 1700000000 {sha} foreign\n"
    assert stat.S_IMODE((aside / "files/foreign").stat().st_mode) == 0o640
    assert stat.S_IMODE((place.own / "set_aside").stat().st_mode) == 0o700
    (place.dir / "foreign").write_bytes(b"again")
    place.heal("run7")
    assert {path.name for path in (aside / "files").iterdir()} == {"foreign", "foreign.1"}, "nothing is overwritten"


def test_an_owner_that_somebody_changed_is_put_back(place: Place) -> None:
    os.chown(place.dir / SINGLE, NOBODY, NOBODY)
    os.chown(place.dir / CONFS, NOBODY, NOBODY)
    found = place.look()
    assert sorted(each.drift.found for each in found) == [f"owner {NOBODY}"] * 2
    place.heal()
    assert names(place) == []
    assert place.aside() == {}


def test_an_unprivileged_owner_takes_back_what_root_left(tmp_path: Path) -> None:
    with open_directory(NOBODY) as directory:
        place = deployed(Place(directory / "app", as_user(NOBODY)))
        os.chown(place.dir / SINGLE, 0, 0)
        (place.dir / f"releases/{OLD}/compose.yaml").unlink()
        place.heal()
        assert (names(place), (place.dir / SINGLE).stat().st_uid) == ([], NOBODY)
        (place.dir / "theirs").mkdir()
        (place.dir / "theirs/x").write_bytes(b"x")
        (place.dir / "mine").write_bytes(b"x")
        with pytest.raises(PreflightFailed, match=r"theirs \(.*[Pp]ermission"):
            place.heal()
        assert names(place) == ["theirs"], "a directory of root's can't be moved by another; the rest was"


def test_a_prune_takes_the_sealed_copy_along_and_keeps_the_newest_of_what_was_set_aside(place: Place) -> None:
    for run in ("20260101_000001_aaaa", "20260101_000002_bbbb", "20260101_000003_cccc"):
        (place.dir / "d").mkdir()
        (place.dir / "d/f").write_bytes(run.encode())
        (place.dir / "d").chmod(0o555)
        place.heal(run)
    tidy = Place(place.dir, place.transport, retained_records=2)
    with tidy.locked():
        tidy.host.prune([OLD], [])
    assert sorted(path.name for path in (place.own / "set_aside").iterdir()) == [
        "20260101_000002_bbbb",
        "20260101_000003_cccc",
    ]
    assert sorted(path.name for path in (place.own / "sealed").iterdir()) == [f"{NEW}.seal", f"{NEW}.tar", "key"]


def test_a_release_of_an_older_version_is_sealed_as_it_lies(place: Place) -> None:
    with place.locked():
        place.state = place.state.model_copy(update={"seals": {}})
        place.save()
    shutil.rmtree(place.own / "sealed")
    with place.locked() as view:
        assert findings(view) == (), "what nobody can name is not foreign"
        assert unsealed(view) == (OLD, NEW)
        seals = {release: place.host.reseal(release, None) for release in unsealed(view)}
        place.state = place.state.model_copy(update={"seals": seals})
        place.save()
    assert names(place) == []
    (place.dir / f"releases/{NEW}/compose.yaml").write_bytes(b"x")
    place.heal()
    assert (place.dir / f"releases/{NEW}/compose.yaml").read_bytes() == b"{}\n"


def test_a_state_without_a_signature_is_taken_once(place: Place) -> None:
    plain = place.state.model_dump_json(indent=1)
    (place.own / "state.json").write_text(plain)
    (place.own / "state.backup.json").unlink()
    with place.locked() as view:
        assert (view.copies.main, view.copies.stale, findings(view)) == (Copy.UNSIGNED, True, ())
        place.save()
    (place.own / "state.json").write_text(plain.replace(NEW, OLD))
    assert [each.drift.vector.value for each in place.look()] == ["state"]
