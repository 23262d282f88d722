"""Who was logged in, from the words of `last`, `who` and `loginctl`: the real `last` where it is there, texts else."""

from __future__ import annotations

import os
import shutil
import struct
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path, PurePosixPath

import pytest

from reconciler.adapters.host import answers
from reconciler.adapters.host.logins import logins_at
from reconciler.adapters.host.scripts import Settings
from reconciler.adapters.host.target import TargetHost
from reconciler.adapters.transport.local import LocalTransport
from reconciler.model.errors import TargetUnreachable
from reconciler.model.trace import Login
from reconciler.remote import script

NOON = datetime(2026, 1, 22, 12, 0, tzinfo=UTC)
LAST = b"""\
carol    pts/3        10.0.0.9         2026-01-22T13:30:00+01:00   still logged in
alice    pts/0        10.0.0.7         2026-01-22T11:00:00+00:00 - 2026-01-22T12:30:00+00:00  (01:30)
bob      tty1                          2026-01-22T09:00:00+00:00 - down                       (02:00)
dave     pts/2        fe80::1%eth0     2026-01-21T11:00:00+00:00 - crash                     (1+02:00)
erin     pts/4        10.0.0.8         2026-01-22T09:00:00+00:00   gone - no logout
reboot   system boot  6.1.0-18-amd64   2026-01-22T08:59:00+00:00   still running

wtmp begins 2026-01-01T00:00:00+00:00
"""
WHO = b"frank    pts/5        Jan 22 11:59 (10.0.0.5)\nalice    pts/0        Jan 22 11:00 (10.0.0.7)\n"
WHO_OF_BUSYBOX = b"frank           pts/5           Jan 22 11:59 10.0.0.5\n"
LOGINCTL = b"""\
Name=deploy
Timestamp=Thu 2026-01-22 11:58:00 UTC
RemoteHost=10.0.0.3
Service=sshd
TTY=
Class=user

Name=gdm
Timestamp=Thu 2026-01-22 08:00:00 UTC
TTY=tty1
Class=greeter

Name=alice
Timestamp=Thu 2026-01-22 11:00:00 UTC
RemoteHost=10.0.0.7
Service=sshd
TTY=pts/0
Class=user
"""


def names(found: tuple[Login, ...]) -> list[str]:
    return [login.user for login in found]


def test_sessions_that_were_open_then() -> None:
    assert logins_at({"last": LAST}, NOON) == (
        Login("alice", "pts/0 from 10.0.0.7"),
        Login("dave", "pts/2 from fe80::1%eth0"),
    )
    assert names(logins_at({"last": LAST}, NOON + timedelta(hours=1))) == ["carol", "dave"]
    assert names(logins_at({"last": LAST}, NOON - timedelta(hours=2))) == ["bob", "dave"]
    assert logins_at({"last": LAST}, NOON - timedelta(days=9)) == ()


def test_a_session_that_goes_on_since_last_year_and_one_that_is_too_young() -> None:
    said = {"who": b"grace    pts/6        Dec 30 11:59\nheidi    pts/7        Jan 22 12:01\nivan pts/8 Feb 29 10:00\n"}
    assert logins_at(said, NOON) == (Login("grace", "pts/6"),)


def test_the_three_complete_each_other_and_say_nothing_twice() -> None:
    assert logins_at({"last": LAST, "who": WHO, "loginctl": LOGINCTL}, NOON) == (
        Login("alice", "pts/0 from 10.0.0.7"),
        Login("dave", "pts/2 from fe80::1%eth0"),
        Login("deploy", "sshd from 10.0.0.3"),
        Login("frank", "pts/5 from 10.0.0.5"),
    )


@pytest.mark.parametrize(
    "garbage", [b"", b"\xff\xfe\0", b"last: unrecognized option\n", WHO_OF_BUSYBOX, b"a b c d\n" * 9]
)
def test_what_is_not_understood_is_left_out(garbage: bytes) -> None:
    assert logins_at({"last": garbage, "who": garbage, "loginctl": garbage}, NOON) == ()


