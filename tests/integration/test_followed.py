"""The followed branch, by real git: what a remote may do to us, and what it then doesn't get us to do."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import pytest

from reconciler.adapters.git.clone import Clone
from reconciler.adapters.git.remote import Remote
from reconciler.adapters.git.run import GitFailed
from reconciler.daemon.lineage import Untrusted, deployable
from reconciler.daemon.source import Followed, Memory
from reconciler.model.errors import DesiredStateError, ReconcilerError

RECORDS = PurePosixPath("ops/run_records")


@dataclass
class Desk:
    """A developer's clone of a bare repository, and ours."""

    work: Path
    remote: Path
    clone: Clone
    state: Path
    superseded: tuple[str, ...] = ()

    def git(self, *arguments: str) -> str:
        command = ["git", "-C", str(self.work), *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

    def commit(self, text: str, *, path: str = "deploy.yaml", key: Path | None = None) -> str:
        """Writes, commits (signed by `key`) and pushes; the commit's id."""
        file = self.work / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        self.git("add", "--all")
        signed = ["-c", "gpg.format=ssh", "-c", f"user.signingkey={key}"] if key else []
        self.git(*signed, "commit", "--quiet", "--allow-empty", "-m", text[:40] or "x", *(["-S"] if key else []))
        self.git("push", "--quiet", "origin", "HEAD:main")
        return self.git("rev-parse", "HEAD")

    def source(self, *, signed: bool = False, refuse: Callable[[str], bool] = lambda text: False) -> Followed:
        """The source over our clone; a revision is the text of deploy.yaml at its commit."""

        def open_at(file: Path, commit: str, superseded: tuple[str, ...]) -> str:
            text = file.read_text()
            self.superseded = superseded
            if refuse(text):
                raise DesiredStateError("isn't right", file=file.name)
            return f"{commit}:{text}"

        return Followed(
            self.clone,
            Memory(self.state / "accepted.json"),
            open_at,  # type: ignore[arg-type]
            lambda commit: (self.clone.read(commit, "deploy.yaml") or b"").decode(),
            branch="main",
            path=PurePosixPath("deploy.yaml"),
            records=RECORDS,
            signed=signed,
        )


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    """One commit at the remote, nothing fetched yet; signed commits are checked against `allowed`."""
    remote, work = tmp_path / "remote.git", tmp_path / "work"
    subprocess.run(["git", "init", "-q", "--bare", "-b", "main", str(remote)], check=True)
    subprocess.run(["git", "init", "-q", "-b", "main", str(work)], check=True)
    clone = Clone(tmp_path / "state" / "clone", Remote(str(remote)), "main", tmp_path / "allowed")
    desk = Desk(work, remote, clone, tmp_path / "state")
    for name, value in (("user.name", "Dev"), ("user.email", "dev@example.invalid"), ("commit.gpgsign", "false")):
        desk.git("config", name, value)
    desk.git("remote", "add", "origin", str(remote))
    desk.commit("one")
    return desk


@pytest.fixture
def key(desk: Desk, tmp_path: Path) -> Path:
    """The key of an allowed signer."""
    return _key(tmp_path, "dev", tmp_path / "allowed")


def test_a_commit_is_taken_with_its_files_as_they_were_committed(desk: Desk) -> None:
    source = desk.source()
    (desk.work / ".gitattributes").write_text("* text=auto\n")
    second = desk.commit("two\r\nlines", path="deploy.yaml")
    assert taken(source) == f"{second}:two\nlines"
    third = desk.commit("three")
    assert taken(source) == f"{third}:three"
    assert Memory(desk.state / "accepted.json").accepted == third


def test_tags_that_nobody_saw_run_are_named(desk: Desk) -> None:
    """Here a tag is the whole text: three merges between two fetches, one of which changed nothing of it."""
    source = desk.source()
    told = []
    source.poll()
    told.append(desk.superseded)
    for text in ("two", "three", "three", "one", "four"):
        desk.commit(text)
    for _ in range(2):
        source.poll()
        told.append(desk.superseded)
    assert told == [(), ("two", "three"), ()], "the first and the last of them ran, or will"


def test_a_rewritten_branch_changes_nothing_until_a_person_vouches_for_it(desk: Desk) -> None:
    """P1: somebody force-pushes a history without what was deployed; ours stays, also over a restart."""
    desk.commit("two")
    deployed = taken(desk.source())
    desk.git("reset", "--quiet", "--hard", "HEAD~1")
    desk.git("commit", "--quiet", "--allow-empty", "-m", "another two")
    desk.git("push", "--quiet", "--force", "origin", "HEAD:main")
    rewritten = desk.git("rev-parse", "HEAD")
    for _ in range(2):
        source = desk.source()
        assert source.resume() == deployed
        with pytest.raises(Untrusted, match=r"was rewritten.*reconcile run --accept"):
            source.poll()
    Memory(desk.state / "accepted.json").accept(desk.clone.resolve(rewritten[:10]))
    assert taken(desk.source()) == f"{rewritten}:one"


def test_a_remote_that_is_gone_or_empty_is_an_error_and_the_last_commit_stays(desk: Desk) -> None:
    source = desk.source()
    deployed = taken(source)
    desk.remote.rename(desk.remote.with_suffix(".away"))
    with pytest.raises(GitFailed):
        source.poll()
    subprocess.run(["git", "init", "-q", "--bare", "-b", "main", str(desk.remote)], check=True)
    with pytest.raises(GitFailed):
        source.poll()
    assert desk.source().resume() == deployed
    shutil.rmtree(desk.remote)
    desk.remote.with_suffix(".away").rename(desk.remote)
    assert taken(source) == deployed


@pytest.mark.parametrize("damage", ["objects", "head", "config", "everything", "half a pack"])
def test_a_broken_clone_is_made_anew(desk: Desk, damage: str) -> None:
    """Half-fetched or rotten: what can't be read is fetched again, and nothing is asked of a person."""
    source, bare = desk.source(), desk.state / "clone" / "repo.git"
    source.poll()
    shutil.rmtree(desk.state / "clone" / "trees")
    match damage:
        case "objects":
            shutil.rmtree(bare / "objects")
            (bare / "objects").mkdir()
        case "head":
            (bare / "HEAD").write_text("rubbish")
        case "config":
            (bare / "config").write_text("[core\n")
        case "everything":
            shutil.rmtree(bare)
        case _:
            for file in [*(bare / "objects").rglob("*")]:
                if file.is_file():
                    file.chmod(0o644)
                    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    second = desk.commit("two")
    found: object = None
    for _ in range(2):  # the poll that finds it out may have nothing better to offer
        try:
            found = taken(desk.source())
        except GitFailed:
            continue
    assert found == f"{second}:two"


def test_a_clone_on_a_full_disk_is_an_error_and_heals(desk: Desk, tmp_path: Path) -> None:
    small = tmp_path / "small"
    small.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(small)], check=True)
    try:
        desk.clone = Clone(small / "clone", Remote(str(desk.remote)), "main")
        desk.state = small
        first = taken(desk.source())
        (small / "filler").write_bytes(b"\0" * (1200 * 1024))
        desk.commit("x" * 900_000 + _noise(900_000), path="large")
        with pytest.raises(ReconcilerError):
            desk.source().poll()
        assert desk.source().resume() == first
        (small / "filler").unlink()
        desk.git("rm", "--quiet", "large")
        third = desk.commit("three")
        subprocess.run(["mount", "-o", "remount,size=64m", str(small)], check=True)
        assert taken(desk.source()) == f"{third}:three"
    finally:
        subprocess.run(["umount", str(small)], check=True)


