"""Tar streams to a target: sources to render, and releases to install."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterable
from pathlib import PurePosixPath

from reconciler.model.release import Bundle
from reconciler.model.sources import SourceFile, SourceTree


def tar(files: Iterable[tuple[str, int, bytes]]) -> bytes:
    """A tar of (path, mode, bytes), directories 0700 made on the way, in memory."""
    buffer = io.BytesIO()
    made: set[str] = set()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for path, mode, data in files:
            parts = path.split("/")[:-1]
            for depth in range(1, len(parts) + 1):
                parent = "/".join(parts[:depth])
                if parent not in made:
                    made.add(parent)
                    _add(archive, parent, 0o755, None)
            _add(archive, path, mode, data)
    return buffer.getvalue()


def sources(tree: SourceTree, project_dir: str, env: bytes) -> bytes:
    """The sources with the env values beside the Compose file, for the private directory of a rendering."""
    env_path = f"{project_dir}/.env" if project_dir != "." else ".env"
    files = [(str(file.path), 0o600, file.data) for file in tree.files if str(file.path) != env_path]
    return tar([*files, (env_path, 0o600, env)])


def release(bundle: Bundle, manifest: bytes) -> list[tuple[str, int, bytes]]:
    """A release and its managed files as members of a tar, in one order, with the modes that they keep."""
    files = [
        ("release/compose.yaml", bundle.compose),
        ("release/.env", bundle.env),
        ("release/manifest.json", manifest),
    ]
    members = [(path, kept_mode(path, 0), data) for path, data in files]
    for managed in bundle.files:
        base = f"files/{managed.sha256}/{managed.name}"
        for path, mode, data in managed.entries:
            place = f"{base}/{path}" if path else base
            members.append((place, kept_mode(place, mode), data))
    return sorted(members)


def kept_mode(path: str, mode: int) -> int:
    """The mode of a release's member on a target: what holds values is 0400, the rest loses its write bits."""
    if path.startswith("release/"):
        return 0o444 if path == "release/manifest.json" else 0o400
    return 0o555 if mode & 0o111 else 0o444


def in_deploy_dir(release: str, path: str) -> str:
    """Where a member of a release's tar lies below deploy_dir."""
    kind, _, rest = path.partition("/")
    return f"releases/{release}/{rest}" if kind == "release" else f".reconciler/files/{rest}"


def in_tar(release: str, path: str) -> str:
    """The reverse of `in_deploy_dir`. Raises ValueError for what belongs to no release."""
    for prefix, kind in ((f"releases/{release}/", "release/"), (".reconciler/files/", "files/")):
        if path.startswith(prefix):
            return kind + path.removeprefix(prefix)
    raise ValueError(f"{path} is no part of {release}")


def unpacked(stream: bytes) -> tuple[SourceFile, ...]:
    """The regular files of a tar that the target made, sorted by path; nothing is written to a disk."""
    with tarfile.open(fileobj=io.BytesIO(stream)) as archive:
        files = []
        for entry in archive:
            content = archive.extractfile(entry) if entry.isfile() else None
            if content is not None:
                mode = 0o755 if entry.mode & 0o111 else 0o644
                files.append(SourceFile(PurePosixPath(entry.name), mode, content.read()))
    return tuple(sorted(files, key=lambda file: file.path))


def _add(archive: tarfile.TarFile, path: str, mode: int, data: bytes | None) -> None:
    entry = tarfile.TarInfo(path)
    entry.mode = mode
    if data is None:
        entry.type = tarfile.DIRTYPE
        archive.addfile(entry)
        return
    entry.size = len(data)
    archive.addfile(entry, io.BytesIO(data))
