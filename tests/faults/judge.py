"""The judge: the engine, the files, the records and the processes after a case, never what a plan or a status says.

(One exception, asked for by the issue: the last pass must find nothing to do, and that is read off its plan.)
"""

from __future__ import annotations

import hashlib
import json
import re
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from docker.models.containers import Container

from tests.e2e.untouched import leftovers
from tests.faults.app import SERVICES, App, round_of
from tests.faults.passes import Ended
from tests.faults.scenarios import Goal
from tests.world.world import COMPOSE_LABEL

_CONTAINER = re.compile(r"/[0-9a-f]{64}$", re.MULTILINE)
ENDING_SECONDS = 3.0
"""A process whose input has ended may take so long to notice it."""
FAILED = 1
"""The exit code of a pass that couldn't do what it was to do."""
_PID = re.compile(r"\(process (\d+)\)")


@dataclass(frozen=True)
class Before:
    """What is compared with the end: records, quarantine, and what runs and is linked."""

    records: frozenset[str]
    quarantine: frozenset[str]
    print: dict[str, str]


@dataclass(frozen=True)
class Made:
    """One pass of the case, and the prints of the world before and after it: other ones mean that it changed it."""

    pass_: Ended
    before: dict[str, str]
    after: dict[str, str]

    @property
    def mutated(self) -> bool:
        """Whether it changed what runs, or what serves. (That a release is last good now, its own record has said.)"""
        return self.before != self.after


def look(app: App, *, started: bool) -> dict[str, str]:
    """A print of what runs and what is linked; with `started` also when each container was started."""
    seen = {"current": _link(app, "current")}
    for container in _containers(app):
        since = container.attrs["State"]["StartedAt"] if started else ""
        seen[str(container.name)] = f"{container.id} {since}"
    return seen


def before(app: App, *, started: bool) -> Before:
    """The world before the case."""
    return Before(
        frozenset(path.name for path in app.repo.records()),
        frozenset(app.state()["quarantine"]),
        look(app, started=started),
    )


def saved_itself(app: App, goals: Sequence[tuple[str, int]]) -> list[str]:
    """After the target was left alone: what serves is one of these (tag and ROUND), and healthy."""
    web = {str(container.name): container for container in _containers(app)}.get(f"{app.project.name}-web-1")
    health = web.attrs["State"].get("Health", {}).get("Status") if web else None
    serves = (_manifest(app, _link(app, "current"))["tag"], round_of(web)) if web else ()
    if health == "healthy" and serves in goals:
        return []
    return [f"left alone, web is {health} and {serves}, and not healthy and one of {goals}"]


def judge(app: App, goal: Goal, was: Before, passes: Sequence[Made]) -> list[str]:
    """Everything that is wrong, in sentences; empty where all is well."""
    found: list[str] = []
    for part in (_engine, _files, _releases, _watchdog, _quarantine):
        try:
            found += part(app, goal, was)
        except (OSError, ValueError, KeyError, LookupError) as error:
            found.append(f"{part.__name__[1:]} can't be read: {type(error).__name__}: {error}")
    found += app.hurt_data()
    found += _records(app, was, passes)
    found += _answers(goal, passes)
    return found + _left_running(app)


