"""The scripts that run on a target, alone: what they do when their other half dies, and what they leave alone."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from reconciler.remote import script


def run(name: str, *arguments: object, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    command = ["sh", "-c", script(name), f"reconciler-{name}", *map(str, arguments)]
    return subprocess.run(command, input=stdin, capture_output=True, timeout=20, check=False)


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A deploy_dir with a state and one release."""
    (tmp_path / ".reconciler").mkdir()
    (tmp_path / "releases" / "r1").mkdir(parents=True)
    done = run("commit", tmp_path, 2, "r1", "20260101_000001", "r1", stdin=b"{}")
    assert done.returncode == 0, done.stderr
    return tmp_path


def test_a_state_that_arrives_cut_off_replaces_nothing(place: Path) -> None:
    """A sender that is killed ends the input: without its length, half a file would look whole."""
    done = run("commit", place, 400, "-", "-", "-", stdin=b'{"app": "obser')
    assert done.returncode == 70
    assert b"did not arrive whole" in done.stderr
    assert (place / ".reconciler" / "state.json").read_bytes() == b"{}"


def test_a_record_that_arrives_cut_off_is_none(place: Path) -> None:
    assert run("record", place, "run", 400, stdin=b"# half").returncode == 70
    assert not list((place / ".reconciler" / "records").glob("*.md"))


def test_what_points_there_already_is_not_made_again(place: Path) -> None:
    names = ("current", "last_good", "last_good_tag", "compose.yaml", ".env")
    before = {name: (place / name).lstat().st_ino for name in names}
    assert run("commit", place, 2, "r1", "20260101_000001", "r1", stdin=b"{}").returncode == 0
    assert {name: (place / name).lstat().st_ino for name in names} == before


def test_whoever_finds_it_locked_learns_who_has_it(tmp_path: Path) -> None:
    with subprocess.Popen(
        ["sh", "-c", script("lock"), "reconciler-lock", str(tmp_path), "alice", "tag 1", "refuse", "0"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as holder:
        assert holder.stdin is not None
        assert holder.stdout is not None
        while holder.stdout.readline() not in {b"end 0\n", b""}:
            pass
        refused = run("lock", tmp_path, "bob", "tag 2", "refuse", "0")
        holder.stdin.close()
    assert refused.returncode == 75
    assert re.fullmatch(rb"alice\ntag 1, since [-0-9]+ [:0-9]+ UTC\n", refused.stderr)
    assert run("lock", tmp_path, "bob", "tag 2", "refuse", "0").returncode == 0
