"""The files of a release are those that git has, and nothing leads out of their directory."""

from __future__ import annotations

import hashlib
import os
import sys
from pathlib import Path, PurePosixPath

import pytest

from reconciler.adapters.desired import tree as tree_module
from reconciler.adapters.desired.load import load_deploy
from reconciler.adapters.desired.sources import read_sources, read_template, values_path
from reconciler.adapters.git import run as git_run
from reconciler.adapters.git.run import GitFailed, GitMissing, git
from reconciler.model.errors import DesiredStateError
from reconciler.model.sources import SourceTree

HEAD = "apiVersion: reconciler/v1\napp: observer\ntag: 20260122_101500\n"
TARGETS = "targets: {prod: {host: local, deploy_dir: /srv/observer}}\n"
posix_only = pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX files")


class Desk:
    """A directory with a deploy.yaml, in git or not, and an app in app/."""

    def __init__(self, top: Path) -> None:
        self.top = top
        self.file = top / "deploy.yaml"
        self.declare("compose: app/compose.yaml")
        self.write("app/compose.yaml", "services: {}\n")

    def declare(self, *lines: str) -> None:
        self.write("deploy.yaml", HEAD + "\n".join(lines) + "\n" + TARGETS)

    def write(self, path: str, content: str | bytes = "x\n", mode: int = 0o644) -> Path:
        place = self.top / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(content.encode() if isinstance(content, str) else content)
        place.chmod(mode)
        return place

    def git(self, *args: str) -> None:
        git(args, self.top)

    def commit(self) -> None:
        self.git("add", "--all")
        self.git("commit", "--quiet", "--message", "x")

    def read(self) -> SourceTree:
        return read_sources(load_deploy(self.file), self.file)

    def paths(self) -> list[str]:
        return [str(file.path) for file in self.read().files]

    def data(self, path: str) -> bytes:
        return next(file.data for file in self.read().files if file.path == PurePosixPath(path))

    def error(self) -> str:
        """The error's one line, without the directory."""
        with pytest.raises(DesiredStateError) as caught:
            self.read()
        return str(caught.value).removeprefix(str(self.top)).lstrip("/\\")


@pytest.fixture(autouse=True)
def _no_git_settings_of_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    for who in ("AUTHOR", "COMMITTER"):
        monkeypatch.setenv(f"GIT_{who}_NAME", "t")
        monkeypatch.setenv(f"GIT_{who}_EMAIL", "t@example.org")


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    """In git, nothing committed yet."""
    top = tmp_path / "repo"
    top.mkdir()
    desk = Desk(top.resolve())
    desk.git("init", "--quiet")
    return desk


@pytest.fixture
def bare_desk(tmp_path: Path) -> Desk:
    """Without git."""
    top = tmp_path / "plain"
    top.mkdir()
    return Desk(top.resolve())


def test_tracked_and_new_files_are_read_and_ignored_ones_never(desk: Desk) -> None:
    desk.write(".gitignore", "*.secret\n")
    desk.write("app/config/web.conf", "port = 1\n")
    desk.write("outside.txt")
    desk.commit()
    desk.write("app/config/web.conf", "port = 2\n")
    desk.write("app/new.conf")
    desk.write("app/db.secret", "hunter2")
    desk.write("app/.env.prod", "TOKEN=hunter2")

    tree = desk.read()

    assert tree.root == PurePosixPath("app")
    assert tree.compose == (PurePosixPath("compose.yaml"),)
    assert tree.template is None
    assert [(str(file.path), file.data) for file in tree.files] == [
        ("compose.yaml", b"services: {}\n"),
        ("config/web.conf", b"port = 2\n"),
        ("new.conf", b"x\n"),
    ]
    assert tree.files[2].digest == hashlib.sha256(b"x\n").hexdigest()


def test_it_works_before_the_first_commit_and_without_git(desk: Desk, bare_desk: Desk) -> None:
    for each in (desk, bare_desk):
        each.write("app/a/b.conf")
        each.write("app/.env", "TOKEN=hunter2")
        each.write("app/.envs/prod", "TOKEN=hunter2")

        assert each.paths() == ["a/b.conf", "compose.yaml"]


