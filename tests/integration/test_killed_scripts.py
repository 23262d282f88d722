"""SIGKILL at any command of a script that writes on the target: the next pass finds its way (P2)."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from reconciler.adapters.transport.local import LocalTransport
from reconciler.core.file_audit import findings, left_over
from reconciler.model.audit import Copy
from reconciler.model.errors import CommandFailed
from tests.integration.by_hand import CONFS, SINGLE
from tests.integration.placed import (
    OLD,
    Place,
    Prefixed,
    bundle,
    deployed,
    wrapped,
)

OFTEN = ("prune", "restore")
"""Those with the most steps; `make test-all` kills the others, too."""


@pytest.mark.parametrize(
    "script", [*OFTEN, *(pytest.param(name, marks=pytest.mark.exhaustive) for name in ("install", "commit", "relink"))]
)
def test_after_a_kill_at_any_command_the_next_pass_finds_its_way(tmp_path: Path, script: str) -> None:
    """The N-th command of the script is its last one, for every N until it gets through."""
    base = deployed(Place(tmp_path / "base", LocalTransport()))
    third = "20260101_000003-cccccccc"
    if script == "prune":
        base.release(third)  # so that nothing needs the first one any more
    # All of them begin with the same fence: `commit` shows it at each command, the others at each second one.
    for number in range(1, 200, 1 if script == "commit" else 2):
        directory = tmp_path / f"{number}"
        subprocess.run(["cp", "-a", str(base.dir), str(directory)], check=True)
        place = Place(directory, LocalTransport(), base.state)
        if script == "restore":
            (place.dir / SINGLE).write_bytes(b"evil")
            (place.dir / CONFS / "a.conf").unlink()
            shutil.rmtree(place.dir / "releases" / OLD)
            (place.dir / "d").mkdir()
            (place.dir / "f").write_bytes(b"x")
        if script == "relink":
            for name in ("current", "last_good", ".env"):
                (place.dir / name).unlink()
                (place.dir / name).symlink_to("elsewhere")
        killed = _killed_at(place, tmp_path / f"bin{number}", number, script, third)
        place.host = place.new_host()
        view = place.host.observe()
        assert view.state is not None
        assert view.copies.main is Copy.WHOLE
        before = {area: (place.dir / area / "data").read_bytes() for area in ("logs", "archives/data", "uploads")}
        assert set(before.values()) == {b"user data"}
        if script == "install":
            with place.locked() as view:
                assert {each.drift.object for each in findings(view)} <= {third}, "leftovers aren't drift"
                place.state = view.state or base.state
            place.release(third)
        elif script == "commit":
            with place.locked() as view:
                place.state = view.state or base.state
                assert {each.drift.vector.value for each in findings(view)} <= {"link"}
        elif script == "prune":
            with place.locked() as view:
                assert findings(view) == (), "a half pruned release isn't drift"
                place.host.prune([OLD, *left_over(view, place.state)], [])
        place.heal(f"again{number}")
        assert [each.drift.line for each in place.look()] == []
        shutil.rmtree(directory)
        if not killed:
            assert number > 3
            return
    raise AssertionError("it never got through")


def _killed_at(place: Place, directory: Path, number: int, script: str, release: str) -> bool:
    """Whether the script was killed at its `number`-th command (SIGKILL to its whole process group)."""
    count = directory.with_suffix(".count")
    stop = (
        f"n=$(($($(command -v cat) {count} 2>/dev/null || echo 0) + 1)); echo $n >{count}\n"
        f"if [ $n -eq {number} ]; then kill -9 0; fi\n"
        'exec $real "$@"'
    )
    with place.locked() as view:
        found = findings(view)
        wrapped(place, directory, stop.replace("$(command -v cat)", str(shutil.which("cat"))))
        doomed = Place(
            place.dir, Prefixed("setsid", "-w", "env", f"PATH={directory}:{os.environ['PATH']}"), place.state
        )
        doomed.host.observe = place.host.observe  # type: ignore[method-assign]
        doomed.host._key, doomed.host._revision = place.host._key, place.host._revision
        doomed.host.scripts.generation = place.host.generation
        try:
            if script == "install":
                doomed.host.install(bundle(release))
            elif script == "commit":
                doomed.host.switch(place.state.model_copy(update={"serving": OLD}), OLD)
            elif script == "prune":
                doomed.host.prune([OLD], [])
            else:
                doomed.host.put_back("run1", [each.action for each in found if each.action])
        except CommandFailed as error:
            if "did not exit normally" not in str(error):
                raise
            return True
        return count.exists() and int(count.read_text()) >= number