def _engine(app: App, goal: Goal, was: Before) -> Iterator[str]:
    project = app.project.name
    containers = {str(container.name): container for container in _containers(app)}
    strays = sorted(containers.keys() - {f"{project}-{service}-1" for service in SERVICES})
    if strays:
        yield f"stray containers: {strays}"
    web = containers.get(f"{project}-web-1")
    if web is None:
        yield f"there is no web; there is {sorted(containers)}"
        return
    state = web.attrs["State"]
    if (state["Status"], state.get("Health", {}).get("Status")) != ("running", "healthy"):
        yield f"web is {state['Status']} and {state.get('Health', {}).get('Status')}"
    manifest = _manifest(app, _link(app, "current"))
    facts = manifest["services"]["web"]
    if web.attrs["Image"] != facts["image_id"] or web.labels.get("io.reconciler.digest") != facts["digest"]:
        yield f"web runs another image or definition than {manifest['release']}"
    if (manifest["tag"], round_of(web)) != (goal.tag, goal.round):
        yield f"{manifest['tag']} with ROUND={round_of(web)} serves, and not {goal.tag} with {goal.round}"
    try:
        told = app.lab.server.request(app.project.url("/version"))
    except OSError as error:
        yield f"web doesn't answer: {error}"
    else:
        if told != (200, f"{goal.tag}\n"):
            yield f"web answers {told}"
    one_shot = containers.get(f"{project}-migrate-1")
    if one_shot and (one_shot.status, one_shot.attrs["State"]["ExitCode"]) != ("exited", 0):
        yield f"migrate is {one_shot.status} with code {one_shot.attrs['State']['ExitCode']}"
    yield from _keepers(app)


def _keepers(app: App) -> Iterator[str]:
    keepers = app.project.keepers()
    held = [str(keeper.attrs["Image"]) for keeper in keepers]
    if len(held) != len(set(held)):
        yield f"an image has more than one keeper: {[keeper.name for keeper in keepers]}"
    for keeper in keepers:
        if keeper.status != "running":
            yield f"keeper {keeper.name} is {keeper.status}"
    state = app.state()
    proved = {
        release: {facts["image_id"] for facts in _manifest(app, release)["services"].values()}
        for release, past in state["releases"].items()
        if past["verified_at"] and release not in state["quarantine"] and (app.dir / "releases" / release).exists()
    }
    ways_back = {state["serving"], state["previous"], _link(app, "last_good")} & proved.keys()
    wanted = {image for release in ways_back for image in proved[release]}
    present = set(app.lab.server.docker("image", "ls", "--quiet", "--no-trunc").stdout.split())
    if wanted - present:
        yield f"images of the way back are gone: {sorted(wanted - present)}"
    if wanted - set(held):
        yield f"no keeper holds {sorted(wanted - set(held))}"
    if useless := set(held).difference(*proved.values()):
        yield f"a keeper holds what no verified release needs: {_tags(app, useless)}"


def _tags(app: App, images: set[str]) -> list[str]:
    """The images as people know them."""
    listed = app.lab.server.docker("image", "ls", "--no-trunc", "--format", "{{.ID}} {{.Tag}}").stdout.splitlines()
    return [line for line in listed if line.split()[0] in images] or sorted(images)


def _files(app: App, goal: Goal, was: Before) -> Iterator[str]:
    state = app.state()
    if state.get("open") is not None:
        yield f"the journal is open: {state['open']}"
    if _link(app, "current") != state["serving"]:
        yield f"current is {_link(app, 'current')}, and the state says that {state['serving']} serves"
    if state.get("phase") not in goal.phases:
        yield f"the phase is {state.get('phase')}"
    backup = (app.dir / ".reconciler" / "state.backup.json").read_bytes()
    if backup != (app.dir / ".reconciler" / "state.json").read_bytes():
        yield "state.json and its backup differ"
    good = _link(app, "last_good")
    past = state["releases"].get(good)
    if past is None or past["verified_at"] is None or good in state["quarantine"]:
        yield f"last_good is {good or 'nothing'}, which is not a verified release: {past}"
    elif (app.dir / "last_good_tag").read_text().strip() != past["tag"]:
        yield f"last_good_tag is {(app.dir / 'last_good_tag').read_text()!r}, and last_good {good}"
    for name in ("compose.yaml", ".env"):
        if str((app.dir / name).readlink()) != f"current/{name}":
            yield f"{name} points at {(app.dir / name).readlink()}"
    if left := leftovers(app.project):
        yield f"left behind: {left}"
    if left := [path.name for path in app.lab.scratch.iterdir()]:
        yield f"left in the target's TMPDIR: {left}"
    if strange := {path.name for path in app.dir.iterdir()} - _OURS:
        yield f"strange files in deploy_dir: {sorted(strange)}"


