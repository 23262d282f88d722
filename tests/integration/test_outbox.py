"""What goes back to the repository, by real git: in one commit, on top of whatever is there, and never lost."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import pytest

from reconciler.adapters.git.clone import Clone
from reconciler.adapters.git.remote import Remote
from reconciler.adapters.git.run import GitFailed
from reconciler.adapters.records.outbox import PushedRecords, WriteBack, forget_unwritten
from reconciler.adapters.records.queue import Queue

DEPLOY = """\
# What runs, and where.
app: shop   # ours
tag: '20260101_000002'   # the line that a release changes
targets: {prod: {host: local}}
"""
BACK = WriteBack(leaving="20260101_000002", back="20260101_000001", record="rollback_1")


@dataclass
class Office:
    """A bare repository that others push to as well, and an outbox for it."""

    root: Path
    branch: str | None = None

    @property
    def remote(self) -> Path:
        return self.root / "remote.git"

    @property
    def records(self) -> Path:
        return self.root / "records"

    @property
    def queue(self) -> Queue:
        return Queue(self.root / "unpushed")

    def outbox(self) -> PushedRecords:
        return PushedRecords(
            Clone(self.root / "clone", Remote(str(self.remote)), "main"),
            self.queue,
            self.records,
            into=PurePosixPath("ops/run_records"),
            deploy_file=PurePosixPath("deploy.yaml"),
            branch=self.branch,
            state=self.root,
        )

    def record(self, name: str, text: str = "told") -> None:
        """A record that waits."""
        self.queue.add(f"{name}.md")
        (self.records / f"{name}.md").write_text(text)

    def git(self, *arguments: str) -> str:
        command = ["git", "-C", str(self.root / "work"), *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout

    def push(self, files: Mapping[str, str]) -> None:
        """What somebody else pushes."""
        self.git("pull", "--quiet", "--rebase", "origin", "main")
        for path, text in files.items():
            (self.root / "work" / path).write_text(text)
        self.git("add", "--all")
        self.git("commit", "--quiet", "-m", "theirs")
        self.git("push", "--quiet", "origin", "HEAD:main")

    def there(self, branch: str = "main") -> dict[str, str]:
        """Path to content of everything at the remote."""
        run = ["git", "-C", str(self.remote)]
        listed = subprocess.run([*run, "ls-tree", "-r", "--name-only", branch], capture_output=True, text=True)
        return {
            path: subprocess.run([*run, "show", f"{branch}:{path}"], capture_output=True, text=True).stdout
            for path in listed.stdout.splitlines()
        }

    def commits(self, branch: str = "main") -> int:
        """How many the remote has."""
        run = ["git", "-C", str(self.remote), "rev-list", "--count", branch]
        return int(subprocess.run(run, capture_output=True, text=True, check=True).stdout)


@pytest.fixture
def office(tmp_path: Path) -> Office:
    """deploy.yaml at the remote, nothing waiting."""
    office = Office(tmp_path)
    subprocess.run(["git", "init", "-q", "--bare", "-b", "main", str(office.remote)], check=True)
    subprocess.run(["git", "init", "-q", "-b", "main", str(tmp_path / "work")], check=True)
    for name, value in (("user.name", "Dev"), ("user.email", "dev@example.invalid"), ("commit.gpgsign", "false")):
        office.git("config", name, value)
    office.git("remote", "add", "origin", str(office.remote))
    (tmp_path / "work" / "deploy.yaml").write_text(DEPLOY)
    office.git("add", "--all")
    office.git("commit", "--quiet", "-m", "first")
    office.git("push", "--quiet", "origin", "HEAD:main")
    office.records.mkdir()
    return office


def test_everything_that_waits_goes_in_one_commit(office: Office) -> None:
    for number in range(30):
        office.record(f"heal_{number:02}")
    outbox = office.outbox()
    outbox.push()
    assert len(office.there()) == 31
    assert office.commits() == 2
    assert outbox.is_empty()
    outbox.push()
    assert office.commits() == 2


def test_a_remote_that_is_down_loses_nothing(office: Office) -> None:
    office.record("deploy_1")
    away = office.remote.rename(office.root / "away")
    with pytest.raises(GitFailed):
        office.outbox().push()
    office.record("deploy_2")
    away.rename(office.remote)
    office.outbox().push()
    assert {"ops/run_records/deploy_1.md", "ops/run_records/deploy_2.md"} < set(office.there())


def test_others_that_push_at_the_same_time_are_built_upon(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody is faster between our fetch and our push, three times over; nothing of theirs or ours is lost."""
    outbox, pushes = office.outbox(), iter(range(3))
    real = Clone.git_far

    def meanwhile(self: Clone, *args: str, cwd: Path | None = None) -> bytes:
        if args[0] == "push" and (number := next(pushes, None)) is not None:
            office.push({f"theirs-{number}": "theirs"})
        return real(self, *args, cwd=cwd)

    monkeypatch.setattr(Clone, "git_far", meanwhile)
    office.record("deploy_1")
    outbox.push()
    assert set(office.there()) == {"deploy.yaml", "ops/run_records/deploy_1.md", "theirs-0", "theirs-1", "theirs-2"}
    assert outbox.is_empty()