def test_a_file_that_was_deleted_is_left_out(desk: Desk) -> None:
    gone = desk.write("app/gone.conf")
    desk.commit()
    gone.unlink()

    assert desk.paths() == ["compose.yaml"]


def test_several_compose_files_share_their_common_directory(desk: Desk) -> None:
    desk.declare("compose: [base/compose.yaml, base/prod/compose.yaml]")
    desk.write("base/compose.yaml")
    desk.write("base/prod/compose.yaml")
    tree = desk.read()

    assert tree.root == PurePosixPath("base")
    assert [str(path) for path in tree.compose] == ["compose.yaml", "prod/compose.yaml"]


def test_paths_are_relative_to_deploy_yaml_and_may_go_up_in_the_repository(desk: Desk) -> None:
    desk.file.unlink()
    desk.file = desk.top / "stages" / "deploy.yaml"
    desk.write("stages/deploy.yaml", HEAD + "compose: ../app/compose.yaml\n" + TARGETS)

    assert desk.read().root == PurePosixPath("app")


def test_a_compose_file_at_the_top_takes_the_whole_repository(desk: Desk) -> None:
    desk.declare("compose: compose.yaml")
    desk.write("compose.yaml")
    tree = desk.read()

    assert tree.root == PurePosixPath()
    assert [str(file.path) for file in tree.files] == ["app/compose.yaml", "compose.yaml", "deploy.yaml"]


@posix_only
def test_the_executable_bit_is_gits(desk: Desk) -> None:
    tracked = desk.write("app/tracked.sh", mode=0o755)
    desk.commit()
    tracked.chmod(0o600)
    desk.write("app/new.sh", mode=0o700)

    modes = {str(file.path): oct(file.mode) for file in desk.read().files}
    assert modes == {"compose.yaml": "0o644", "new.sh": "0o755", "tracked.sh": "0o755"}


def test_line_endings_are_gits(desk: Desk) -> None:
    desk.write("app/text.conf", "a\nb\n")
    desk.write("app/crlf.conf", "a\r\nb\r\n")
    desk.write("app/binary", b"\0\r\n")
    desk.commit()
    desk.write("app/text.conf", "a\r\nb\r\n")
    desk.write("app/new.conf", "c\r\n")
    assert desk.data("text.conf") == b"a\r\nb\r\n"  # without a conversion git would store it so

    desk.git("config", "core.autocrlf", "true")
    assert desk.data("text.conf") == b"a\nb\n"
    assert desk.data("new.conf") == b"c\n"
    assert desk.data("crlf.conf") == b"a\r\nb\r\n"  # git leaves what it stores with CRLF
    assert desk.data("binary") == b"\0\r\n"


def test_line_endings_follow_gitattributes(desk: Desk) -> None:
    desk.write(".gitattributes", "*.conf text=auto\n*.bat text eol=crlf\n*.raw -text\n")
    for name in ("a.conf", "b.bat", "c.raw"):
        desk.write(f"app/{name}", "a\r\n")

    assert [desk.data(name) for name in ("a.conf", "b.bat", "c.raw")] == [b"a\n", b"a\n", b"a\r\n"]


@posix_only
def test_a_link_inside_is_followed(desk: Desk) -> None:
    desk.write("app/real.sh", "real\n", mode=0o755)
    (desk.top / "app/link.sh").symlink_to("real.sh")
    link = next(file for file in desk.read().files if file.path.name == "link.sh")

    assert (link.data, link.mode) == (b"real\n", 0o755)


@posix_only
@pytest.mark.parametrize("target", ["/etc/passwd", "../outside", "../../beyond", "nowhere", "link", ".", "ignored"])
def test_a_link_to_what_is_not_sent_is_refused(desk: Desk, bare_desk: Desk, target: str) -> None:
    for each in (desk, bare_desk):
        each.write("outside", "hunter2")
        each.write("../beyond", "hunter2")
        each.write(".gitignore", "ignored\n")
        if each is desk:
            each.write("app/ignored", "hunter2")
        (each.top / "app/link").symlink_to(target)

        assert each.error() == (
            "deploy.yaml:4: compose: `app/link` is a symbolic link to something that isn't sent with it; "
            "only files in the Compose files' directory are sent, and none that git ignores"
        )


