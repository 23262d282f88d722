"""What may be read and written on the server after each kind of pass, and by whom.

That another user of the machine really reads nothing: tests/integration/test_who_reads_what.py.
"""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from ops.demo.images import Fault
from tests.e2e.job import WRITABLE, Job
from tests.world.images import GOOD

pytestmark = pytest.mark.engine
FIXED = {
    ".reconciler/key": 0o400,
    ".reconciler/state.json": 0o600,
    ".reconciler/state.backup.json": 0o600,
    ".reconciler/sealed": 0o700,
    "current/.env": 0o400,
    "current/compose.yaml": 0o400,
    "current/manifest.json": 0o444,
    "last_good_tag": 0o444,
}
"""Paths that every pass leaves with exactly this mode."""


def test_after_each_kind_of_pass_it_is_read_only_and_secrets_are_the_owners_alone(far_job: Job) -> None:
    job = far_job
    job.once()
    assert_closed(job, "a first deploy")
    job.deploy(job.images.good(GOOD[1]))
    assert_closed(job, "another tag")
    job.deploy(job.images.bad(Fault.UNHEALTHY), expect=3)
    assert_closed(job, "a revert, with evidence")
    job.deploy(GOOD[1])
    job.repo.set_env(CAPTURE_INTERVAL="1.5")
    job.once("--env-only")
    assert_closed(job, "other values")
    manifest = job.dir / "current" / "manifest.json"
    manifest.chmod(0o666)
    (job.dir / "current" / ".env").chmod(0o644)
    (job.dir / "leaked.env").write_text(f"API_TOKEN={job.repo.env['API_TOKEN']}\n")
    job.once()
    assert_closed(job, "a repair, with what it set aside")
    job.run("rollback")
    assert_closed(job, "a rollback")


def assert_closed(job: Job, after: str) -> None:
    """Nothing managed can be written, nothing with a secret in it can be read, by anybody else."""
    secret = job.repo.env["API_TOKEN"].encode()
    for name, mode in FIXED.items():
        assert stat.S_IMODE((job.dir / name).stat().st_mode) == mode, (after, name)
    holders = []
    for path in sorted(job.dir.rglob("*")):
        name = str(path.relative_to(job.dir))
        if path.is_symlink() or name.startswith(WRITABLE):
            continue
        mode = stat.S_IMODE(path.stat().st_mode)
        assert mode & 0o022 == 0, (after, name, oct(mode))
        if name.startswith(("releases/", ".reconciler/files/")):
            assert mode & 0o200 == 0, (after, name, oct(mode))
        if path.is_file() and secret in path.read_bytes():
            holders.append(path)
    assert holders, "values are delivered in files here"
    assert [path for path in holders if lies_open(job, path)] == [], after


def lies_open(job: Job, path: Path) -> bool:
    """Whether another user, of the owner's group or of none, could come to it from deploy_dir and read it."""
    way = [each for each in path.parents if each == job.dir or each.is_relative_to(job.dir)]
    return any(
        path.stat().st_mode & may_read and all(each.stat().st_mode & may_enter for each in way)
        for may_read, may_enter in ((stat.S_IROTH, stat.S_IXOTH), (stat.S_IRGRP, stat.S_IXGRP))
    )


def test_a_look_that_finds_nothing_would_find_something(far_job: Job) -> None:
    far_job.once()
    (far_job.dir / "current" / ".env").chmod(0o440)
    assert lies_open(far_job, far_job.dir / "releases" / far_job.link("current") / ".env")
