"""Putting pieces of a release back, from the sealed copy that lies beside it on the target."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from reconciler.adapters.host import answers, archive, seal
from reconciler.model.audit import Action, KeyBack, Relink, Reseal, Restore, SetAside, SetMode, printable
from reconciler.model.errors import PreflightFailed
from reconciler.model.release import Bundle
from reconciler.ports import Completed

TIMEOUT = 120.0
"""Seconds for a script that carries a release or unpacks one."""


class Run(Protocol):
    """Runs a script of `reconciler.remote` on the target: one that reads, or one that changes something.

    Raises where it fails.
    """

    def __call__(self, name: str, *arguments: str, stdin: bytes = b"", timeout: float = TIMEOUT) -> Completed: ...


def install(change: Run, bundle: Bundle, writable: Sequence[str]) -> str:
    """Puts a release with its sealed copy on the target; the digest of its seal."""
    release = bundle.manifest.release
    manifest = bundle.manifest.model_dump_json(indent=1).encode()
    made = seal.of(release, archive.release(bundle, manifest))
    change("install", release, *writable, stdin=made.stream, timeout=TIMEOUT)
    return made.sha256


def reseal(read: Run, change: Run, where: str, release: str, expected: str | None) -> str:
    """Makes a release's sealed copy anew from what lies on the target; the digest of the seal.

    Raises PreflightFailed where that isn't what was sealed as `expected` (None: nothing was), or isn't whole.
    """
    for made in _remains(read, release, is_sealed=expected is not None):
        if expected in {None, made.sha256}:
            change("seal", release, stdin=made.stream, timeout=TIMEOUT)
            return made.sha256
    raise PreflightFailed(
        f"{where}: the sealed copy of {release} can't be made again: its files were changed, too. While it serves"
        " nothing else is wrong; deploy another release, or give it up as a way back with"
        f" `reconcile rollback --forget {release}`"
    )


def put_back(read: Run, change: Run, where: str, run_id: str, actions: Sequence[Action]) -> tuple[str, ...]:
    """Carries the actions out, each once. Gives the paths that lie there anew: who has one mounted sees the old.

    Raises PreflightFailed naming what could not be put back, after everything else was.
    """
    failed: list[str] = []
    for action in dict.fromkeys(action for action in actions if isinstance(action, Reseal)):
        try:
            reseal(read, change, where, action.release, action.seal)
        except PreflightFailed as error:
            failed.append(str(error).removeprefix(f"{where}: "))
    anew: list[str] = []
    if lines := _lines(actions):
        done = change("restore", run_id, stdin="".join(lines).encode("utf-8", "surrogateescape"), timeout=TIMEOUT)
        said = done.stdout.decode("utf-8", "surrogateescape").split("\n")
        anew = [seal.raw(line.removeprefix("anew ")) for line in said if line.startswith("anew ")]
        for line, why in zip(said, [*said[1:], ""], strict=True):
            if line.startswith("failed "):
                path = printable(seal.raw(line.removeprefix("failed ")))
                failed.append(f"{path} ({printable(why) or 'it was refused'})")
    for link in dict.fromkeys(action for action in actions if isinstance(action, Relink)):
        change("relink", run_id, link.serving or "-", link.last_good or "-", link.last_good_tag or "-")
    if failed:
        raise PreflightFailed(f"{where}: not everything could be put back: {'; '.join(failed[:10])}")
    return tuple(anew)


def _remains(read: Run, release: str, *, is_sealed: bool) -> Sequence[seal.Seal]:
    """What the sealed copy could be made from, the likelier first."""
    found: list[seal.Seal | None] = []
    if is_sealed and (packed := read("gather", "tar", release).stdout):
        found.append(seal.of_tar(release, packed))
    told = answers.sections(read("read_release", release).stdout)
    if "manifest" in told:
        files = answers.manifest(told["manifest"]).files
        if packed := read("gather", "tree", release, *files).stdout:
            found.append(seal.of_tree(release, packed))
    return [made for made in found if made is not None]


def _lines(actions: Sequence[Action]) -> list[str]:
    """What is in the way goes first, then from the outer to the inner, and modes at last."""
    once = list(dict.fromkeys(actions))
    lines = ["key - -\n" for action in once if isinstance(action, KeyBack)]
    lines += sorted(f"aside - {seal.shown(action.path)}\n" for action in once if isinstance(action, SetAside))
    restores = [action for action in once if isinstance(action, Restore)]
    for release, digest in sorted({(action.release, action.seal) for action in restores}):
        lines.append(f"seal {digest} {release}\n")
        for action in sorted(restores, key=lambda each: each.path):
            if action.release == release:
                lines.append(f"put {action.mode:04o} {seal.shown(action.path)}\n")
    modes = sorted((action for action in once if isinstance(action, SetMode)), key=lambda each: each.path)
    return [*lines, *(f"mode {action.mode:04o} {seal.shown(action.path)}\n" for action in modes)]
