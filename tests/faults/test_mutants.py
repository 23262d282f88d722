"""Each guard of a crash is taken away in turn, in a copy of the project: a test that is named here has to turn red.

So no guard can be removed in silence, nor the test that attacks it.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Mutant:
    """`file` without what guards (`old`, with `new` in its place), and the test that sees it."""

    guard: str
    file: str
    old: str
    new: str
    test: str


ONE_WRITER = "tests/integration/test_one_writer.py"
PROTOCOL = "tests/property/test_protocol.py"
MUTANTS = [
    Mutant(
        "the fsync",
        "reconciler/remote/lib.sh",
        'durable() { sync "$@" 2>/dev/null || sync; }',
        "durable() { :; }",
        f"{ONE_WRITER}::test_what_is_renamed_into_place_is_on_the_disk_before_and_after",
    ),
    Mutant(
        "the check of the generation",
        "reconciler/remote/fenced.sh",
        'if [ "$newest" != "$generation" ]; then',
        "if false; then",
        f"{ONE_WRITER}::test_who_lost_the_target_changes_nothing_any_more",
    ),
    Mutant(
        "the end of what a dead pass left under way",
        "reconciler/remote/lib.sh",
        'then kill -s "$1" -- "-${born#* }" 2>/dev/null || true; fi',
        "then :; fi",
        f"{ONE_WRITER}::test_what_a_dead_pass_still_had_under_way_has_ended_before_the_next_begins",
    ),
    Mutant(
        "the heartbeat's limit",
        "reconciler/remote/lock.sh",
        "while timeout 30 sh -c 'read -r beat' 9>&-; do renew; done",
        "while read -r beat; do renew; done",
        f"{ONE_WRITER}::test_a_holder_that_nobody_hears_of_gives_the_lock_back",
    ),
    Mutant(
        "the new connection of the confirmation",
        "reconciler/adapters/host/target.py",
        "        fresh = self._connect()\n",
        "        fresh = self._transport\n",
        f"{ONE_WRITER}::test_the_confirmation_goes_over_a_new_connection",
    ),
    Mutant(
        "the arming before the switch",
        "reconciler/cycle/deploy.py",
        "    guard.arm(ctx, run.id, state, manifest, back)\n",
        "",
        PROTOCOL,
    ),
    Mutant(
        "the pinning of last good's image",
        "reconciler/cycle/upkeep.py",
        "        needed |= kept.image_ids() if kept else frozenset()\n",
        "        needed |= kept.image_ids() if kept and release == state.serving else frozenset()\n",
        PROTOCOL,
    ),
    Mutant(
        "one winner of confirmation and way back",
        "reconciler/remote/confirm.sh",
        'mv -T "$base/lease" "$base/confirmed.$$" 2>/dev/null || die',
        'mv -T "$base/lease" "$base/confirmed.$$" 2>/dev/null || true',
        f"{ONE_WRITER}::test_confirm_and_the_way_back_have_one_winner",
    ),
]


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.guard)
def test_without_its_guard_a_test_is_red(tmp_path: Path, mutant: Mutant) -> None:
    for name in ("reconciler", "tests", "ops"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__", "run_records"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    file = tmp_path / mutant.file
    text = file.read_text()
    assert text.count(mutant.old) == 1, "the guard isn't there, or elsewhere: this mutant has to follow it"
    file.write_text(text.replace(mutant.old, mutant.new))
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-x", "-n0", "-p", "no:cacheprovider", mutant.test],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    assert done.returncode == 1, f"nobody misses {mutant.guard}:\n{done.stdout[-2000:]}{done.stderr[-2000:]}"
    assert " failed" in done.stdout