def record(kind: int, line: str, user: str, host: str, when: datetime) -> bytes:
    """One entry of wtmp. Source: utmp(5), as glibc lays it out on x86-64 and arm64."""
    text = struct.pack("32s4s32s256s", line.encode(), b"", user.encode(), host.encode())
    return (
        struct.pack("<hxxi", kind, 1) + text + struct.pack("<hhiii16s20s", 0, 0, 0, int(when.timestamp()), 0, b"", b"")
    )


@pytest.mark.skipif(shutil.which("last") is None, reason="there is no `last` here")
def test_the_real_program_in_another_time_zone(tmp_path: Path) -> None:
    wtmp = tmp_path / "wtmp"
    wtmp.write_bytes(
        record(7, "pts/0", "alice", "10.0.0.7", NOON - timedelta(hours=1))
        + record(7, "pts/1", "bob", "", NOON - timedelta(hours=3))
        + record(8, "pts/1", "", "", NOON - timedelta(hours=2))
        + record(8, "pts/0", "", "", NOON + timedelta(hours=1))
    )
    bin_dir = tmp_path / "bin"
    bin_dir.mkdir()
    (bin_dir / "last").write_text(f'#!/bin/sh\nexec {shutil.which("last")} -f {wtmp} "$@"\n')
    (bin_dir / "last").chmod(0o755)
    environment = {"PATH": f"{bin_dir}:{os.environ['PATH']}", "TZ": "Asia/Tokyo", "LANG": "de_DE.UTF-8"}
    done = subprocess.run(
        ["sh", "-c", script("logins"), "logins", str(tmp_path)],
        capture_output=True,
        env=environment,
        timeout=20,
        check=True,
    )
    found = answers.sections(done.stdout)
    assert Login("alice", "pts/0 from 10.0.0.7") in logins_at(found, NOON)
    assert "bob" not in names(logins_at(found, NOON))
    assert "bob" in names(logins_at(found, NOON - timedelta(hours=2, minutes=30)))


@pytest.mark.skipif(shutil.which("who") is None, reason="there is no `who` here")
def test_the_real_who_in_another_time_zone(tmp_path: Path) -> None:
    (tmp_path / "utmp").write_bytes(record(7, "pts/0", "alice", "10.0.0.7", NOON - timedelta(minutes=1)))
    for program in ("sh", "head", "awk"):
        (tmp_path / program).symlink_to(shutil.which(program) or program)
    (tmp_path / "who").write_text(f"#!/bin/sh\nexec {shutil.which('who')} {tmp_path}/utmp\n")
    (tmp_path / "who").chmod(0o755)
    done = subprocess.run(
        ["sh", "-c", script("logins"), "logins", str(tmp_path)],
        capture_output=True,
        env={"PATH": str(tmp_path), "TZ": "Asia/Tokyo"},
        timeout=20,
        check=True,
    )
    found = answers.sections(done.stdout)
    assert logins_at(found, NOON) == (Login("alice", "pts/0 from 10.0.0.7"),)
    assert logins_at(found, NOON - timedelta(minutes=5)) == ()


def test_a_host_with_none_of_these_programs_is_no_error(tmp_path: Path) -> None:
    for program in ("sh", "head", "awk"):
        (tmp_path / program).symlink_to(shutil.which(program) or program)
    done = subprocess.run(
        ["sh", "-c", script("logins"), "logins", str(tmp_path)],
        capture_output=True,
        env={"PATH": str(tmp_path)},
        timeout=20,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, b"")


def test_a_target_that_cannot_be_asked_is_no_error(tmp_path: Path) -> None:
    transport = LocalTransport()
    settings = Settings("here", PurePosixPath(tmp_path), "app", "app", (), "unix:///var/run/docker.sock")
    host = TargetHost(transport, settings, lambda: transport)
    assert isinstance(host.logins_at(NOON), tuple)
    transport.close()
    with pytest.raises(TargetUnreachable):
        host.observe()
    assert host.logins_at(NOON) == ()
