"""Every kind of change that a person, or a container, may make in our part of deploy_dir, and what is found of it."""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.integration.placed import NEW, ODD, OLD, SECRET, SINGLE_SHA, TREE_SHA

CONFS = f".reconciler/files/{TREE_SHA}/confs"
SINGLE = f".reconciler/files/{SINGLE_SHA}/app.conf"
IN_CONFS = tuple(f"{CONFS}/{name}" for name in ("a.conf", "run.sh", "deep", "deep/-n", ODD))
STATE, BACKUP, KEY = (f".reconciler/{name}" for name in ("state.json", "state.backup.json", "key"))
COMPOSE, ENV = f"releases/{NEW}/compose.yaml", f"releases/{NEW}/.env"

Change = Callable[[Path], object]


@dataclass(frozen=True)
class Case:
    """`found` are vector, object and how what is found begins; `moved` are the paths that may have another inode
    afterwards, `aside` what has to be on the shelf."""

    name: str
    change: Change
    found: tuple[tuple[str, str, str], ...]
    moved: tuple[str, ...] = ()
    aside: tuple[str, ...] = ()


def write(path: str, data: bytes = b"by hand", mode: int | None = None) -> Change:
    """Into the file as it is, or a new one."""

    def change(root: Path) -> None:
        at = root / path
        before = stat.S_IMODE(at.lstat().st_mode) if at.exists() else 0o644
        at.write_bytes(data)
        at.chmod(before if mode is None else mode)

    return change


def unnoticed(root: Path) -> None:
    """The same length, and the time put back."""
    before = (root / SINGLE).stat()
    (root / SINGLE).write_bytes(b"sINGLE\n")
    os.utime(root / SINGLE, ns=(before.st_atime_ns, before.st_mtime_ns))


def edited(path: str) -> Change:
    """As `sed -i` and editors do: another file in its place."""

    def change(root: Path) -> None:
        (root / path).with_name("tmp~").write_bytes(b"edited")
        (root / path).with_name("tmp~").rename(root / path)
        (root / path).chmod(0o444)

    return change


def remove(path: str) -> Change:
    def change(root: Path) -> None:
        if (root / path).is_dir() and not (root / path).is_symlink():
            shutil.rmtree(root / path)
        else:
            (root / path).unlink()

    return change


def instead(path: str, make: Change) -> Change:
    def change(root: Path) -> None:
        remove(path)(root)
        make(root / path)

    return change


def directory_with(name: str) -> Change:
    def make(at: Path) -> None:
        at.mkdir()
        (at / name).write_bytes(b"in it")

    return make


def link_to(to: str) -> Change:
    return lambda at: at.symlink_to(to)


def foreign_directory(root: Path) -> None:
    (root / "old/sub").mkdir(parents=True)
    (root / "old/sub/f").write_bytes(b"f")
    (root / "old/l").symlink_to("sub")
    (root / "old/sub").chmod(0o555)
    (root / "old").chmod(0o555)


def stabilized(root: Path) -> None:
    text = (root / STATE).read_text()
    assert "stabilizing" in text
    (root / STATE).write_text(text.replace("stabilizing", "stable", 1))


def _content(name: str, change: Change, path: str, found: str = "other content", *, moves: bool = False) -> Case:
    shown = path.replace("\n", "\\n")
    return Case(name, change, (("file", shown, found),), (path,) if moves else (), (path,))


def _mode(name: str, path: str, mode: int) -> Case:
    return Case(f"mode of {name}", lambda root: (root / path).chmod(mode), (("file", path, f"mode {mode:04o}"),))


def _gone(name: str, path: str, *within: str) -> Case:
    return Case(name, remove(path), (("file", path.replace("\n", "\\n"), "nothing"),), (path, *within))


def _stranger(name: str, path: str) -> Case:
    shown = path.replace("\n", "\\n").replace("\t", "\\t")
    return Case(f"foreign, {name}", write(path), (("file", shown, "a file that no release brought"),), aside=(path,))


def _sealed(name: str, change: Change, path: str, found: str) -> Case:
    store = path.rpartition(".")[0]
    return Case(name, change, (("file", path, found),), moved=(f"{store}.seal", f"{store}.tar"))


def _env(name: str, path: str, text: str, *found: tuple[str, str, str]) -> Case:
    return Case(name, write(path, text.encode()), found, (path,), (path,))


def _link(name: str, change: Change, path: str, found: str, *aside: str) -> Case:
    return Case(name, change, (("link", path, found),), (path,), aside)


def _copy(root: Path) -> None:
    shutil.copytree(root / "releases" / OLD, root / "releases/copy")


