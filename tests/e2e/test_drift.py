"""Every vector of drift, made by hand on the server: named, put back with the least action, left alone by policy."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.job import Job, new_job
from tests.world.images import GOOD, Images
from tests.world.sshd import ssh_server
from tests.world.world import Completed

pytestmark = pytest.mark.engine

SERVICE = "com.docker.compose.service"
EVERYTHING = {"layer": "heal", "attachment": "heal"}
"""Vectors that are only reported by default, switched on."""


@dataclass(frozen=True)
class Hand:
    """What a person does on the server, and what that is called.

    `thing` is what it is said of; `anew` are services whose container may be another one afterwards, `started` those
    that may have been started again, `files` the paths below deploy_dir that may be other ones. The state doesn't
    stay as it is (`stays`) though the policy leaves it alone: the pass that reports it writes it.
    """

    vector: str
    thing: str
    do: Callable[[Job], object]
    anew: tuple[str, ...] = ()
    started: tuple[str, ...] = ()
    files: tuple[str, ...] = ()
    undo: Callable[[Job], object] = field(default=lambda _: None)
    stays: bool = True


def docker(*arguments: str) -> str:
    """A person's docker command."""
    return subprocess.run(["docker", *arguments], check=True, capture_output=True, text=True).stdout.strip()


def name(job: Job, service: str) -> str:
    return f"{job.project.name}-{service}-1"


def on(service: str, *command: str) -> Callable[[Job], object]:
    """`docker COMMAND <the service's container>`."""
    return lambda job: docker(*command, name(job, service))


def foreign(job: Job) -> None:
    image = str(job.service("web").attrs["Image"])
    label = f"com.docker.compose.project={job.project.name}"
    name = f"{job.project.name}-by-hand"
    docker("run", "-d", "--name", name, "--label", label, "--label", f"{SERVICE}=", image, "/bin/sleep", "600")


def by_another_file(job: Job, change: Callable[[str], str], service: str) -> None:
    """`docker compose up` from an edited copy of what serves."""
    text = change((job.dir / "current" / "compose.yaml").read_text())
    copy = job.repo.path.parent / "edited.yaml"
    copy.write_text(text)
    docker("compose", "-p", job.project.name, "-f", str(copy), "up", "-d", "--no-deps", "--pull", "never", service)
    copy.unlink()


def another_image(job: Job) -> None:
    """The same definitions, label and all, from the image of another tag."""
    here, there = job.images.id(GOOD[0]), job.images.id(job.images.good(GOOD[1]))
    by_another_file(job, lambda text: text.replace(here, there), "capture")


def other_definitions(job: Job) -> None:
    by_another_file(job, lambda text: text.replace("io.reconciler.digest", "io.example.digest"), "web")


def edit(path: str, change: Callable[[bytes], bytes]) -> Callable[[Job], object]:
    """Edits a file below deploy_dir in place, as root can."""

    def do(job: Job) -> None:
        file = job.dir / path.format(current=job.link("current"), config=config(job))
        mode = file.stat().st_mode
        file.chmod(0o600)
        file.write_bytes(change(file.read_bytes()))
        file.chmod(mode)

    return do


def config(job: Job) -> str:
    """The mounted config file, below deploy_dir."""
    (found,) = (job.dir / ".reconciler" / "files").glob("*/observer.conf")
    return str(found.relative_to(job.dir))


def repoint(link: str, to: str) -> Callable[[Job], object]:
    def do(job: Job) -> None:
        (job.dir / link).unlink()
        (job.dir / link).symlink_to(to)

    return do


def hide(path: str) -> Callable[[Job], object]:
    def do(job: Job) -> None:
        (job.dir / path).write_text("a hot fix\n")

    return do


def keeper(job: Job) -> None:
    for container in docker("ps", "-q", "--filter", f"label=io.reconciler.keeper={job.project.name}").split():
        docker("rm", "-f", container)


def network(job: Job, *command: str) -> None:
    """A network of another team, with what is done to it."""
    other = f"{job.project.name}-theirs"
    docker("network", "create", other)
    docker("network", *command, other, name(job, "web"))


def drop_network(job: Job) -> None:
    theirs = f"{job.project.name}-theirs"
    leave = ["docker", "network", "disconnect", "-f", theirs, name(job, "web")]
    subprocess.run(leave, capture_output=True, check=False)  # where it was put back, it has left already
    docker("network", "rm", theirs)


