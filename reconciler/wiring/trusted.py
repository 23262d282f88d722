"""A desk for a commit that nobody has approved yet, beside one for the commit that is trusted."""

from __future__ import annotations

import io
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from reconciler.adapters.git.run import git
from reconciler.adapters.git.worktree import find_top
from reconciler.core.trust import with_trust
from reconciler.model.errors import UsageError
from reconciler.wiring.desk import Desk
from reconciler.wiring.outbox import path_in


@contextmanager
def trusting(desk: Desk, ref: str) -> Iterator[tuple[Desk, tuple[str, ...]]]:
    """`desk` with what may run programs, be contacted or receive secrets as the commit `ref` has it, and notes on what
    that leaves out. Programs that give values run in a copy of that commit's files, which is gone after the block.

    Raises UsageError outside of git, GitFailed for a ref that isn't known, and DesiredStateError.
    """
    top = find_top(desk.file.parent.resolve())
    if top is None:
        raise UsageError(f"--trusted-ref {ref}: {desk.file} is in no git repository")
    commit = git(["rev-parse", "--verify", "--end-of-options", f"{ref}^{{commit}}"], top).decode("ascii").strip()
    with tempfile.TemporaryDirectory(prefix="reconciler-") as private:
        packed = git(["archive", "--format", "tar", commit], top)
        with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
            archive.extractall(private, filter="data")
        file = Path(private) / Path(path_in(top, desk.file))
        if not file.is_file():
            raise UsageError(f"--trusted-ref {ref}: it has no {path_in(top, desk.file)}")
        trusted = Desk.open(file, desk.redactor, desk.interrupt, private=desk.own_directory)
        deploy, notes = with_trust(desk.deploy, trusted.deploy, ref)
        yield replace(desk, deploy=deploy, trusted=trusted), notes
