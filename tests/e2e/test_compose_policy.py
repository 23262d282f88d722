"""The Compose policy on a real engine: what it refuses is refused before anything is touched; a way back never is."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from ops.demo.images import Fault
from tests.e2e.job import Job, run_by_hand
from tests.world.images import GOOD
from tests.world.world import CHECKOUT, Completed

pytestmark = pytest.mark.engine

COMPOSE = "desired_state/observer/compose.yaml"
WEB = "  web:\n    <<: *observer\n"
UPLOADS = "      - ./uploads:/data/uploads\n"
SOCKET = f"{UPLOADS}      - /var/run/docker.sock:/var/run/docker.sock\n"
REASON = {"rule": "docker-socket", "service": "web", "reason": "a test reads its containers"}
PLUGINS = ("/usr/local/lib", "/usr/local/libexec", "/usr/lib", "/usr/libexec")


def edit(job: Job, old: str, new: str) -> None:
    """Change the Compose file, and commit it."""
    text = (job.repo.path / COMPOSE).read_text()
    assert text.count(old) == 1, f"{old!r} is {text.count(old)} times in the Compose file"
    job.repo.write(COMPOSE, text.replace(old, new))
    job.repo.commit()


def policy(job: Job, **section: Any) -> None:
    job.repo.edit({"policy": section or None})
    job.repo.commit()


@contextmanager
def nothing_touched(job: Job) -> Iterator[None]:
    """The same containers, never restarted; the same files; no new record."""
    before = job.started(), job.files(), job.link("current"), len(job.repo.records())
    yield
    assert (job.started(), job.files(), job.link("current"), len(job.repo.records())) == before


def notes(job: Job, command: str = "plan", *, expect: int = 0) -> list[str]:
    found: list[str] = job.json(command, expect=expect)["targets"][0]["notes"]
    return found


def test_what_the_policy_refuses_is_refused_before_anything_is_touched(job: Job) -> None:
    """On a first release nothing is made; on a running app nothing changes; allowed with a reason, it goes through."""
    edit(job, UPLOADS, SOCKET)
    said = job.once(expect=1).stdout
    assert "service web: volumes[3] mounts the Docker socket (docker-socket)" in said
    assert job.project.containers() == {}
    assert job.link("current") == ""

    edit(job, SOCKET, UPLOADS)
    job.once()
    edit(job, UPLOADS, SOCKET)
    edit(job, WEB, f"{WEB}    pid: host\n")
    job.repo.release(job.images.good(GOOD[1]))
    with nothing_touched(job):
        for command in ("plan", "--once"):
            said = job.run(command, expect=1).stdout
            assert "service web: volumes[3] mounts the Docker socket (docker-socket)" in said
            assert "service web: pid is the host's own process namespace (host-pid)" in said
            assert said.count("\n") == 1, "one line"
    assert job.project.version() == GOOD[0]

    policy(job, allow=[REASON])
    with nothing_touched(job):
        said = job.once(expect=1).stdout
        assert "docker-socket" not in said
        assert "host-pid" in said
    policy(job, allow=[REASON], rules={"host-pid": "warning"})
    job.once()
    assert job.project.version() == GOOD[1]
    web = job.service("web").attrs
    assert web["HostConfig"]["PidMode"] == "host"
    assert "/var/run/docker.sock" in [mount["Destination"] for mount in web["Mounts"]]


@pytest.mark.exhaustive
def test_warnings_are_notes_of_each_look_and_another_policy_is_no_other_release(job: Job) -> None:
    edit(job, "  mem_limit: 64m\n", "")
    job.repo.edit({"policy": {"allow": [REASON]}})
    (limit, idle) = notes(job, expect=2)
    assert limit.startswith("policy: capture, init, web: has no memory limit (memory-limit); ")
    assert idle.startswith("policy: web: policy.allow[0]: nothing of it has to be allowed there (docker-socket); ")
    job.once()
    assert notes(job) == [limit, idle]
    job.once()
    rendering_fails = {"TMPDIR": "/nowhere"}
    assert "(memory-limit)" in job.run("plan", env=rendering_fails).stdout, "it is remembered with the sources"
    release = job.link("current")

    policy(job, rules={"memory-limit": "off"})
    with nothing_touched(job):
        assert job.json("status")["targets"][0]["sync"] == "in_sync", "another policy asks for no other release"
        job.run("plan", env=rendering_fails, expect=1)  # judged again
        assert notes(job) == []
        job.once()
        job.run("plan", env=rendering_fails)
        assert notes(job) == []

    policy(job, rules={"memory-limit": "error"})
    with nothing_touched(job):
        for command in ("plan", "--once"):
            assert "service web: has no memory limit (memory-limit)" in job.run(command, expect=1).stdout
        assert job.json("status")["targets"][0]["sync"] == "in_sync"

    policy(job)
    with nothing_touched(job):
        job.once()
        assert notes(job) == [limit]
    assert job.link("current") == release


def test_the_way_back_is_never_refused(job: Job) -> None:
    """Neither by hand nor after a breach, however strict the policy has become since that release."""
    edit(job, WEB, f"{WEB}    privileged: true\n")
    policy(job, rules={"privileged": "warning"})
    job.once()
    first = job.link("current")
    edit(job, f"{WEB}    privileged: true\n", WEB)
    policy(job)
    job.deploy(job.images.bad(Fault.UNHEALTHY), expect=3)
    assert job.link("current") == first
    assert job.service("web").attrs["HostConfig"]["Privileged"] is True

    job.deploy(job.images.good(GOOD[1]))
    assert job.service("web").attrs["HostConfig"]["Privileged"] is False
    job.run("rollback")
    assert job.link("current") == first
    assert job.service("web").attrs["HostConfig"]["Privileged"] is True


@pytest.mark.exhaustive
def test_an_adoption_shows_what_the_policy_finds_and_recreates_nothing(job: Job) -> None:
    edit(job, WEB, f"{WEB}    privileged: true\n")
    edit(job, "  mem_limit: 64m\n", "")
    run_by_hand(job, job.images.good(GOOD[0]))
    ids = job.project.container_ids()
    refused, warned = notes(job, "adopt")
    assert refused.startswith("policy: a release of yours would be refused: service web: privileged runs with all")
    assert warned.startswith("policy: capture, init, web: has no memory limit (memory-limit); ")
    assert job.project.container_ids() == ids
    with nothing_touched(job):
        assert "(privileged)" in job.once(expect=1).stdout


def validate(job: Job, *arguments: str, tmp: Path | None = None, hidden: bool = False) -> Completed:
    """`reconcile validate`; with `hidden`, in a world whose docker command has no Compose."""
    command = [sys.executable, "-m", "reconciler.cli.main", "validate", *arguments]
    if hidden:
        places = [f"{place}/docker/cli-plugins" for place in PLUGINS]
        empty = "".join(f"[ ! -d {place} ] || mount -t tmpfs none {place}; " for place in places)
        command = ["unshare", "--mount", "sh", "-euc", f'{empty} exec "$@"', "sh", *command]
    environment = {"PYTHONPATH": str(CHECKOUT), **({"TMPDIR": str(tmp)} if tmp else {})}
    if hidden:
        environment["HOME"] = str(job.repo.path)
    return subprocess.run(
        command,
        cwd=job.repo.path,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.exhaustive
def test_validate_judges_with_the_compose_of_this_machine(job: Job, tmp_path: Path) -> None:
    """It needs no engine, and leaves nothing behind; without Compose it says what it didn't check."""
    (tmp_path / "tmp").mkdir()
    job.repo.edit({"targets.demo.docker_host": "unix:///nowhere/docker.sock"})
    fine = validate(job, tmp=tmp_path / "tmp")
    assert (fine.returncode, fine.stderr) == (0, "")
    assert "not checked" not in fine.stdout
    assert "warning" not in fine.stdout
    assert json.loads(validate(job, "--output", "json").stdout)["unchecked"] == []

    edit(job, "  mem_limit: 64m\n", "")
    warned = validate(job)
    assert warned.returncode == 0
    assert "  warning: policy: capture, init, web: has no memory limit (memory-limit); " in warned.stdout
    assert len(json.loads(validate(job, "--output", "json").stdout)["warnings"]) == 1

    edit(job, UPLOADS, f"{UPLOADS}      - /nowhere:/a:ro\n")  # of docker_host
    refused = validate(job, tmp=tmp_path / "tmp")
    assert (refused.returncode, refused.stdout, refused.stderr.count("\n")) == (1, "", 1)
    assert "service web: volumes[3] mounts the directory of the Docker socket (docker-socket)" in refused.stderr

    edit(job, UPLOADS, f"{UPLOADS}      - ./untracked:/b\n")
    refused = validate(job)
    assert (refused.returncode, refused.stdout, refused.stderr.count("\n")) == (1, "", 1)
    assert "service web mounts ./untracked, which is neither a writable area nor a file that git has" in refused.stderr

    hidden = validate(job, hidden=True, tmp=tmp_path / "tmp")
    assert (hidden.returncode, hidden.stderr) == (0, "")
    assert "  not checked: the Compose model and its policy (this machine: Docker Compose v2 or later" in hidden.stdout
    assert len(json.loads(validate(job, "--output", "json", hidden=True).stdout)["unchecked"]) == 1
    assert list((tmp_path / "tmp").iterdir()) == []
    assert job.project.containers() == {}