HANDS = {
    "stopped": Hand("container", "{project}-web-1", on("web", "stop", "-t", "1"), started=("web",)),
    "paused": Hand("container", "{project}-capture-1", on("capture", "pause")),
    "missing": Hand("container", "capture", on("capture", "rm", "-f"), anew=("capture",)),
    "foreign": Hand(
        "foreign_container",
        "{project}-by-hand",
        foreign,
        undo=lambda job: docker("rm", "-f", f"{job.project.name}-by-hand"),
    ),
    "another image": Hand("image", "{project}-capture-1", another_image, anew=("capture",)),
    "other definitions": Hand("definition", "{project}-web-1", other_definitions, anew=("web",)),
    "limits raised": Hand(
        "limits",
        "{project}-web-1",
        on("web", "update", "--memory", "96m", "--memory-swap", "192m", "--restart", "no"),
    ),
    "limits that stay": Hand(
        "limits", "{project}-capture-1", on("capture", "update", "--cpus", "0.5"), anew=("capture",)
    ),
    "detached": Hand(
        "network",
        "{project}-capture-1 on {project}_default",
        lambda job: docker("network", "disconnect", f"{job.project.name}_default", name(job, "capture")),
    ),
    "attached": Hand(
        "attachment",
        "{project}-web-1 on {project}-theirs",
        lambda job: network(job, "connect"),
        undo=drop_network,
    ),
    "layer": Hand(
        "layer",
        "{project}-web-1",
        lambda job: docker("exec", name(job, "web"), "/bin/sh", "-c", "echo x >/motd"),
        anew=("web",),
    ),
    "config changed": Hand(
        "file",
        "{config}",
        edit("{config}", lambda data: data + b"# by hand\n"),
        files=("{config}",),
    ),
    "release changed": Hand(
        "file",
        "releases/{current}/compose.yaml",
        edit("releases/{current}/compose.yaml", lambda data: data.replace(b"unless-stopped", b"always")),
        files=("releases/{current}/compose.yaml",),
    ),
    "mode": Hand(
        "file",
        "releases/{current}/.env",
        lambda job: (job.dir / "current" / ".env").chmod(0o644),
    ),
    "added": Hand("file", "releases/{current}/notes.txt", hide("current/notes.txt")),
    "added at the top": Hand("file", "hotfix.sh", hide("hotfix.sh")),
    "removed": Hand(
        "file",
        "releases/{current}/manifest.json",
        lambda job: (job.dir / "current" / "manifest.json").unlink(),
        files=("releases/{current}/manifest.json",),
    ),
    "env value": Hand(
        "env",
        "API_TOKEN",
        edit("releases/{current}/.env", lambda data: data.replace(b"API_TOKEN=", b"API_TOKEN=x")),
        files=("releases/{current}/.env",),
    ),
    "env key": Hand(
        "env",
        "EXTRA",
        edit("releases/{current}/.env", lambda data: data + b"EXTRA=1\n"),
        files=("releases/{current}/.env",),
    ),
    "current": Hand("link", "current", repoint("current", "/etc"), files=("current",)),
    "last good": Hand("link", "last_good", repoint("last_good", "releases"), files=("last_good",)),
    "compose.yaml": Hand("link", "compose.yaml", repoint("compose.yaml", "temp/mine.yaml"), files=("compose.yaml",)),
    "state": Hand(
        "state",
        ".reconciler/state.json",
        edit(".reconciler/state.json", lambda data: data.replace(b'"app"', b'"App"')),
        stays=False,
    ),
    "state removed": Hand(
        "state",
        ".reconciler/state.backup.json",
        lambda job: (job.dir / ".reconciler" / "state.backup.json").unlink(),
        stays=False,
    ),
    "keeper": Hand("keeper", "keeper of {image}", keeper),
}


@pytest.fixture(scope="module")
def drifting(tmp_path_factory: pytest.TempPathFactory, images: Images) -> Iterator[Job]:
    """One job over a real sshd for all rows: each leaves it as it found it."""
    tmp = tmp_path_factory.mktemp("drift")
    with ssh_server(tmp_path_factory.mktemp("sshd")) as server, new_job(tmp, images, server) as job:
        job.once()
        job.plant()
        yield job


def started(job: Job) -> dict[str, tuple[str, str]]:
    """The containers of the app's services."""
    return {service: found for service, found in job.started().items() if service}


def seen(plan: dict[str, Any]) -> set[tuple[str, str]]:
    return {(drift["vector"], drift["object"]) for drift in plan["drift"]}


def everything(job: Job) -> tuple[object, object]:
    """Containers, keepers and files, without the accounts of passes."""
    keepers = docker("ps", "-a", "-q", "--filter", f"label=io.reconciler.keeper={job.project.name}").split()
    return started(job), ({path: found for path, found in job.files().items() if not is_account(path)}, len(keepers))


ROUNDS = (
    ("stopped", "paused", "mode", "current", "state removed"),
    ("missing", "limits raised", "foreign", "added", "env key"),
    ("another image", "attached", "added at the top", "last good", "state"),
    ("other definitions", "limits that stay", "env value", "compose.yaml", "removed"),
    ("layer", "detached", "config changed", "release changed", "keeper"),
)
"""What is done at the same time: a pass costs seconds. Nothing of one round touches another thing of it."""


def test_every_hand_is_in_a_round() -> None:
    assert sorted(name for names in ROUNDS for name in names) == sorted(HANDS)


