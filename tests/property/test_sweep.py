"""Whatever lies in temp/, and whatever the rules: exactly what they say goes, and nothing outside is touched."""

from __future__ import annotations

import os
import tempfile
import time
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from reconciler.adapters.transport.local import LocalTransport
from tests.integration.swept import DAY, HOLDER, Server, aged, host, new_server, rules

NAMES = st.one_of(
    st.sampled_from(["a", "b", "-rf", "--", "*", "x y", "new\nline", "\\", "$(id)", "'", '"', ".h", "...", "data"]),
    st.binary(min_size=1, max_size=6)
    .filter(lambda name: b"/" not in name and b"\0" not in name and name not in {b".", b".."})
    .map(os.fsdecode),
)
PATHS = st.lists(NAMES, min_size=1, max_size=3)
LEADS = st.sampled_from(["../archives/data", "../uploads/photo", "OUTSIDE/dir", "OUTSIDE", "/", "..", "."])


@st.composite
def _trees(draw: st.DrawFn) -> list[tuple[str, str, float, str | int]]:
    """Kind, path, age in days, and what it is: a size, where a link leads, the outside file of a hard link."""
    entries: list[tuple[str, str, float, str | int]] = []
    for path in draw(st.lists(PATHS, max_size=9)):
        kind = draw(st.sampled_from(["file"] * 5 + ["link", "hard link"]))
        what: str | int = draw(st.integers(0, 4)) * 4096 if kind == "file" else draw(LEADS)
        entries.append((kind, "/".join(path), draw(st.sampled_from([0.5, 2, 6.9, 7.1, 30])), what))
    return entries


def _planted(server: Server, entries: list[tuple[str, str, float, str | int]]) -> None:
    for kind, name, days, what in entries:
        path = server.temp / name
        if any((server.temp / parent).is_symlink() for parent in Path(name).parents if parent != Path()):
            continue  # it would be written where the link leads
        try:
            if kind == "file":
                server.file(name, days=days, size=int(what))
                continue
            path.parent.mkdir(parents=True, exist_ok=True)
            if kind == "link":
                path.symlink_to(str(what).replace("OUTSIDE", str(server.outside)))
                aged(path, days)
            else:
                os.link(server.outside / "precious", path)
        except OSError:
            continue  # two of the names are in each other's way


def _files(server: Server) -> dict[bytes, tuple[int, int, int]]:
    """Path → time in whole seconds, inode, bytes of every regular file, links not followed."""
    found = {}
    for base, _, names in os.walk(os.fsencode(server.temp)):
        for name in names:
            path = os.path.join(base, name)  # noqa: PTH118 - bytes
            info = os.lstat(path)
            if not os.path.islink(path):  # noqa: PTH114
                found[path] = (int(info.st_mtime), info.st_ino, min(info.st_size, info.st_blocks * 512))
    return found


def _due(files: dict[bytes, tuple[int, int, int]], *, days: float | None, size: int | None, now: float) -> set[bytes]:
    """What the rules say goes, written down a second time and in another way."""
    takes = {inode: taken for _, inode, taken in files.values()}
    going = {inode for then, inode, _ in files.values() if days is not None and now - then > days * DAY}
    for _, inode in sorted({(then, inode) for then, inode, _ in files.values() if inode not in going}):
        if size is None or sum(taken for other, taken in takes.items() if other not in going) <= size:
            break
        going.add(inode)
    return {path for path, (_, inode, _) in files.items() if inode in going}


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(
    entries=_trees(),
    days=st.sampled_from([None, 1.0, 7.0]),
    size=st.sampled_from([None, 1, 4096, 12 * 1024, 40 * 1024]),
)
def test_what_the_rules_say_goes_and_nothing_else(
    entries: list[tuple[str, str, float, str | int]], days: float | None, size: int | None
) -> None:
    with tempfile.TemporaryDirectory() as name:
        server = new_server(Path(name))
        _planted(server, entries)
        beyond, before = _untimed(server), _files(server)
        others = server.left() - {os.fsdecode(os.path.relpath(path, os.fsencode(server.temp))) for path in before}
        transport = LocalTransport()
        report = host(transport, server).sweep(rules(days=days, size=size), holder=HOLDER)
        transport.close()

        expected = _due(before, days=days, size=size, now=time.time())
        assert set(before) - set(_files(server)) == expected
        assert _untimed(server) == beyond
        assert report.removed.files == len(expected)
        gone = others - server.left()
        assert all(
            any(path.startswith(os.fsencode(server.temp / each) + b"/") for path in expected) for each in gone
        ), gone


def _untimed(server: Server) -> dict[str, tuple[str, bytes, int, int]]:
    """All but when the inode changed: a name that goes changes that of a hard link."""
    return {path: seen[:4] for path, seen in server.beyond_temp().items()}