def test_a_refused_deploy_file_leaves_the_commit_before_deployed(desk: Desk) -> None:
    source = desk.source(refuse=lambda text: text == "wrong")
    deployed = taken(source)
    desk.commit("wrong")
    with pytest.raises(DesiredStateError):
        source.poll()
    assert desk.source().resume() == deployed
    third = desk.commit("right")
    assert taken(source) == f"{third}:right"


class TestSigned:
    """`git.require_signed`."""

    def test_only_what_an_allowed_signer_signed_is_deployed(self, desk: Desk, key: Path, tmp_path: Path) -> None:
        source = desk.source(signed=True)
        good = desk.commit("signed", key=key)
        assert taken(source) == f"{good}:signed"
        desk.commit("not signed")
        with pytest.raises(Untrusted, match="isn't signed"):
            source.poll()
        desk.commit("by a stranger", key=_key(tmp_path, "stranger", None))
        with pytest.raises(Untrusted, match="isn't signed"):
            source.poll()
        signed_on_top = desk.commit("vouched for", key=key)
        assert taken(source) == f"{signed_on_top}:vouched for"

    def test_our_own_records_need_no_signature(self, desk: Desk, key: Path) -> None:
        """A commit of records is passed over: what is deployed is the signed one below."""
        good = desk.commit("signed", key=key)
        desk.commit("a record", path=f"{RECORDS}/deploy_1.md")
        desk.commit("another", path=f"{RECORDS}/deploy_2.md")
        assert taken(desk.source(signed=True)) == f"{good}:signed"

    def test_a_record_beside_another_change_needs_one(self, desk: Desk, key: Path) -> None:
        desk.commit("signed", key=key)
        (desk.work / "deploy.yaml").write_text("smuggled")
        desk.commit("a record", path=f"{RECORDS}/deploy_1.md")
        with pytest.raises(Untrusted, match="isn't signed"):
            desk.source(signed=True).poll()

    def test_an_old_signed_commit_that_is_put_in_front_again_is_refused(self, desk: Desk, key: Path) -> None:
        """The replay: the branch is set back to a commit that was properly signed, last month."""
        desk.commit("old and signed", key=key)
        old = desk.git("rev-parse", "HEAD")
        desk.commit("new and signed", key=key)
        source = desk.source(signed=True)
        source.poll()
        desk.git("push", "--quiet", "--force", "origin", f"{old}:main")
        with pytest.raises(Untrusted, match="was rewritten"):
            source.poll()

    def test_an_old_signed_commit_under_an_unsigned_merge_is_no_way_back(self, desk: Desk, key: Path) -> None:
        """First parent of a merge: the old one. Everything on top of it only 'brings records'."""
        old = desk.commit("old and signed", key=key)
        new = desk.commit("new and signed", key=key)
        assert taken(desk.source(signed=True)) == f"{new}:new and signed"
        desk.git("checkout", "--quiet", "--detach", old)
        desk.git("merge", "--quiet", "--no-ff", "-s", "ours", "-m", "merge", new)
        desk.git("push", "--quiet", "origin", "HEAD:main")
        head = desk.clone.fetch()
        found = deployable(desk.clone, head, new, branch="main", signed=True, records=RECORDS)
        assert found == new

    def test_without_the_file_of_signers_nothing_is_believed(self, desk: Desk, key: Path, tmp_path: Path) -> None:
        desk.commit("signed", key=key)
        (tmp_path / "allowed").unlink()
        with pytest.raises(GitFailed, match="there is no file"):
            desk.source(signed=True).poll()


def test_a_memory_that_cannot_be_read_trusts_nothing(desk: Desk) -> None:
    desk.source().poll()
    (desk.state / "accepted.json").write_text("{")
    with pytest.raises(ReconcilerError, match="can't be read"):
        desk.source().poll()


def taken(source: Followed) -> object:
    """What the source gives: here the text of deploy.yaml and its commit."""
    return source.poll()


def _key(directory: Path, name: str, allowed: Path | None) -> Path:
    key = directory / f"{name}.key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)], check=True)
    if allowed is not None:
        allowed.write_text(f"dev@example.invalid {key.with_suffix('.key.pub').read_text()}")
    return key


def _noise(size: int) -> str:
    """Text that git can't make small."""
    return os.urandom(size).hex()
