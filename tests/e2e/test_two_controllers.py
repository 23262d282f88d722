"""Two controllers with different tags on one target, again and again (P7): nothing of the two ever interleaves."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from tests.e2e.job import Job
from tests.world.images import GOOD, Images
from tests.world.world import COMPOSE_LABEL

pytestmark = pytest.mark.engine

SECONDS = float(os.environ.get("RECONCILER_RACE_SECONDS", "20"))
"""How long they race: 20 s in the suite, 180 in `make faults`."""


class Controller(threading.Thread):
    """Runs `reconcile --once` until the time is up and it has deployed once; keeps what each pass said."""

    def __init__(self, job: Job, until: float) -> None:
        super().__init__()
        self.job, self.until = job, until
        self.deployed = 0
        self.codes: dict[int, int] = defaultdict(int)
        self.refusals: list[str] = []
        self.journal: set[str] = set()

    def run(self) -> None:
        while time.monotonic() < self.until or (not self.deployed and time.monotonic() < self.until + 120):
            done = self.job.once(expect=None)
            self.deployed += "is live and verified" in done.stdout
            self.codes[done.returncode] += 1
            if done.returncode == 5:
                self.refusals.append(done.stdout + done.stderr)
            self.journal |= set((self.job.dir / ".reconciler" / "journal").read_text().splitlines())


def test_no_two_of_them_change_the_target_at_a_time(job: Job, tmp_path: Path, images: Images) -> None:
    job.once()
    other_path = tmp_path / "other"
    shutil.copytree(job.repo.path, other_path)
    other = replace(job, repo=replace(job.repo, path=other_path))
    job.repo.edit({"stabilization": {"period": "24h", "interval": "1h"}})
    other.repo.release(images.good(GOOD[1]))
    made = tmp_path / "made"
    with _creations(job, made):
        until = time.monotonic() + SECONDS
        controllers = [Controller(job, until), Controller(other, until)]
        for controller in controllers:
            controller.start()
        for controller in controllers:
            controller.join(SECONDS + 240)
            assert not controller.is_alive(), "a deadlock"
    assert all(controller.deployed for controller in controllers), "each has had its turn"
    assert all(set(controller.codes) <= {0, 5} for controller in controllers), [c.codes for c in controllers]
    for refusal in (text for controller in controllers for text in controller.refusals):
        assert re.search(
            r"another pass is at work here: \S+@\S+ \(process \d+\); tag 2026010\d_00000\d, since", refusal
        )

    lines = sorted(
        (line.split(" ", 3) for controller in controllers for line in controller.journal if line.count(" ") >= 3),
        key=lambda line: float(line[1]),
    )
    generations = [int(line[0]) for line in lines]
    assert generations == sorted(generations), "the journal of one pass lies within that of another"
    begun = _begun(lines)
    tags = defaultdict(set)
    for moment, image in (line.split() for line in made.read_text().splitlines()):
        tags[max(generation for generation, first in begun.items() if first <= int(moment) / 1e9)].add(image)
    assert all(len(found) == 1 for found in tags.values()), f"one pass, one tag: {tags}"
    assert len(tags) >= 2
    runs = [record["run"] for each in (job, other) for record in each.records()]
    assert len(runs) >= len(set(runs)) >= len(tags)


def _begun(lines: list[list[str]]) -> dict[int, float]:
    """Generation to the wall-clock seconds of its first line; the journal counts from the boot."""
    offset = time.time() - float(Path("/proc/uptime").read_text().split()[0])
    begun: dict[int, float] = {}
    for number, up, *_ in lines:
        begun.setdefault(int(number), float(up) + offset)
    return begun


@contextmanager
def _creations(job: Job, log: Path) -> Iterator[None]:
    """Writes when containers of the project's services are made, and from which image; the engine forgets soon."""
    command = ["docker", "events", "--filter", "event=create", "--filter", f"label={COMPOSE_LABEL}={job.project.name}"]
    with log.open("w") as file:
        listening = subprocess.Popen([*command, "--format", "{{.TimeNano}} {{.Actor.Attributes.image}}"], stdout=file)
        try:
            yield
        finally:
            listening.terminate()
            listening.wait()
