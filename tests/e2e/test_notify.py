"""Who is told what, by `reconcile run` and by `--once`: over real HTTP, from a real engine."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ops.demo.images import Fault
from tests.e2e.daemon import Daemon, await_value, daemon
from tests.e2e.job import Job
from tests.world.images import GOOD
from tests.world.network import free_port
from tests.world.sink import sink

pytestmark = pytest.mark.engine

TOKEN = "tok-3f9a2b61c0"
CANARY = "canary-8e1f0c77d2"


def test_a_breach_is_told_once_over_several_passes_and_a_sink_that_is_down_delays_nothing(
    job: Job, tmp_path: Path
) -> None:
    """The sink is down while the first release goes live; then a bad one, several passes, and another daemon."""
    good, bad, port = job.images.good(), job.images.bad(Fault.UNHEALTHY), free_port()
    job.repo.set_env(API_TOKEN=CANARY)
    env = {"TELL": f"json://user:{TOKEN}@127.0.0.1:{port}/{TOKEN}", "FORGE": TOKEN}
    with sink() as forge:
        forge.status = 201
        status = {
            "forge": "gitea",
            "api": f"http://127.0.0.1:{forge.port}",
            "repository": "o/n",
            "token": {"env": "FORGE"},
        }
        notify = {"urls": {"env": "TELL"}, "grace": "5m", "commit_status": status}
        with daemon(job, tmp_path, edits={"notify": notify}, env=env) as running:
            await_value("what serves", job.project.version, good)
            running.wait_for("can't be sent, and is tried again")
            with sink(port) as people:
                people.wait_for(1, seconds=60)
                commit = running.release(bad)
                people.wait_for(3, seconds=60)
                for number in range(3):
                    before = len(running.said)
                    job.repo.write("notes.txt", str(number))
                    running.push("Nothing that is deployed")
                    running.wait_for("is quarantined since", after=before)
                wrong = _push_a_mistake(running)
                job.service("web").stop(timeout=1)
                people.wait_for(4, seconds=60)
                running.end()
                said = running.said
                with daemon(job, tmp_path, env=env) as running:
                    running.wait_for("is quarantined since")
                    running.end()
                titles = [title.removeprefix(f"{job.project.name} on ") for title in people.titles()]
                sent = json.dumps([each.body for each in people.got])
        marks = [(each.path.rpartition("/")[2], each.body["state"]) for each in forge.got]
    assert [
        next(what for what in ("live", "taken back", "quarantined", "by hand") if what in each) for each in titles
    ] == [
        "live",
        "taken back",
        "quarantined",
        "by hand",
    ]
    assert [mark for mark in marks if mark[0] == commit] == [(commit, "pending"), (commit, "failure")]
    assert [mark for mark in marks if mark[0] == wrong] == [(wrong, "failure")]
    assert marks[0][1] == "pending"
    assert (marks[0][0], "success") in marks
    log = "\n".join([*said, *running.said])
    assert [secret in text for secret in (TOKEN, CANARY) for text in (log, sent)] == [False] * 4


def _push_a_mistake(running: Daemon) -> str:
    """A commit whose deploy.yaml is wrong, and one that takes that back. The id of the first."""
    repo, before = running.job.repo, len(running.said)
    text = repo.deploy_file.read_text()
    repo.deploy_file.write_text(f"{text}nonsense: true\n")
    wrong = running.push("A mistake")
    running.wait_for("the desired state stays as it was", after=before)
    repo.deploy_file.write_text(text)
    before = len(running.said)
    running.push("Taken back")
    running.wait_for("is quarantined since", after=before)
    return wrong


def test_once_tells_what_it_did_and_its_exit_code_is_its_own(job: Job, tmp_path: Path) -> None:
    """A pass that nobody hears of ends as it would; what couldn't be told then is told by the next."""
    bad, port = job.images.bad(Fault.UNHEALTHY), free_port()
    urls = tmp_path / "urls"
    urls.write_text(f"# who is told\njson://127.0.0.1:{port}/{TOKEN}\n")
    job.repo.edit({"notify": {"urls": {"file": str(urls)}}})
    first = job.deploy(job.images.good())
    assert "can't be sent" in first.stderr
    assert TOKEN not in first.stderr
    with sink(port) as people:
        job.deploy(bad, expect=3)
        job.once(expect=4)
        job.once(expect=4)
        assert [title.rpartition(": ")[2].split(" ", 1)[1].split(",")[0] for title in people.titles()] == [
            "is live and verified",
            "was taken back",
            "is quarantined",
        ]
    urls.unlink()
    assert "nobody is told: notify.urls.file" in job.once(expect=4).stderr
    assert GOOD[0] == job.project.version()
