"""The audit of managed files: how long a target takes to say what became of them, beside a look without it.

    python bench/bench_audit.py [FILES] [ROUNDS]

Builds its own world: two releases of FILES (2,000) small managed files in a temporary directory, and an sshd on
loopback. Prints Markdown: medians in milliseconds of one whole round trip on an open connection.
"""

from __future__ import annotations

import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from reconciler.adapters.host.scripts import Settings  # noqa: E402 - found by the line above
from reconciler.adapters.host.target import TargetHost  # noqa: E402
from reconciler.adapters.transport.local import LocalTransport  # noqa: E402
from reconciler.adapters.transport.ssh import SshTransport  # noqa: E402
from reconciler.adapters.transport.ssh_settings import SshSettings  # noqa: E402
from reconciler.core import digest, history  # noqa: E402
from reconciler.core.file_audit import findings  # noqa: E402
from reconciler.model.errors import Locked  # noqa: E402
from reconciler.model.observed import HostView  # noqa: E402
from reconciler.model.release import Bundle, ManagedFile  # noqa: E402
from reconciler.model.stored import Manifest, TargetState  # noqa: E402
from reconciler.ports import Transport  # noqa: E402
from tests.world.sshd import SshServer, ssh_server  # noqa: E402

RELEASES = ("20260101_000001-aaaaaaaa", "20260101_000002-bbbbbbbb")


def bundle(release: str, files: int) -> Bundle:
    entries = tuple((f"{number % 50}/{number}.conf", 0o644, b"%d\n" % number * 100) for number in range(files))
    sha = digest.tree(entries)
    manifest = Manifest(
        release=release,
        tag=release.partition("-")[0],
        app="bench",
        project="bench",
        digest="",
        public_digest="",
        created_at=datetime.now(UTC),
        services={},
        files=(sha,),
    )
    return Bundle(manifest=manifest, compose=b"{}\n", env=b"A=1\n", files=(ManagedFile(sha, "conf", entries),))


def locked(host: TargetHost) -> HostView:
    """One look under the lock, as every pass begins."""
    while True:
        try:
            lock, view = host.lock("bench", "bench")
        except Locked:  # the last one is still on its way out
            time.sleep(0.005)
            continue
        lock.release()
        return view


def deployed(directory: Path, transport: Transport, files: int) -> TargetHost:
    settings = Settings("bench", PurePosixPath(str(directory)), "bench", "bench", (), "unix:///none")
    host = TargetHost(transport, settings, lambda: transport)
    locked(host)
    state = TargetState(app="bench", project="bench")
    for release in RELEASES:
        now = datetime.now(UTC)
        state = history.switched(state, entering=release, tag=release, now=now)
        state = state.model_copy(update={"seals": {**state.seals, release: host.install(bundle(release, files))}})
        state = history.concluded(state, history.Outcome.VERIFIED, release=release, now=now)
        host.switch(state, release)
    good = history.last_good(state)
    host.write_state(state, last_good=good, last_good_tag=state.releases[str(good)].tag)
    return host


def median(rounds: int, prepare: Callable[[int], object], look: Callable[[], HostView], expected: int) -> str:
    spent = []
    for turn in range(rounds):
        prepare(turn)
        begin = time.perf_counter()
        view = look()
        spent.append(time.perf_counter() - begin)
        if view.audit is not None and len(findings(view)) != expected:
            raise SystemExit(f"{len(findings(view))} findings, expected {expected}")
    return f"{statistics.median(spent) * 1000:.0f} | {min(spent) * 1000:.0f} | {max(spent) * 1000:.0f}"


def measure(name: str, directory: Path, transport: Transport, files: int, rounds: int) -> None:
    host = deployed(directory, transport, files)
    inventory = directory / ".reconciler" / "inventory"
    changed = next(directory.glob(".reconciler/files/*/conf/7/7.conf"))
    content = changed.read_bytes()

    def settle(_: int = 0) -> None:
        """Files younger than a clock tick are read again; that isn't what is measured."""
        locked(host)
        while "\nracy " in inventory.read_text():
            time.sleep(0.2)
            locked(host)

    def change(turn: int) -> None:
        settle()
        changed.chmod(0o644)
        changed.write_bytes(b"%d\n" % turn)
        changed.chmod(0o444)

    def change_back(_: int = 0) -> None:
        changed.chmod(0o644)
        changed.write_bytes(content)
        changed.chmod(0o444)
        settle()

    settle()
    rows = {
        "without the audit": median(rounds, lambda _: None, lambda: host.observe(files=False), 0),
        "nothing changed": median(rounds, settle, lambda: locked(host), 0),
        "one file changed": median(min(rounds, 5), change, lambda: locked(host), 1),
    }
    change_back()
    rows["everything read (once a day)"] = median(rounds, lambda _: inventory.unlink(), lambda: locked(host), 0)
    print(f"\n### {name}\n\n| | median ms | min | max |\n|---|---|---|---|")
    for row, figures in rows.items():
        print(f"| {row} | {figures} |")


def far(server: SshServer, empty: Path) -> SshTransport:
    empty.touch()
    return SshTransport(
        SshSettings(
            host=server.host,
            port=server.port,
            user=server.user,
            identity_file=server.identity_file,
            known_hosts=server.known_hosts,
            config_file=empty,
        )
    )


def main() -> None:
    files = int(sys.argv[1]) if len(sys.argv) > 1 else 2000
    rounds = int(sys.argv[2]) if len(sys.argv) > 2 else 20
    print(f"{files} managed files in {len(RELEASES)} releases, {os.cpu_count()} cores, {rounds} rounds")
    with ExitStack() as stack:
        base = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        keys = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        server = stack.enter_context(ssh_server(keys))
        measure("local", base / "local", LocalTransport(), files, rounds)
        transport = far(server, keys / "config")
        stack.callback(transport.close)
        measure("over ssh (loopback)", base / "far", transport, files, rounds)


if __name__ == "__main__":
    main()
