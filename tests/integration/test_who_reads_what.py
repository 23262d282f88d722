"""Owners and modes on the server: another user of it reads no secret (P9)."""

from __future__ import annotations

import stat
import subprocess
from collections.abc import Iterator

import pytest

from reconciler.adapters.transport.local import LocalTransport
from tests.integration.by_hand import CONFS, SINGLE
from tests.integration.placed import (
    NEW,
    NOBODY,
    OLD,
    SECRET,
    SINGLE_SHA,
    Place,
    deployed,
    open_directory,
)


@pytest.fixture(scope="module")
def other_user() -> Iterator[Place]:
    """As root, where another user can look around."""
    with open_directory() as directory:
        place = deployed(Place(directory / "app", LocalTransport()))
        (place.dir / f"releases/{NEW}/.env").write_bytes(f"A={SECRET}2\n".encode())
        (place.dir / "stray.env").write_bytes(f"A={SECRET}\n".encode())
        place.heal()
        yield place


def test_another_user_of_the_server_reads_no_secret(other_user: Place) -> None:
    find = ["find", str(other_user.dir), "-type", "f", "-exec", "grep", "-l", SECRET, "{}", "+"]
    everything = subprocess.run(find, capture_output=True, text=True, check=False).stdout.splitlines()
    assert len(everything) >= 6, "there are secrets to find"
    theirs = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", *find]
    assert subprocess.run(theirs, capture_output=True, text=True, check=False, cwd="/").stdout == ""


def test_everything_has_the_mode_that_the_docs_say(other_user: Place) -> None:
    wanted = {
        ".reconciler": 0o755,
        ".reconciler/key": 0o400,
        ".reconciler/state.json": 0o600,
        ".reconciler/state.backup.json": 0o600,
        ".reconciler/inventory": 0o600,
        ".reconciler/files": 0o755,
        ".reconciler/sealed": 0o700,
        ".reconciler/sealed/key": 0o400,
        ".reconciler/set_aside": 0o700,
        "releases": 0o755,
        "last_good_tag": 0o444,
        f".reconciler/files/{SINGLE_SHA}": 0o555,
        SINGLE: 0o444,
        CONFS: 0o555,
        f"{CONFS}/deep": 0o555,
        f"{CONFS}/a.conf": 0o444,
        f"{CONFS}/run.sh": 0o555,
    }
    for release in (OLD, NEW):
        wanted |= {
            f"releases/{release}": 0o555,
            f"releases/{release}/.env": 0o400,
            f"releases/{release}/compose.yaml": 0o400,
            f"releases/{release}/manifest.json": 0o444,
            f".reconciler/sealed/{release}.seal": 0o400,
            f".reconciler/sealed/{release}.tar": 0o400,
        }
    found = {name: stat.S_IMODE((other_user.dir / name).lstat().st_mode) for name in wanted}
    assert {name: oct(mode) for name, mode in found.items()} == {name: oct(mode) for name, mode in wanted.items()}