_OURS = {"releases", "current", "last_good", "last_good_tag", "compose.yaml", ".env", "data", ".reconciler"}


def _releases(app: App, goal: Goal, was: Before) -> Iterator[str]:
    state = app.state()
    there = {path.name for path in (app.dir / "releases").iterdir()}
    sealed = app.dir / ".reconciler" / "sealed"
    if unknown := there - state["releases"].keys():
        yield f"releases that the state doesn't know: {sorted(unknown)}"
    if len(there) > goal.most_releases:
        yield f"{len(there)} releases were not pruned to {goal.most_releases}: {sorted(there)}"
    if strays := {path.stem for path in sealed.iterdir() if path.name != "key"} - there:
        yield f"sealed copies of releases that aren't there: {sorted(strays)}"
    for release in sorted(there):
        seal = (sealed / f"{release}.seal").read_bytes()
        if hashlib.sha256(seal).hexdigest() != state["seals"].get(release):
            yield f"{release}: its seal isn't the one in the state"
        for line in seal.decode().splitlines():
            digest, mode, _, name = line.split(" ", 3)
            path = app.dir / name
            if not path.exists() or oct(path.lstat().st_mode & 0o7777)[2:].zfill(4) != mode.zfill(4):
                yield f"{release}: {name} is not there, or its mode isn't {mode}"
            elif digest != "-" and hashlib.sha256(path.read_bytes()).hexdigest() != digest:
                yield f"{release}: {name} has other bytes than it was sealed with"


def _watchdog(app: App, goal: Goal, was: Before) -> Iterator[str]:
    """Nothing that the target did alone is untold, and a lease is there only for a release that stabilizes."""
    base = app.dir / ".reconciler" / "watchdog"
    if untold := [name for name in ("reverting", "outcome") if (base / name).exists()]:
        yield f"what the target did alone is untold: {untold}"
    if strange := {path.name for path in base.glob("*")} - {
        "bell",
        "busy",
        "detached",
        "lease",
        "reverting",
        "outcome",
    }:
        yield f"left in watchdog/: {sorted(strange)}"
    about = base / "lease" / "about"
    if about.exists():
        lease = dict(line.split(" ", 1) for line in about.read_text().splitlines())
        if lease["mode"] != "soak" or lease["entering"] != app.state()["serving"]:
            yield f"a lease is left over: {lease}"


def _quarantine(app: App, goal: Goal, was: Before) -> Iterator[str]:
    state = app.state()
    new = sorted(state["quarantine"].keys() - was.quarantine)
    right = [name for name in new if goal.quarantined and name.startswith(goal.quarantined)]
    if wrong := set(new) - set(right):
        yield f"quarantined without a reason of its own: {[(n, state['quarantine'][n]['reason']) for n in wrong]}"
    if goal.quarantined and len(right) != 1:
        yield f"{len(right)} releases {goal.quarantined}* are quarantined, and not the one that breached"
    if gone := was.quarantine - state["quarantine"].keys():
        yield f"no longer quarantined: {sorted(gone)}"


