"""The env contract as a team lives with it: values encrypted in git, checked, compared, edited, deployed; P9 all along.

The canary is a value in every shape that is hard to mask. It is looked for in everything that was said, in git, in
temporary places, and in the arguments and environments of this machine's processes.
"""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
import shutil
import subprocess
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pyrage
import pytest

from reconciler.adapters.env.values import quote
from tests.e2e.job import Job
from tests.e2e.untouched import watching_processes
from tests.world.world import Completed, Repo

pytestmark = pytest.mark.engine

MARK = f"kanarie{secrets.token_hex(2)}"
SECRETS = {
    "API_TOKEN": f"{MARK}-token",
    "QUOTED": f'it\'s "{MARK}" `q` $HOME',
    "LINES": f"-----BEGIN {MARK}-----\nMIIE{MARK}first\n-----END {MARK}-----\n",
    "URL": f"postgres://user:p%40{MARK}@db.internal:5432/a?b=c",
}


@dataclass
class Team:
    """A repository, two people with keys of their own, and everything that was said to them."""

    job: Job
    runtime: Path
    mine: pyrage.x25519.Identity
    hers: pyrage.x25519.Identity
    said: dict[str, str] = field(default_factory=dict)

    @property
    def repo(self) -> Repo:
        return self.job.repo

    @property
    def encrypted(self) -> Path:
        return self.repo.path / ".env.server.age"

    def run(self, *command: str, expect: int, env: Mapping[str, str] | None = None) -> Completed:
        """`reconcile …` with everything logged, as text and, where a second time does no harm, as JSON."""
        loud = ("--log-level", "debug")
        own = {"XDG_RUNTIME_DIR": str(self.runtime), "TMPDIR": str(self.runtime), **(env or {})}
        if command[:2] in {("env", "check"), ("env", "diff")}:
            done = self.job.run(*command, *loud, "--output", "json", expect=expect, env=own)
            self.said[f"{len(self.said)} {command} json"] = done.stdout + done.stderr
            json.loads(done.stdout or "{}")
        done = self.job.run(*command, *loud, expect=expect, env=own)
        self.said[f"{len(self.said)} {command}"] = done.stdout + done.stderr
        return done

    def diff(self, expect: int) -> dict[str, tuple[str, str | None, str | None]]:
        """Key to what became of it and both fingerprints."""
        self.run("env", "diff", expect=expect)
        said = json.loads(next(text for name, text in reversed(self.said.items()) if name.endswith("json")))
        (target,) = said["targets"]
        return {each["key"]: (each["change"], each["local"], each["target"]) for each in target["changes"]}

    def edit(self, script: str, *, expect: int = 0) -> Completed:
        """`env edit` with an editor that is a shell script."""
        editor = self.runtime.parent / "editor"
        editor.write_text(f"#!/bin/sh\n{script}\n")
        editor.chmod(0o755)
        return self.run("env", "edit", expect=expect, env={"VISUAL": str(editor)})


def holds_secret(data: bytes) -> bool:
    forms = [MARK.encode(), *(base64.b64encode((" " * shift + MARK).encode())[4:12] for shift in range(3))]
    return any(form in data for form in forms)


@pytest.fixture
def team(far_job: Job, tmp_path: Path) -> Iterator[Team]:
    """Over a real sshd. Afterwards nothing that could be read had the canary in it."""
    runtime = tmp_path / "runtime"
    runtime.mkdir()
    mine, hers = pyrage.x25519.Identity.generate(), pyrage.x25519.Identity.generate()
    team = Team(far_job, runtime, mine, hers)
    for name, identity in (("mine", mine), ("hers", hers)):
        (tmp_path / name).write_text(f"{identity}\n")
        (tmp_path / name).chmod(0o600)
    repo = team.repo
    compose = repo.path / "desired_state" / "observer" / "compose.yaml"
    token = "      API_TOKEN: ${API_TOKEN:?}\n"
    lines = "".join(f"      {key}: ${{{key}:?}}\n" for key in SECRETS if key != "API_TOKEN")
    assert token in compose.read_text()
    compose.write_text(compose.read_text().replace(token, token + lines))
    template = repo.path / "desired_state" / "observer" / "env.template"
    keys = "".join(f"# @secret\n{key}=\n" for key in SECRETS if key != "API_TOKEN")
    template.write_text(f"{template.read_text()}\n{keys}")
    repo.set_env(**{key: quote(value) for key, value in SECRETS.items()})
    public = [str(mine.to_public()), str(hers.to_public())]
    repo.edit({"env.recipients": public, "env.identity": {"file": str(tmp_path / "mine")}})
    repo.commit("Secrets")
    with watching_processes(MARK) as processes:
        yield team
    assert {name: text for name, text in team.said.items() if holds_secret(text.encode())} == {}
    assert list(runtime.iterdir()) == []
    repo.git("add", "--all")
    assert not holds_secret(repo.git("log", "-p", "--all").encode() + repo.git("diff", "--cached").encode())
    assert [seen for seen in processes if "in no container" in seen and "editor" not in seen] == []
    for record in repo.records():
        assert not holds_secret(record.read_bytes()), record


