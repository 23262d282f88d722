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


def release(bundle: Bundle, manifest: bytes) -> bytes:
    """A release and its managed files, with the modes that they keep: values 0400, the rest without write bits."""
    files = [
        ("release/compose.yaml", 0o400, bundle.compose),
        ("release/.env", 0o400, bundle.env),
        ("release/manifest.json", 0o444, manifest),
    ]
    for managed in bundle.files:
        base = f"files/{managed.sha256}/{managed.name}"
        for path, mode, data in managed.entries:
            files.append((f"{base}/{path}" if path else base, mode & 0o555, data))
    return tar(files)


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