def test_a_branch_that_may_not_be_pushed_to_keeps_everything_waiting(office: Office) -> None:
    """A protected branch: the hook of the remote says no. Another branch, begun where the followed one is, works."""
    hook = office.remote / "hooks" / "pre-receive"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text('#!/bin/sh\nread -r _ _ ref\n[ "$ref" != refs/heads/main ] || { echo protected >&2; exit 1; }\n')
    hook.chmod(0o755)
    office.record("deploy_1")
    with pytest.raises(GitFailed, match="protected"):
        office.outbox().push()
    assert office.commits() == 1
    office.branch = "reconciler/records"
    office.outbox().push()
    assert "ops/run_records/deploy_1.md" in office.there("reconciler/records")
    assert office.commits("reconciler/records") == 2
    assert office.outbox().is_empty()


def test_a_record_that_is_written_again_is_pushed_again(office: Office) -> None:
    office.record("heal_1", "open")
    office.outbox().push()
    office.record("heal_1", "closed")
    office.outbox().push()
    assert office.there()["ops/run_records/heal_1.md"] == "closed"


def test_what_is_written_while_we_push_waits_on(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    outbox, real = office.outbox(), Clone.git_far

    def meanwhile(self: Clone, *args: str, cwd: Path | None = None) -> bytes:
        if args[0] == "push":
            office.record("heal_1", "closed")
        return real(self, *args, cwd=cwd)

    office.record("heal_1", "open")
    with monkeypatch.context() as patched:
        patched.setattr(Clone, "git_far", meanwhile)
        outbox.push()
    assert not outbox.is_empty()
    outbox.push()
    assert office.there()["ops/run_records/heal_1.md"] == "closed"


def test_a_name_without_a_record_goes_when_its_process_is_gone(office: Office) -> None:
    office.queue.add("deploy_1.md")
    office.outbox().push()
    assert not office.outbox().is_empty(), "it may be about to be written"
    forget_unwritten(office.queue, office.records)
    assert office.outbox().is_empty()


class TestWriteBack:
    """`rollback.write_back`."""

    def test_only_the_tag_changes(self, office: Office) -> None:
        outbox = office.outbox()
        outbox.write_back(BACK)
        office.record("rollback_1")
        outbox.push()
        assert office.there()["deploy.yaml"] == DEPLOY.replace("'20260101_000002'", '"20260101_000001"')
        assert office.commits() == 2
        assert office.outbox().is_empty()

    def test_somebody_who_asks_for_another_tag_by_now_is_left_alone(self, office: Office) -> None:
        newer = DEPLOY.replace("000002", "000003")
        outbox = office.outbox()
        outbox.write_back(BACK)
        office.push({"deploy.yaml": newer})
        outbox.push()
        assert office.there()["deploy.yaml"] == newer
        assert outbox.is_empty()

    def test_it_survives_the_process(self, office: Office) -> None:
        office.outbox().write_back(BACK)
        office.outbox().push()
        assert '"20260101_000001"' in office.there()["deploy.yaml"]

    def test_a_file_that_cannot_be_changed_keeps_the_records_from_nothing(self, office: Office) -> None:
        """deploy.yaml was broken by somebody: the records go all the same."""
        office.push({"deploy.yaml": "tag: [\n"})
        outbox = office.outbox()
        outbox.write_back(BACK)
        office.record("rollback_1")
        outbox.push()
        assert "ops/run_records/rollback_1.md" in office.there()
        assert office.there()["deploy.yaml"] == "tag: [\n"
