"""A release's seal and sealed copy: what every file of it has to be, and everything to put one back from.

The seal has a line `sha256 mode size path` for each file and directory of the release, of its managed files, and for
the tar that they came in; a directory has `-` for the first and the third. Paths are relative to deploy_dir and in
one line: a backslash is `\\\\`, a newline `\\n`. The same release always gives the same bytes.
"""

from __future__ import annotations

import hashlib
import io
import tarfile
from collections.abc import Iterable, Sequence
from dataclasses import field
from pathlib import PurePosixPath

from reconciler.adapters.host import archive
from reconciler.dataclass import dataclass

Member = tuple[str, int, bytes]
"""Path in the tar, mode, content."""


@dataclass(frozen=True, slots=True)
class Seal:
    """A release's seal, its tar, and the digest that the state knows the seal by."""

    text: bytes = field(repr=False)
    tar: bytes = field(repr=False)

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.text).hexdigest()

    @property
    def stream(self) -> bytes:
        """A tar of both, as `install.sh` and `seal.sh` take it."""
        return archive.tar([("seal", 0o400, self.text), ("release.tar", 0o400, self.tar)])


def of(release: str, members: Sequence[Member]) -> Seal:
    """The seal of what `archive.release` gives."""
    packed = archive.tar(members)
    return Seal(text=_text(release, members, packed), tar=packed)


def of_tar(release: str, packed: bytes) -> Seal | None:
    """The seal of a sealed tar that lies on a target; None where that is no tar of files."""
    try:
        with tarfile.open(fileobj=io.BytesIO(packed)) as opened:
            members = [(entry.name, entry.mode, _content(opened, entry)) for entry in opened if not entry.isdir()]
    except (tarfile.TarError, ValueError, OSError, EOFError):
        return None
    return Seal(text=_text(release, members, packed), tar=packed)


def of_tree(release: str, packed: bytes) -> Seal | None:
    """The seal of a release as its files lie on a target (a tar of them), with the modes that they ought to have."""
    members = []
    try:
        with tarfile.open(fileobj=io.BytesIO(packed)) as opened:
            for entry in opened:
                if not entry.isdir():
                    path = archive.in_tar(release, entry.name)
                    members.append((path, archive.kept_mode(path, entry.mode), _content(opened, entry)))
    except (tarfile.TarError, ValueError, OSError, EOFError):
        return None
    return of(release, sorted(members))


def shown(path: str) -> str:
    """A path in one line."""
    return path.replace("\\", "\\\\").replace("\n", "\\n")


def raw(shown_path: str) -> str:
    """A path from one line."""
    return "\\".join(part.replace("\\n", "\n") for part in shown_path.split("\\\\"))


def _content(opened: tarfile.TarFile, entry: tarfile.TarInfo) -> bytes:
    content = opened.extractfile(entry) if entry.isfile() else None
    if content is None:
        raise ValueError(f"{entry.name} is no file")
    return content.read()


def _text(release: str, members: Iterable[Member], packed: bytes) -> bytes:
    tar_path = f".reconciler/sealed/{release}.tar"
    lines = {tar_path: f"{_sha256(packed)} 0400 {len(packed)}"}
    for path, mode, data in members:
        place = PurePosixPath(archive.in_deploy_dir(release, path))
        lines[str(place)] = f"{_sha256(data)} {mode:04o} {len(data)}"
        for above in place.parents:
            if str(above) not in {".", "releases", ".reconciler", ".reconciler/files"}:
                lines[str(above)] = "- 0555 -"
    text = "".join(f"{lines[path]} {shown(path)}\n" for path in sorted(lines))
    return text.encode("utf-8", "surrogateescape")


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
