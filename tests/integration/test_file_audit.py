"""P12 for files: what is changed by hand in our part of deploy_dir is found, named, put back; nothing else moves."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator

import pytest

from reconciler.adapters.transport.local import LocalTransport
from reconciler.adapters.transport.ssh import SshTransport
from tests.contract.conftest import settings
from tests.integration.by_hand import CASES, Case
from tests.integration.placed import NOBODY, SECRET, Place, as_user, deployed, open_directory, with_busybox
from tests.world.sshd import ssh_server

KINDS = ("local", "ssh", "nobody", "busybox")


@pytest.fixture(scope="module", params=KINDS)
def kept(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Place]]:
    """One place for all cases, as root, over ssh, as an unprivileged owner, and with busybox's commands."""
    tmp = tmp_path_factory.mktemp(request.param)
    if request.param == "ssh":
        with ssh_server(tmp) as server:
            transport = SshTransport(settings(server))
            yield [Place(tmp / "app", transport)]
            transport.close()
    elif request.param == "nobody":
        with open_directory(NOBODY) as directory:
            yield [Place(directory / "app", as_user(NOBODY))]
    elif request.param == "busybox":
        yield [Place(tmp / "app", with_busybox(tmp / "bin"))]
    else:
        yield [Place(tmp / "app", LocalTransport())]


@pytest.fixture
def place(kept: list[Place]) -> Place:
    """Two releases, whole: made anew where the last case left it otherwise."""
    (last,) = kept
    if last.is_whole:
        shutil.rmtree(last.own / "set_aside", ignore_errors=True)
    else:
        shutil.rmtree(last.dir, ignore_errors=True)
        kept[:] = [deployed(Place(last.dir, last.transport))]
    kept[0].is_whole = False
    return kept[0]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_change_by_hand_is_found_and_put_back_alone(place: Place, case: Case) -> None:
    before = place.files()
    case.change(place.dir)
    own_again(place)
    found = place.look()
    assert [(f.drift.vector.value, f.drift.object) for f in found] == [each[:2] for each in case.found]
    for finding, (_, _, what) in zip(found, case.found, strict=True):
        assert finding.drift.found.startswith(what), finding
        assert SECRET not in finding.drift.line
    assert [f.drift.key for f in place.look()] == [f.drift.key for f in found], "looking changes nothing"

    anew = place.heal()
    after = place.files()
    assert after.keys() == before.keys()
    for name in before:
        assert after[name][2:] == before[name][2:], f"{name}: mode, owner, content"
        if name not in case.moved:
            assert after[name][0] == before[name][0], f"{name}: the same inode"
            assert after[name][1] == before[name][1] or name in case.aside, f"{name}: the same time"
    assert set(anew) <= set(case.moved)
    assert place.look() == (), "and it is whole again"
    assert sorted(place.aside()) == sorted(case.aside)
    for area in ("logs", "archives/data", "uploads"):
        assert (place.dir / area / "data").read_bytes() == b"user data"
    place.is_whole = True


def own_again(place: Place) -> None:
    """What the test made as root belongs to the directory's owner: he is the one who changes things by hand."""
    uid = place.dir.stat().st_uid
    if uid:
        for path in place.dir.rglob("*"):
            if path.lstat().st_uid != uid:
                os.chown(path, uid, uid, follow_symlinks=False)