_A, _B = f"releases/{OLD}", f".reconciler/sealed/{OLD}"
CASES = [
    _content("content, in place", write(SINGLE), SINGLE),
    _content("content, same length and time", unnoticed, SINGLE),
    _content("content, by another file", edited(SINGLE), SINGLE, moves=True),
    _content("content and mode", write(SINGLE, mode=0o600), SINGLE, "other content, mode 0600"),
    _content("content, odd name", write(f"{CONFS}/{ODD}"), f"{CONFS}/{ODD}"),
    _content("content, leading dash", write(f"{CONFS}/deep/-n"), f"{CONFS}/deep/-n"),
    _content("compose.yaml of a release", edited(COMPOSE), COMPOSE, "other content, mode 0444", moves=True),
    _content("manifest", write(f"{_A}/manifest.json"), f"{_A}/manifest.json", moves=True),
    _content("an env file that is none", write(ENV, b'A="unfinished\n'), ENV, moves=True),
    _mode("a file", SINGLE, 0o644),
    _mode("a program: set-uid", f"{CONFS}/run.sh", 0o4755),
    _mode("a secret", f"{_A}/.env", 0o444),
    _mode("a directory", CONFS, 0o777),
    _mode("a directory that nobody can enter", CONFS, 0o000),
    _mode("releases", "releases", 0o777),
    _mode("the store", ".reconciler/sealed", 0o755),
    _mode("the key", KEY, 0o444),
    _mode("last_good_tag", "last_good_tag", 0o666),
    _gone("removed", SINGLE),
    _gone("removed, odd name", f"{CONFS}/{ODD}"),
    _gone("removed, a directory", CONFS, *IN_CONFS),
    _gone("removed, a release", _A, *(f"{_A}/{name}" for name in (".env", "compose.yaml", "manifest.json"))),
    Case(
        "a directory instead",
        instead(SINGLE, directory_with("x")),
        (("file", SINGLE, "a directory"),),
        (SINGLE,),
        (f"{SINGLE}/x",),
    ),
    Case(
        "a link instead", instead(SINGLE, link_to("/etc/hostname")), (("file", SINGLE, "a link"),), (SINGLE,), (SINGLE,)
    ),
    Case(
        "a link instead of a directory",
        instead(CONFS, link_to("/etc")),
        (("file", CONFS, "a link"),),
        (CONFS, *IN_CONFS),
        (CONFS,),
    ),
    Case("a pipe instead", instead(SINGLE, os.mkfifo), (("file", SINGLE, "a device, pipe or socket"),), (SINGLE,)),
    _env(
        "env values",
        ENV,
        f"A={SECRET}\nB=2\nD=4\n",
        ("env", "B", "a value ("),
        ("env", "C", "no such key"),
        ("env", "D", "a value ("),
    ),
    _env(
        "env values of the way back",
        f"{_A}/.env",
        f"A={SECRET}x\nB=two\nC=three\n",
        ("env", f"A of {OLD}", "a value ("),
    ),
    _stranger("at the top", "notes.txt"),
    _stranger("hidden", ".x"),
    _stranger("what Compose would merge", "compose.override.yaml"),
    _stranger("odd name", "-rf \n\\n\t*"),
    _stranger("looks like a line", "x\n8100 0 1 1 1 0 1 .reconciler"),
    _stranger("in a release", f"releases/{NEW}/note.txt"),
    _stranger("in a managed directory", f"{CONFS}/more.conf"),
    _stranger("beside a nested area", "archives/other"),
    _stranger("in our own directory", ".reconciler/x"),
    _stranger("in the store", ".reconciler/sealed/x"),
    Case(
        "foreign, a directory",
        foreign_directory,
        (("file", "old", "a directory that no release brought"),),
        aside=("old/l", "old/sub/f"),
    ),
    Case(
        "foreign, a copy of a release",
        _copy,
        (("file", "releases/copy", "a directory that no release brought"),),
        aside=tuple(f"releases/copy/{name}" for name in (".env", "compose.yaml", "manifest.json")),
    ),
    Case(
        "foreign, a link",
        lambda root: (root / "l").symlink_to("/nowhere"),
        (("file", "l", "a link that"),),
        aside=("l",),
    ),
    _sealed("the seal", write(f"{_B}.seal"), f"{_B}.seal", "another one"),
    _sealed("the seal removed", remove(f"{_B}.seal"), f"{_B}.seal", "nothing"),
    _sealed("the sealed copy", write(f"{_B}.tar"), f"{_B}.tar", "other content"),
    _sealed("the sealed copy removed", remove(f"{_B}.tar"), f"{_B}.tar", "nothing"),
    _link("current", instead("current", link_to(_A)), "current", f"→ {_A}", "current"),
    _link(
        "current, elsewhere under the same name",
        instead("current", link_to(f"/srv/releases/{NEW}")),
        "current",
        f"→ /srv/releases/{NEW}",
        "current",
    ),
    _link("current removed", remove("current"), "current", "nothing"),
    _link("current, a directory", instead("current", directory_with(".env")), "current", "a directory", "current/.env"),
    _link("last_good", instead("last_good", link_to(_A)), "last_good", f"→ {_A}"),
    _link("last_good_tag", write("last_good_tag"), "last_good_tag", "other content"),
    _link("compose.yaml", instead("compose.yaml", write("")), "compose.yaml", "a file", "compose.yaml"),
    _link(".env", instead(".env", write("")), ".env", "a file", ".env"),
    Case("the state edited", stabilized, (("state", STATE, "one that no pass wrote"),)),
    Case("the state removed", remove(STATE), (("state", STATE, "nothing"),)),
    Case("the backup edited", write(BACKUP), (("state", BACKUP, "one that no pass wrote"),)),
    Case("the backup removed", remove(BACKUP), (("state", BACKUP, "nothing"),)),
    Case("the key edited", write(KEY, b"ab" * 32), (("file", KEY, "another one, or none"),), (KEY,), (KEY,)),
    Case("the key removed", remove(KEY), (("file", KEY, "another one, or none"),), (KEY,)),
    Case("the memory of the audit removed", remove(".reconciler/inventory"), ()),
]
