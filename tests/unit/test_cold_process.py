"""What a pass with nothing to do has to import: its milliseconds are counted, and so are those of the tests."""

from __future__ import annotations

import subprocess
import sys

LOOKING = (
    "import reconciler.cli.main, reconciler.cycle.reconcile, reconciler.adapters.transport.local,"
    " reconciler.adapters.engine.engine"
)
ONLY_FOR_A_CHANGE = (
    "docker", "requests", "urllib3", "deepdiff", "paramiko", "prometheus_client", "pyrage", "jinja2", "waitress"
)  # fmt: skip


def test_a_pass_that_only_looks_loads_no_library_that_a_change_needs() -> None:
    """The docker library alone takes 0.1 s."""
    script = f"import sys; {LOOKING}; print([name for name in {ONLY_FOR_A_CHANGE} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=False)
    assert (done.stdout, done.returncode) == ("[]\n", 0), done.stderr
