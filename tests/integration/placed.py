"""A deploy_dir with two releases in it, made by our own adapter, and changed by hand in tests."""

from __future__ import annotations

import hashlib
import os
import shutil
import stat
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath

from reconciler.adapters.host.scripts import Settings
from reconciler.adapters.host.target import TargetHost
from reconciler.adapters.transport.local import LocalTransport
from reconciler.core import digest, history
from reconciler.core.file_audit import findings
from reconciler.model.audit import Finding
from reconciler.model.errors import Locked
from reconciler.model.observed import HostView
from reconciler.model.release import Bundle, ManagedFile
from reconciler.model.stored import Manifest, TargetState
from reconciler.ports import Completed, RemoteProcess, Transport

OLD, NEW = "20260101_000001-aaaaaaaa", "20260101_000002-bbbbbbbb"
NOBODY = 65534
WRITABLE = ("logs", "archives/data", "uploads")
ODD = " odd\nna\\me\\n-"
TREE = (
    ("a.conf", 0o644, b"first\n"),
    ("run.sh", 0o755, b"#!/bin/sh\n"),
    ("deep/-n", 0o644, b"x"),
    (ODD, 0o644, b"odd"),
)
SINGLE = (("", 0o644, b"single\n"),)
TREE_SHA = digest.tree([(f"confs/{path}", mode, data) for path, mode, data in TREE])
SINGLE_SHA = digest.tree([("app.conf", 0o644, b"single\n")])
SECRET = "kanarie-4711"
COMMANDS = (
    "awk",
    "cat",
    "chmod",
    "chown",
    "cmp",
    "date",
    "find",
    "mkdir",
    "mv",
    "rm",
    "sha256sum",
    "sync",
    "tar",
    "touch",
    "tr",
)
"""What the scripts call."""


class Prefixed(LocalTransport):
    """This machine, with something before every command."""

    def __init__(self, *prefix: str) -> None:
        super().__init__()
        self._prefix = prefix

    def run(
        self,
        command: Sequence[str],
        *,
        stdin: bytes = b"",
        env: Mapping[str, str] | None = None,
        timeout: float = 60.0,
    ) -> Completed:
        return super().run([*self._prefix, *command], stdin=stdin, env=env, timeout=timeout)

    def start(self, command: Sequence[str]) -> RemoteProcess:
        return super().start([*self._prefix, *command])


def as_user(uid: int) -> Prefixed:
    """This machine as another, unprivileged user."""
    return Prefixed("setpriv", f"--reuid={uid}", f"--regid={uid}", "--clear-groups")


def with_busybox(directory: Path) -> Prefixed:
    """This machine with busybox's commands, and no others but flock, which not every busybox has."""
    directory.mkdir()
    (directory / "flock").symlink_to(str(shutil.which("flock")))
    for applet in subprocess.run(["busybox", "--list"], capture_output=True, text=True, check=True).stdout.split():
        if applet != "flock":
            (directory / applet).symlink_to("/bin/busybox")
    return Prefixed("env", f"PATH={directory}")


def bundle(release: str, *, tree: tuple[tuple[str, int, bytes], ...] = TREE) -> Bundle:
    """A release with one managed file and one managed directory."""
    manifest = Manifest(
        release=release,
        tag=release.partition("-")[0],
        app="app",
        project="app",
        digest="d" * 64,
        public_digest="p" * 64,
        created_at=datetime(2026, 1, 1, tzinfo=UTC),
        services={},
        files=tuple(sorted((TREE_SHA, SINGLE_SHA))),
    )
    env = f"A={SECRET}\nB=two\nC=three\n# {release}\n".encode()
    files = (ManagedFile(TREE_SHA, "confs", tree), ManagedFile(SINGLE_SHA, "app.conf", SINGLE))
    return Bundle(manifest=manifest, compose=b"{}\n", env=env, files=files)