def test_validate_says_what_compose_refuses_and_no_value(job: Job) -> None:
    """Compose quotes pieces of values in its errors."""
    job.repo.set_env(PORT="canary-9b2e41-no-port")
    refused = validate(job)
    assert (refused.returncode, refused.stdout, refused.stderr.count("\n")) == (1, "", 1)
    assert "Compose refuses the model" in refused.stderr
    assert "canary" not in refused.stderr


def test_no_value_is_in_what_the_policy_says(job: Job) -> None:
    """The model has them everywhere; what is said of it names places alone, also what is kept on the target."""
    canary = "x7"  # too short to be masked: nothing but not quoting it helps
    job.repo.set_env(MEDIA=f"/srv/media/{canary}", SECOND=canary)
    media = f"{UPLOADS}      - ${{MEDIA}}:/media/${{SECOND}}\n      - /etc/${{SECOND}}:/b/${{SECOND}}:ro\n"
    edit(job, UPLOADS, media)
    template = job.repo.path / "desired_state" / "observer" / "env.template"
    job.repo.write("desired_state/observer/env.template", template.read_text() + "\nMEDIA=\nSECOND=\n")
    job.repo.commit()
    said = [job.run(command, expect=1) for command in ("plan", "--once", "validate")]
    policy(job, rules={"writable-bind": "warning", "host-mount": "warning"})
    said += [job.run("plan", expect=2), job.once(), job.run("plan"), job.run("validate")]
    for done in said:
        text = done.stdout + done.stderr
        assert "host-mount" in text or "is live" in text
        assert f"/{canary}" not in text
    assert f"/{canary}" not in json.dumps(job.state())
    assert len(job.state()["checked"]["warnings"]) == 2