@posix_only
def test_a_tracked_directory_replaced_by_a_link_is_refused(desk: Desk, tmp_path: Path) -> None:
    desk.write("app/config/a.conf")
    desk.commit()
    desk.write(".gitignore", "config\n")
    (desk.top / "app/config").rename(tmp_path / "elsewhere")
    (desk.top / "app/config").symlink_to(tmp_path / "elsewhere")

    assert desk.error() == (
        "deploy.yaml:4: compose: `app/config` is a symbolic link where git has a directory; put the directory back"
    )


def test_a_link_that_the_checkout_holds_as_text_is_refused(desk: Desk) -> None:
    """As on Windows without developer mode: its content is the name that it leads to."""
    link = desk.write("app/link", "compose.yaml")
    blob = git(["hash-object", "-w", "app/link"], desk.top).decode().strip()
    desk.git("update-index", "--add", "--cacheinfo", f"120000,{blob},app/link")

    assert not link.is_symlink()
    assert desk.error() == (
        "deploy.yaml:4: compose: `app/link` is a symbolic link that this checkout holds as text; "
        "git config core.symlinks true"
    )


@posix_only
def test_a_linked_directory_is_refused_without_git_too(bare_desk: Desk, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (bare_desk.top / "app/config").symlink_to(tmp_path / "elsewhere")

    assert bare_desk.error().startswith("deploy.yaml:4: compose: `app/config` is a symbolic link")


@pytest.mark.parametrize(
    ("compose", "message"),
    [
        ("../compose.yaml", "`../compose.yaml` leads out of the repository"),
        ("app/../../x/compose.yaml", "`app/../../x/compose.yaml` leads out of the repository"),
        ("app/missing.yaml", "`app/missing.yaml` doesn't exist"),
        ("app", "`app` is a directory"),
        (".", "`.` is a directory"),
        (
            "app/ignored.yaml",
            "`app/ignored.yaml` isn't a file that git would add; is it ignored, or spelt otherwise?",
        ),
        (".git/config", "`.git/config` isn't a file that git would add; is it ignored, or spelt otherwise?"),
    ],
)
def test_a_compose_path_has_to_be_a_file_of_the_repository(desk: Desk, compose: str, message: str) -> None:
    desk.declare(f"compose: {compose}")
    desk.write(".gitignore", "ignored.yaml\n")
    desk.write("app/ignored.yaml")
    desk.write("../compose.yaml")

    assert desk.error() == f"deploy.yaml:4: compose: {message}"


def test_the_right_one_of_several_compose_paths_is_named(desk: Desk) -> None:
    desk.declare("compose:", "  - app/compose.yaml", "  - ../x.yaml")

    assert desk.error() == "deploy.yaml:6: compose[1]: `../x.yaml` leads out of the repository"


def test_without_git_nothing_leads_out_of_the_directory(bare_desk: Desk) -> None:
    bare_desk.declare("compose: ../compose.yaml")
    bare_desk.write("../compose.yaml")

    assert bare_desk.error() == "deploy.yaml:4: compose: `../compose.yaml` leads out of deploy.yaml's directory"


@posix_only
def test_a_compose_path_never_leaves_through_a_link(desk: Desk, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "compose.yaml").write_text("services: {}\n")
    (desk.top / "linked").symlink_to(outside)
    (desk.top / "app/linked.yaml").symlink_to(outside / "compose.yaml")
    (desk.top / "loop").symlink_to("loop")
    for compose in ("linked/compose.yaml", "app/linked.yaml"):
        desk.declare(f"compose: {compose}")
        assert desk.error() == (
            f"deploy.yaml:4: compose: `{compose}` leads out of the repository through a symbolic link"
        )

    desk.declare("compose: loop/compose.yaml")
    assert desk.error() == ("deploy.yaml:4: compose: `loop/compose.yaml` leads through a symbolic link that has no end")


@posix_only
def test_a_linked_directory_inside_the_repository_is_its_real_self(desk: Desk) -> None:
    (desk.top / "current").symlink_to("app")
    desk.declare("compose: current/compose.yaml")

    assert desk.read().root == PurePosixPath("app")


@posix_only
def test_special_files_are_refused_and_never_waited_for(desk: Desk, bare_desk: Desk) -> None:
    os.mkfifo(bare_desk.top / "app/fifo")
    assert bare_desk.error() == "deploy.yaml:4: compose: `app/fifo` isn't a regular file"

    tracked = desk.write("app/tracked")
    desk.commit()
    tracked.unlink()
    os.mkfifo(tracked)
    assert desk.error() == "deploy.yaml:4: compose: `app/tracked` isn't a regular file"

    desk.declare("compose: app/tracked")
    assert desk.error() == "deploy.yaml:4: compose: `app/tracked` isn't a regular file"


def test_a_repository_in_the_repository_is_refused(desk: Desk) -> None:
    git(["init", "--quiet", "app/nested"], desk.top)
    nested = desk.write("app/nested/file")
    git(["add", "file"], nested.parent)
    git(["commit", "--quiet", "--message=x"], nested.parent)
    message = "deploy.yaml:4: compose: `app/nested` is a git repository of its own; copy its files here, or ignore it"

    assert desk.error() == message
    desk.git("add", "app/nested")
    assert desk.error() == message


def test_a_merge_conflict_is_refused(desk: Desk) -> None:
    desk.commit()
    desk.git("checkout", "--quiet", "-b", "other")
    desk.write("app/compose.yaml", "services: {a: {}}\n")
    desk.commit()
    desk.git("checkout", "--quiet", "-")
    desk.write("app/compose.yaml", "services: {b: {}}\n")
    desk.commit()
    with pytest.raises(GitFailed):
        desk.git("merge", "other")

    assert desk.error() == (
        "deploy.yaml:4: compose: `app/compose.yaml` has a merge conflict; resolve it and `git add` the file"
    )


def test_too_much_is_refused_before_it_is_read(desk: Desk, bare_desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tree_module, "MOST_FILES", 3)
    hint = "give the Compose files a directory of their own, or ignore what the app doesn't need"
    for each in (desk, bare_desk):
        for name in ("a", "b"):
            each.write(f"app/{name}")
        assert len(each.read().files) == 3

        each.write("app/c")
        assert each.error() == f"deploy.yaml:4: compose: `app` holds more than 3 files; {hint}"

        (each.top / "app/c").unlink()
        with (each.top / "app/a").open("wb") as large:
            large.truncate(40 * 2**20)
        assert len(each.read().files) == 3
        with (each.top / "app/b").open("wb") as large:
            large.truncate(30 * 2**20)
        assert each.error() == f"deploy.yaml:4: compose: `app` holds more than 64 MiB; {hint}"


def test_values_that_git_tracks_are_refused(desk: Desk) -> None:
    desk.declare("compose: app/compose.yaml", "env: {values: .env.server}")
    desk.write(".env.server", "TOKEN=hunter2")
    assert desk.paths() == ["compose.yaml"]

    desk.git("add", ".env.server")
    assert desk.error() == (
        "deploy.yaml:5: env.values: is tracked by git in plain text; "
        "`git rm --cached` it, ignore it, and change the secrets that it held"
    )


@posix_only
def test_values_behind_a_link_that_git_tracks_are_refused(desk: Desk) -> None:
    desk.declare("compose: app/compose.yaml", "env: {values: values}")
    desk.write(".gitignore", "values\n")
    desk.write("real", "TOKEN=hunter2")
    (desk.top / "values").symlink_to("real")
    desk.git("add", "real")

    assert "is tracked by git" in desk.error()


def test_values_are_never_among_the_sources(desk: Desk, bare_desk: Desk) -> None:
    for each in (desk, bare_desk):
        each.declare("compose: app/compose.yaml", "env: {values: app/values.txt}")
        each.write("app/values.txt", "TOKEN=hunter2")

        assert each.paths() == ["compose.yaml"]


def test_the_place_of_the_values(desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    for written, place in [
        (".env.server", desk.top / ".env.server"),
        ("../secrets/prod.env", tmp_path / "secrets" / "prod.env"),
        ("~/prod.env", tmp_path / "prod.env"),
        (str(tmp_path / "abs.env"), tmp_path / "abs.env"),
    ]:
        desk.declare("compose: app/compose.yaml", f"env: {{values: '{written}'}}")
        assert values_path(load_deploy(desk.file), desk.file) == place
        desk.read()

    desk.declare("compose: app/compose.yaml")
    assert values_path(load_deploy(desk.file), desk.file) is None
    desk.declare("compose: app/compose.yaml", "env: {values: ~no-such-user/x}")
    assert desk.error() == "deploy.yaml:5: env.values: starts with a home directory that isn't known"


def test_the_template_is_read_from_the_repository(desk: Desk) -> None:
    desk.declare("compose: app/compose.yaml", "env: {template: env.template}")
    desk.write("env.template", "\ufeffTOKEN=\r\nPORT=80\r\n")
    deploy = load_deploy(desk.file)

    assert desk.read().template == PurePosixPath("env.template")
    assert read_template(deploy, desk.file) == "TOKEN=\r\nPORT=80\r\n"
    desk.declare("compose: app/compose.yaml")
    assert read_template(load_deploy(desk.file), desk.file) is None


@pytest.mark.parametrize(
    ("template", "message"),
    [
        ("../env.template", "`../env.template` leads out of the repository"),
        ("missing", "`missing` doesn't exist"),
        ("app", "`app` is a directory"),
        ("latin", "`latin` isn't UTF-8 text; save it as UTF-8"),
    ],
)
def test_a_template_that_cannot_be_read_is_named(desk: Desk, template: str, message: str) -> None:
    desk.declare("compose: app/compose.yaml", f"env: {{template: {template}}}")
    desk.write("latin", b"\xe4")

    with pytest.raises(DesiredStateError) as caught:
        read_template(load_deploy(desk.file), desk.file)
    assert str(caught.value) == f"{desk.file}:5: env.template: {message}"


def test_unusual_names_are_read_as_they_are(desk: Desk) -> None:
    names = ["[a]*.conf", "with space", "ümlaut"] + ([] if sys.platform == "win32" else ["tab\there", ":(top)x"])
    for name in names:
        desk.write(f"app/{name}")

    assert desk.paths() == sorted([*names, "compose.yaml"])


@posix_only
def test_a_directory_named_like_a_pattern_is_a_directory(desk: Desk) -> None:
    desk.declare("compose: ':(magic)*/compose.yaml'")
    desk.write(":(magic)*/compose.yaml")

    assert desk.paths() == ["compose.yaml"]


def test_without_the_git_program_a_repository_is_refused_and_a_directory_read(
    desk: Desk, bare_desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without git nobody knows what is ignored, and so might be a secret."""
    monkeypatch.setenv("PATH", "")

    assert bare_desk.paths() == ["compose.yaml"]
    assert desk.error() == (
        "deploy.yaml:4: compose: git isn't installed on this machine, or not on the PATH; "
        "it knows which files are ignored, and so never sent"
    )


def test_a_git_error_is_not_taken_for_no_git(desk: Desk) -> None:
    (desk.top / ".git/HEAD").write_text("broken")

    with pytest.raises(GitFailed, match="git ls-files: fatal: "):
        desk.read()


def test_a_hooks_environment_leads_nowhere_else(desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE"):
        monkeypatch.setenv(name, str(tmp_path / "other"))

    assert desk.paths() == ["compose.yaml"]


def test_git_says_why_it_failed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(GitFailed) as failed:
        git(["rev-parse", "--verify", "nothing"], tmp_path)
    assert failed.value.status == 128

    with pytest.raises(GitFailed, match="there is no directory"):
        git(["status"], tmp_path / "missing")

    with pytest.raises(GitFailed, match="git hash-object: no answer in 0 s"):
        git(["hash-object", "--stdin"], tmp_path, timeout=0)

    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(GitMissing):
        git_run.git(["status"], tmp_path)
