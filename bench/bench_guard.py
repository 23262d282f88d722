"""What one writer, the journal and the watchdog add to a deploy on loopback: scripts with and without, in turn.

    python bench/bench_guard.py [ROUNDS]

No engine is used. A deploy runs as many fenced scripts as its journal lists (7 of them, in a deploy of one service).
Prints Markdown: medians in milliseconds.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path, PurePosixPath

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from reconciler.adapters.host.scripts import Settings  # noqa: E402 - found by the line above
from reconciler.adapters.host.target import TargetHost  # noqa: E402
from reconciler.adapters.transport.local import LocalTransport  # noqa: E402
from reconciler.model.target import Target  # noqa: E402
from reconciler.model.watchdog import BringUp, Lease, Silence  # noqa: E402
from reconciler.ports import Transport  # noqa: E402
from reconciler.remote import script  # noqa: E402
from reconciler.wiring import transport_to  # noqa: E402
from tests.world.sshd import ssh_server  # noqa: E402

FENCED_SCRIPTS = 7
LEASE = Lease("run_alone", "run", "r2", "r1", 90.0, Silence.REVERT, (BringUp(("web",)),))


def milliseconds(action: Callable[[], object]) -> float:
    begin = time.perf_counter()
    action()
    return (time.perf_counter() - begin) * 1000


def measure(name: str, directory: Path, connect: Callable[[], Transport], rounds: int) -> None:
    for needed in ("releases/r1", ".reconciler"):
        (directory / needed).mkdir(parents=True)
    transport = connect()
    settings = Settings(name, PurePosixPath(directory), "bench", "bench", (), "unix:///none")
    host = TargetHost(transport, settings, connect)
    lock, _ = host.lock("bench", "bench")
    watching = subprocess.Popen(["sh", "-c", script("watch"), "watchdog", str(directory), "/none", "keeper"])
    plain = ["sh", "-c", script("record"), "record", str(directory), "plain", "5"]
    taken: dict[str, list[float]] = {"plain": [], "fenced": [], "arm": [], "confirm": []}
    try:
        for _ in range(rounds + 1):
            taken["plain"].append(milliseconds(lambda: transport.run(plain, stdin=b"text\n")))
            taken["fenced"].append(milliseconds(lambda: host.save_record("fenced", "text\n")))
            taken["arm"].append(milliseconds(lambda: host.arm(LEASE, in_keeper=True)))
            confirm = lambda: host.confirm(LEASE.id, looks=300.0, lasts=3600.0, silence=Silence.KEEP)  # noqa: E731
            taken["confirm"].append(milliseconds(confirm))
            host.disarm()
    finally:
        lock.release()
        watching.terminate()
        watching.wait()
    locks = [milliseconds(lambda: host.lock("bench", "bench")[0].release()) for _ in range(rounds + 1)]
    mid = {key: statistics.median(values[1:]) for key, values in taken.items()}  # the first one connects
    fence = mid["fenced"] - mid["plain"]
    total = FENCED_SCRIPTS * fence + mid["arm"] + mid["confirm"]
    print(
        f"| {name} | {fence:.0f} | {mid['arm']:.0f} | {mid['confirm']:.0f} | {statistics.median(locks[1:]):.0f} |"
        f" {total:.0f} |"
    )
    transport.close()


def main() -> None:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 20
    print(f"Medians of {rounds}, ms. A deploy: {FENCED_SCRIPTS} × fence and journal + arm + confirm.\n")
    print("| target | fence and journal of a script | arm | confirm (a new connection) | lock and release | a deploy |")
    print("|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as base, tempfile.TemporaryDirectory() as keys, ssh_server(Path(keys)) as server:
        target = Target.model_validate(
            {
                "host": server.host,
                "port": server.port,
                "user": server.user,
                "identity_file": str(server.identity_file),
                "known_hosts": str(server.known_hosts),
                "deploy_dir": f"{base}/ssh-target",
            }
        )
        measure("local", Path(base) / "local-target", LocalTransport, rounds)
        measure("ssh", Path(base) / "ssh-target", lambda: transport_to("bench", target), rounds)


if __name__ == "__main__":
    main()
