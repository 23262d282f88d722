"""What runs already: refused untouched, adopted without being recreated, and a way back from then on."""

from __future__ import annotations

from pathlib import Path

import pytest

from ops.demo.images import Fault
from tests.e2e.job import Job, run_by_hand
from tests.world.images import GOOD

pytestmark = pytest.mark.engine


def everything(directory: Path) -> dict[str, tuple[int, int, int]]:
    """Every file but the app's own data."""
    data = ("logs", "archives", "runtime", "temp", "uploads")
    return {
        str(path): (path.lstat().st_ino, path.lstat().st_mtime_ns, path.lstat().st_mode)
        for path in directory.rglob("*")
        if path.relative_to(directory).parts[0] not in data
    }


def test_an_app_deployed_by_hand_is_refused_then_adopted_then_reverted_to(far_job: Job) -> None:
    job = far_job
    run_by_hand(job, GOOD[0])
    started, files = job.started(), everything(job.dir)
    done = job.once(expect=4)
    assert "compose.yaml" in done.stdout
    assert "reconcile adopt" in done.stdout
    assert (job.started(), everything(job.dir), job.repo.records()) == (started, files, [])

    compose, env = (job.dir / "compose.yaml").read_bytes(), (job.dir / ".env").read_bytes()
    job.run("adopt")
    assert job.started() == started
    (moved,) = (job.dir / ".reconciler" / "adopted").iterdir()
    assert ((moved / "compose.yaml").read_bytes(), (moved / ".env").read_bytes()) == (compose, env)
    assert [record["kind"] for record in job.records()] == ["adopt"]
    adopted = job.link("current")
    assert (job.link("last_good"), job.last_good_tag()) == (adopted, GOOD[0])

    job.once()
    assert job.started() == started
    served = job.link("current")
    job.plant()

    job.deploy(job.images.bad(Fault.CRASH), expect=3)
    assert (job.project.version(), job.link("current")) == (GOOD[0], served)
    job.assert_data_untouched()
    job.run("adopt")  # again: nothing to do
    assert job.project.version() == GOOD[0]


@pytest.mark.exhaustive
def test_a_bad_tag_right_after_the_adoption_comes_back_to_what_was_adopted(job: Job) -> None:
    run_by_hand(job, GOOD[0])
    job.run("adopt")
    adopted = job.link("current")
    job.deploy(job.images.bad(Fault.UNHEALTHY), expect=3)
    assert (job.project.version(), job.link("current")) == (GOOD[0], adopted)


def test_a_directory_of_somebody_else_is_refused_and_stays_as_it_was(job: Job) -> None:
    """Also after an adoption was tried and refused: that made it nobody's but theirs."""
    job.dir.mkdir(parents=True)
    (job.dir / "thesis.tex").write_text("ten years of work")
    (job.dir / ".git").mkdir()
    before = everything(job.dir)
    for command in ("--once", "adopt", "plan", "suspend -m mine", "retry", "rollback", "--once"):
        done = job.run(*command.split(), expect=4)
        assert everything(job.dir) == before, command
        if command in {"--once", "plan"}:
            assert "thesis.tex" in done.stdout or ".git" in done.stdout
    assert job.project.containers() == {}