@pytest.mark.parametrize("names", ROUNDS, ids=", ".join)
def test_made_by_hand_it_is_named_left_alone_by_policy_and_else_put_back(drifting: Job, names: tuple[str, ...]) -> None:
    job, hands = drifting, [HANDS[each] for each in names]
    words = {
        "project": job.project.name,
        "current": job.link("current"),
        "config": config(job),
        "image": job.images.id(GOOD[0]).removeprefix("sha256:")[:12],
    }
    expected = {(hand.vector, hand.thing.format(**words)) for hand in hands}
    excused = {path.format(**words) for hand in hands for path in (*hand.files, hand.thing)}
    before, files = started(job), job.files()
    try:
        for hand in hands:
            hand.do(job)
        drifted = everything(job)

        job.repo.edit({"drift": {"policy": "alert"}})
        (plan,) = job.json("plan", expect=2)["targets"]
        assert seen(plan) == expected
        assert plan["steps"] == []
        job.once(expect=2)
        records = len(job.records())
        assert job.records()[-1]["verdict"] == "left"
        job.once(expect=2 if any(hand.stays for hand in hands) else 0)
        assert everything(job) == drifted
        assert len(job.records()) == records

        for hand in hands:
            if not hand.stays:
                hand.do(job)
        drifted = everything(job)
        job.repo.edit({"drift": {"policy": "heal", "vectors": EVERYTHING}})
        (plan,) = job.json("plan", expect=2)["targets"]
        assert seen(plan) == expected
        assert everything(job) == drifted
        job.once()
        assert len(job.records()) == records + 1
        told = job.records()[-1]["drift"]
        assert sorted(line.partition(":")[0] for line in told) == sorted(hand.vector for hand in hands)
        job.run("plan", expect=0)
        job.run("audit", expect=0)
        job.once()
        assert len(job.records()) == records + 1
    finally:
        for hand in hands:
            hand.undo(job)

    after = started(job)
    anew = {service for hand in hands for service in hand.anew}
    assert {service for service in after if after[service][0] != before[service][0]} == anew
    again = anew | {service for hand in hands for service in hand.started}
    assert {service for service in after if after[service] != before[service]} == again
    now = {path: found for path, found in job.files().items() if not is_account(path)}
    was = {path: found for path, found in files.items() if not is_account(path)}
    moved = {path for path in now.keys() | was.keys() if now.get(path) != was.get(path)}
    assert {path for path in moved if path not in excused and not is_parent(path, excused)} == set()
    job.assert_data_untouched()
    assert job.project.version() == GOOD[0]


def is_account(path: str) -> bool:
    """Records, and what was set aside: they are what a repair leaves."""
    return path.startswith((".reconciler/records", ".reconciler/set_aside", ".reconciler/evidence"))


def is_parent(path: str, excused: set[str]) -> bool:
    """A directory has another time when something in it was replaced."""
    return any(str(Path(each).parent) == path for each in excused)


def test_what_was_changed_or_in_the_way_is_kept(job: Job) -> None:
    """With who it was and when, for the person who misses it."""
    job.once()
    (job.dir / "hotfix.sh").write_text("echo precious\n")
    edit("releases/{current}/compose.yaml", lambda data: data + b"# precious, too\n")(job)
    job.once()
    kept = [path for path in (job.dir / ".reconciler" / "set_aside").rglob("*") if path.is_file()]
    texts = [path.read_bytes() for path in kept]
    assert b"echo precious\n" in texts
    assert any(text.endswith(b"# precious, too\n") for text in texts)
    for path in kept:
        assert path.stat().st_mode & 0o077 == 0 or path.parent.stat().st_mode & 0o077 == 0, path
    assert not (job.dir / "hotfix.sh").exists()


def test_while_it_is_suspended_nothing_is_put_back(job: Job) -> None:
    job.once()
    job.run("suspend", "--message", "we are looking at it")
    docker("stop", "-t", "1", name(job, "web"))
    stopped = started(job)
    job.once(expect=4)
    assert started(job) == stopped
    job.run("resume")
    job.once()
    assert job.project.version() == GOOD[0]


def test_a_fight_over_a_container_is_one_record_and_ever_slower(job: Job) -> None:
    """Another manager stops it each time: the first repair is at once, the second after 2 s, the third after 6 more."""
    job.once()
    docker("stop", "-t", "1", name(job, "web"))
    job.once()
    records = len(job.records())
    docker("stop", "-t", "1", name(job, "web"))
    said = [done.stdout for done in until_converged(job)]
    assert len(said) >= 1
    docker("stop", "-t", "1", name(job, "web"))
    waited = until_converged(job)
    assert any("put back 2 times since" in done.stdout for done in waited)
    assert len(job.records()) == records
    assert job.state()["episodes"][f"container:{name(job, 'web')}"]["repairs"] == 3


def until_converged(job: Job) -> list[Completed]:
    """Passes until one puts it back; what the others said."""
    waited: list[Completed] = []
    for _ in range(200):
        done = job.once(expect=None)
        if done.returncode == 0:
            return waited or [done]
        assert done.returncode == 2, done.stdout
        waited.append(done)
    raise AssertionError("never put back")