def test_values_live_encrypted_in_git_from_the_first_day_on(
    team: Team, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Check, encrypt, deploy, compare, edit, deploy; then a colleague with another key does the same."""
    repo, job = team.repo, team.job
    assert "as the template says, and as Compose uses them" in team.run("env", "check", expect=0).stdout
    assert "next: commit .env.server.age" in team.run("env", "encrypt", expect=0).stdout
    plain = repo.path / ".env.server"
    repo.edit({"env.values": ".env.server.age"})
    plain.unlink()
    repo.commit("Values, encrypted")
    assert repo.git("ls-files", ".env.server.age") == ".env.server.age"

    before = team.diff(expect=2)
    assert {change for change, *_ in before.values()} == {"added"}
    assert {fingerprint for _, *both in before.values() for fingerprint in both} == {None}, "there is no key yet"
    assert "no key yet" in team.run("env", "diff", expect=2).stdout

    team.run("--once", expect=0)
    inside = dict(entry.partition("=")[::2] for entry in job.service("web").attrs["Config"]["Env"])
    assert SECRETS.items() <= inside.items(), "byte for byte"
    assert team.diff(expect=0) == {}

    team.edit(f"sed -i 's/^API_TOKEN=.*/API_TOKEN={MARK}-another/; s/^LOG_LEVEL=.*//' \"$1\"")
    assert repo.git("status", "--porcelain").split() == ["M", ".env.server.age"]
    changed = team.diff(expect=2)
    assert {key: change for key, (change, *_) in changed.items()} == {"API_TOKEN": "changed"}, "LOG_LEVEL has a default"
    _, here, there = changed["API_TOKEN"]
    assert here
    assert there
    assert here != there
    for value in (SECRETS["API_TOKEN"], f"{MARK}-another"):
        assert hashlib.sha256(value.encode()).hexdigest()[:8] not in (here, there)

    hers = tmp_path / "her-checkout"
    subprocess.run(["git", "clone", "-q", str(repo.path), str(hers)], check=True)
    shutil.copy(team.encrypted, hers)
    colleague = Team(
        Job(Repo(hers, job.project), job.project, job.images), team.runtime, team.hers, team.mine, team.said
    )
    colleague.repo.edit({"env.identity": {"env": "HER_KEY"}})
    monkeypatch.setenv("HER_KEY", str(team.hers))
    assert colleague.diff(expect=2) == changed, "two people see the same fingerprints"

    team.run("--once", expect=0)
    inside = dict(entry.partition("=")[::2] for entry in job.service("web").attrs["Config"]["Env"])
    assert inside["API_TOKEN"] == f"{MARK}-another"
    assert team.diff(expect=0) == {}


def test_whatever_goes_wrong_no_value_is_said(team: Team) -> None:
    """Everything at once in `env check`, refusals of `edit` and `encrypt`, a target that is out of reach."""
    repo = team.repo
    good = (repo.path / ".env.server").read_text()
    bad = good.replace("PORT=", f"PORT={MARK}") + f"QUOTED={MARK}\n{MARK}\n{MARK}==\nNEW={MARK}\nOPEN='{MARK}\n"
    template = repo.path / "desired_state" / "observer" / "env.template"
    template.write_text(template.read_text().replace("PORT=", "# @type int\nPORT="))
    (repo.path / ".env.server").write_text(bad)
    said = team.run("env", "check", expect=1).stdout
    for word in ("wrong-type: PORT should be a whole number", "duplicate: QUOTED", "unknown: NEW", "unreadable: OPEN"):
        assert word in said
    assert "unknown: the key on line" in said
    team.run("env", "encrypt", expect=1)
    assert not team.encrypted.exists()
    team.run("env", "diff", expect=1)
    team.run("plan", expect=1)

    (repo.path / ".env.server").write_text(good)
    team.run("env", "encrypt", expect=0)
    repo.edit({"env.values": ".env.server.age"})
    team.run("env", "encrypt", expect=1)
    (repo.path / ".env.server").unlink()
    before = team.encrypted.read_bytes()
    team.edit('sed -i "s/^PORT=.*/PORT=x/" "$1"', expect=1)
    team.edit("exit 1", expect=1)
    assert team.encrypted.read_bytes() == before
    team.encrypted.write_bytes(before[: len(before) // 2])
    for command in (("env", "check"), ("env", "edit"), ("plan",)):
        team.run(*command, expect=1)
    team.encrypted.write_bytes(before)
    repo.edit({"targets.demo.port": 1})
    team.run("env", "diff", expect=6)


def test_a_program_gives_the_values(team: Team) -> None:
    """SOPS, a password manager, or `cat`: run in deploy.yaml's directory; what it says when it fails isn't shown."""
    repo = team.repo
    (repo.path / ".env.server").rename(repo.path.parent / "vault")
    repo.edit({"env.values": {"command": ["cat", "../vault"]}, "env.identity": None, "env.recipients": None})
    repo.commit("From the vault")
    team.run("env", "check", expect=0)
    team.run("--once", expect=0)
    assert team.diff(expect=0) == {}
    repo.edit({"env.values": {"command": ["sh", "-c", "cat ../vault; cat ../vault >&2; exit 3"]}})
    assert "env.values.command: sh ended with 3" in team.run("plan", expect=1).stderr
    team.run("env", "edit", expect=1)
    team.run("env", "encrypt", expect=1)


Written = Callable[[int], tuple[str, str]]
"""From a number to what a person writes after a key, and the value that it means."""

STYLES: tuple[Written, ...] = (
    lambda n: (f"=plain-{n}", f"plain-{n}"),
    lambda n: (f"={n} # a comment", f"{n}"),
    lambda n: (f": colon {n}", f"colon {n}"),
    lambda n: (f" = '$SINGLE ${{{n}}} \"#\" \\n'", f'$SINGLE ${{{n}}} "#" \\n'),
    lambda n: (f"='it\\'s\ntwo lines {n}'", f"it's\ntwo lines {n}"),
    lambda n: (f'="a\\nb\\t\\"{n}\\" \\$x \\\\ \'#\'"', f"a\nb\t\"{n}\" $x \\ '#'"),
    lambda n: (f'="three\n  lines\n{n}"', f"three\n  lines\n{n}"),
    lambda n: (f"=$FIRST-${{FIRST}}-${{EMPTY:-d{n}}}-$$", f"1st-1st-d{n}-$"),
    lambda n: (f"=a#b{n}\r", f"a#b{n}"),
    lambda n: (f"=ünï✓😀 {n}", f"ünï✓😀 {n}"),
    lambda n: ("=''", ""),
    lambda n: (f'="\\0101 \\q {n}" # after', f"A \\q {n}"),
)
"""Every way to write a value that Compose knows."""


@pytest.mark.parametrize("delivery", ["file", "runtime"])
def test_500_keys_in_every_style_reach_the_container_byte_for_byte(job: Job, delivery: str) -> None:
    """Written by a person, read by us, written by us, read by Compose, kept by Docker; and compared, equal."""
    repo = job.repo
    written = {f"MANY_{number}": STYLES[number % len(STYLES)](number) for number in range(500)}
    export = ("", "export ")
    lines = [f"{export[n % 5 == 0]}{key}{text}\n" for n, (key, (text, _)) in enumerate(written.items())]
    values = repo.path / ".env.server"
    values.write_bytes((values.read_text() + "FIRST=1st\nEMPTY=\n" + "".join(lines)).encode())
    repo.edit({"env.template": None, "env.delivery": delivery})
    compose = repo.path / "desired_state" / "observer" / "compose.yaml"
    token = "    environment:\n      API_TOKEN:"
    assert token in compose.read_text()
    compose.write_text(compose.read_text().replace(token, f"    env_file: .env\n{token}"))
    repo.commit("Many")
    assert "507 keys: no template to hold them to" in job.run("env", "check").stdout
    job.once()
    inside = dict(entry.partition("=")[::2] for entry in job.service("web").attrs["Config"]["Env"])
    assert {key: inside.get(key) for key in written} == {key: value for key, (_, value) in written.items()}
    job.run("env", "diff", expect=0)