@dataclass
class Place:
    """The directory, and the controller's side of it."""

    dir: Path
    transport: Transport
    state: TargetState = field(default_factory=lambda: TargetState(app="app", project="app"))
    is_whole: bool = False
    retained_records: int = 200

    def __post_init__(self) -> None:
        self.host = self.new_host()

    def new_host(self) -> TargetHost:
        settings = Settings(
            "here", PurePosixPath(str(self.dir)), "app", "app", WRITABLE, "unix:///none", self.retained_records
        )
        return TargetHost(self.transport, settings, lambda: self.transport)

    @property
    def own(self) -> Path:
        return self.dir / ".reconciler"

    @contextmanager
    def locked(self) -> Iterator[HostView]:
        """Under the lock, with what was seen when it was taken; the last one may be held for a moment still."""
        deadline = time.monotonic() + 20
        while True:
            try:
                lock, view = self.host.lock("test", "a test")
                break
            except Locked:
                assert time.monotonic() < deadline
        try:
            yield view
        finally:
            lock.release()

    def release(self, name: str) -> None:
        """Installs a release, switches to it, and calls it verified."""
        with self.locked():
            now = datetime.now(UTC)
            seal = self.host.install(bundle(name))
            state = history.switched(self.state, entering=name, tag=name.partition("-")[0], now=now)
            state = history.concluded(state, history.Outcome.VERIFIED, release=name, now=now)
            self.state = state.model_copy(update={"seals": {**state.seals, name: seal}})
            self.host.switch(self.state, name)
            self.save()

    def save(self) -> None:
        good = history.last_good(self.state)
        self.host.write_state(self.state, last_good=good, last_good_tag=self.state.releases[good].tag if good else None)

    def look(self, **how: Sequence[str]) -> tuple[Finding, ...]:
        """What a pass finds."""
        with self.locked() as view:
            return findings(view, **how)

    def heal(self, run: str = "run1", **how: Sequence[str]) -> tuple[str, ...]:
        """What a pass does about it; the paths that lie there anew."""
        with self.locked() as view:
            found = findings(view, **how)
            assert view.state is not None
            self.state = view.state
            self.save()
            return self.host.put_back(run, [each.action for each in found if each.action])

    def files(self) -> dict[str, tuple[int, int, int, int, str]]:
        """Path to inode, time, mode, owner and content of everything but what every pass writes."""
        volatile = {"lock", "holder", "fence", "generation", "journal", "inventory", "state.json", "state.backup.json"}
        ours = (".reconciler/set_aside", ".reconciler/acting")
        found = {}
        for path in [self.dir, *sorted(self.dir.rglob("*"))]:
            name = str(path.relative_to(self.dir))
            if name in {f".reconciler/{each}" for each in volatile} or name.startswith(ours):
                continue
            info = path.lstat()
            content = ""
            if stat.S_ISREG(info.st_mode):
                content = hashlib.sha256(path.read_bytes()).hexdigest()
            elif stat.S_ISLNK(info.st_mode):
                content = str(path.readlink())
            is_directory = stat.S_ISDIR(info.st_mode)
            found[name] = (info.st_ino, 0 if is_directory else info.st_mtime_ns, info.st_mode, info.st_uid, content)
        return found

    def aside(self) -> dict[str, bytes | str]:
        """What was set aside, by its path: content, or where a link points."""
        found: dict[str, bytes | str] = {}
        for path in sorted(self.own.glob("set_aside/*/files/**/*")):
            name = str(path).partition("/files/")[2]
            if path.is_symlink():
                found[name] = str(path.readlink())
            elif path.is_file():
                found[name] = path.read_bytes()
        return found

    def listed(self) -> list[str]:
        """The lines on what was set aside."""
        return [line for path in self.own.glob("set_aside/*/list") for line in path.read_text().splitlines()]


def deployed(place: Place) -> Place:
    """Two releases, the second one serving; data in the writable areas; and an audit that has read every file."""
    place.release(OLD)
    place.release(NEW)
    for area in WRITABLE:
        data = place.dir / area / "data"
        data.write_bytes(b"user data")
        if isinstance(place.transport, Prefixed):
            os.chown(data, place.dir.stat().st_uid, -1)
    assert place.look() == ()
    return place


@contextmanager
def open_directory(uid: int = 0) -> Iterator[Path]:
    """A directory of this user's that others can reach, too; gone when the block ends."""
    directory = Path(tempfile.mkdtemp(prefix="placed-"))
    try:
        directory.chmod(0o755)
        (directory / "home").mkdir()
        os.chown(directory / "home", uid, uid)
        yield directory / "home"
    finally:
        shutil.rmtree(directory)


def wrapped(place: Place, directory: Path, script: str) -> Place:
    """The place reached with a program of ours around every command in COMMANDS; `$real` is the command itself."""
    directory.mkdir()
    for name in COMMANDS:
        (directory / name).write_text(f"#!/bin/sh\nname={name} real={shutil.which(name)}\n{script}\n")
        (directory / name).chmod(0o755)
    return Place(place.dir, Prefixed("env", f"PATH={directory}:{os.environ['PATH']}"), place.state)