def _records(app: App, was: Before, passes: Sequence[Made]) -> list[str]:
    """Exactly one for each mutating pass, by name and by author; at most one for one that changed nothing yet."""
    found: list[str] = []
    authors: list[int] = []
    alone: list[str] = []
    idle = {made.pass_.pid for made in passes if not made.mutated and made.pass_.code == FAILED}
    only_here: set[str] = set()
    new = [path for path in app.repo.records() if path.name not in was.records]
    for path in new:
        try:
            (block,) = re.findall(r"^```yaml\n(.*?)^```$", path.read_text(), re.MULTILINE | re.DOTALL)[-1:]
            record: dict[str, Any] = yaml.load(block, Loader=yaml.SafeLoader)
            if record["kind"] == "watchdog":
                alone.append(path.name)
            else:
                author = _PID.search(record["controller"])
                authors.append(int(author[1]) if author else 0)
                if authors[-1] in idle:
                    only_here.add(path.name)
        except (ValueError, KeyError, TypeError, yaml.YAMLError) as error:
            found.append(f"record {path.name} can't be read: {error}")
    kept = {path.name for path in (app.dir / ".reconciler" / "records").glob("*.md")}
    names = {path.name for path in app.repo.records()}
    # On a full disk a pass can't begin, nor leave there that it failed: of that its own side alone has the record.
    if missing := sorted(name for name in names - only_here if not _is_kept(name, kept)):
        found.append(f"records that the target doesn't have: {missing}")
    if len(kept) > len(names):
        found.append(f"the target has {len(kept)} records, and the repository {len(names)}")
    told = {path.stem.partition("_")[2] for path in new}
    goes_on = any(e["repairs"] > 1 and e["run"] in told for e in app.state()["episodes"].values())
    for made in passes:
        count = authors.count(made.pass_.pid)
        # A further repair of the same thing has its record already: one for an episode of drift (DESIGN).
        if count > 1 or (made.mutated and count != 1 and not goes_on):
            found.append(
                f"pass {made.pass_.pid} ({'changed the world' if made.mutated else 'changed nothing'}) has {count}"
                f" records of {[path.name for path in new]}"
            )
    if len(alone) > 1:
        found.append(f"the target went back alone once at most, and has told it {len(alone)} times: {alone}")
    if strangers := set(authors) - {made.pass_.pid for made in passes}:
        found.append(f"records by nobody of this case: {sorted(strangers)}")
    return found


def _is_kept(name: str, kept: set[str]) -> bool:
    return any(name == each or name.endswith(f"_{each}") for each in kept)


def _answers(goal: Goal, passes: Sequence[Made]) -> list[str]:
    found = []
    for made in passes:
        if "Traceback" in made.pass_.err or "a defect of this program" in made.pass_.err:
            found.append(f"a defect: {made.pass_.err.strip()[-800:]}")
    last = passes[-1].pass_
    if last.code not in goal.codes or last.steps or passes[-1].mutated:
        found.append(f"not settled after {len(passes) - 1} passes: the last one says {last}")
    return found


def _left_running(app: App) -> list[str]:
    """Processes of ours that outlive their pass, and a lock that outlives its holder."""
    deadline = time.monotonic() + ENDING_SECONDS
    while (running := list(_ours(app))) and time.monotonic() < deadline:
        time.sleep(0.1)  # the end of a process that isn't ours is announced to nobody
    found = [f"still runs: {command}" for command in running]
    for name in ("lock", "fence", "watchdog/busy"):
        file = app.dir / ".reconciler" / name
        held = file.exists() and app.lab.server.run("flock", "--nonblock", str(file), "true", check=False).returncode
        if held:
            found.append(f"{name} is held")
    return found


def _ours(app: App) -> Iterator[str]:
    """Command lines that name deploy_dir, outside containers (the watchdog lives in one)."""
    for entry in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            command = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            concerns = str(app.dir) in command or (entry / "cwd").readlink().is_relative_to(app.dir)
            if concerns and not _CONTAINER.search((entry / "cgroup").read_text()):
                yield f"{entry.name}: {command[-200:]}"


def _manifest(app: App, release: str) -> dict[str, Any]:
    manifest: dict[str, Any] = json.loads((app.dir / "releases" / release / "manifest.json").read_text())
    return manifest


def _link(app: App, name: str) -> str:
    path = app.dir / name
    return path.readlink().name if path.is_symlink() else ""


def _containers(app: App) -> list[Container]:
    with app.project._engine() as engine:
        found: list[Container] = engine.containers.list(
            all=True, filters={"label": f"{COMPOSE_LABEL}={app.project.name}"}
        )
    return found
