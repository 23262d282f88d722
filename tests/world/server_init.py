"""Process 1 of a server that a test makes: mounts, loopback, and reaping. It ends, and with it the server, at the end
of its stdin.

It runs by its path, in fresh network, mount and process namespaces (`tests.world.engine` starts it), so it imports
nothing but the standard library.
"""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
from pathlib import Path

OWN = {"run": "/run", "docker": "/var/lib/docker", "containerd": "/var/lib/containerd"}
"""A directory of the server, and the path where its processes find it."""


def main(root: Path) -> None:
    """Set the server up, say `ready`, and reap until stdin ends."""
    for name, path in OWN.items():
        Path(path).mkdir(parents=True, exist_ok=True)
        subprocess.run(["mount", "--bind", str(root / name), path], check=True)
    Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    wake, waker = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    signal.set_wakeup_fd(waker, warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    os.write(1, b"ready\n")
    while True:
        readable, _, _ = select.select([0, wake], [], [])
        if wake in readable:
            os.read(wake, 4096)
            reap()
        if 0 in readable and not os.read(0, 4096):
            return


def reap() -> None:
    """Collect every process that has ended: orphans of the whole server come here."""
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        return


if __name__ == "__main__":
    main(Path(sys.argv[1]))
