"""What `remote/audit.sh` says of the managed part of deploy_dir."""

from __future__ import annotations

import stat
from collections.abc import Mapping

from reconciler.adapters.env.dotenv import parse_dotenv
from reconciler.adapters.host import seal
from reconciler.model.audit import Entry, EnvPair, FileAudit, Kind, Sealed
from reconciler.model.errors import EnvError, TargetUnfit

_KINDS = {stat.S_IFREG: Kind.FILE, stat.S_IFDIR: Kind.DIRECTORY, stat.S_IFLNK: Kind.LINK}
_FOUND, _SEALED = "env_found:", "env_sealed:"


def audit(found: Mapping[str, bytes], *, directory: str, writable: tuple[str, ...]) -> FileAudit | None:
    """The audit among a target's sections; None where it wasn't asked for. Raises TargetUnfit where it is garbled."""
    if "audit" not in found:
        return None
    lines = found["audit"].decode("utf-8", "surrogateescape").split("\n")
    if lines[0].startswith("unsure "):
        return FileAudit(directory, writable, unsure=lines[0].removeprefix("unsure "))
    if lines[-1] != "end":
        return FileAudit(directory, writable, unsure="what is there could not be listed to the end")
    told: dict[str, list[str]] = {}
    for line in lines[:-1]:
        kind, _, rest = line.partition(" ")
        told.setdefault(kind, []).append(rest)
    try:
        top = tuple(_entry(line) for line in told["top"])
        return FileAudit(
            directory=directory,
            writable=writable,
            owner=next(entry.uid for entry in top if entry.path == ".reconciler"),
            seals=dict(_seal(line) for line in told.get("seal", ())),
            top=top,
            links={name: to for name, _, to in (line.partition(" ") for line in told.get("link", ()))},
            last_good_tag=next(iter(told.get("tag", ())), None),
            contradicting=tuple(_entry(line) for line in told.get("entry", ())),
            expected=tuple(_sealed(line) for line in told.get("sealed", ())),
            envs=_envs(found),
            cut=sum(int(line) for line in told.get("cut", ())),
        )
    except (KeyError, ValueError, StopIteration) as error:
        raise TargetUnfit(f"the target's answer on its files can't be read ({error})") from error


def env_files(found: Mapping[str, bytes]) -> tuple[bytes, ...]:
    """Every dotenv file among the sections, as it is: what a person wrote there is secret, too."""
    return tuple(data for name, data in found.items() if name == "env" or name.startswith((_FOUND, _SEALED)))


def _entry(line: str) -> Entry:
    raw_mode, uid, size, changed_at, sha256, path = line.split(" ", 5)
    mode = int(raw_mode, 16)
    return Entry(
        path=seal.raw(path),
        kind=_KINDS.get(stat.S_IFMT(mode), Kind.OTHER),
        mode=stat.S_IMODE(mode),
        uid=int(uid),
        size=int(size),
        changed_at=int(changed_at),
        sha256={"-": None, "unreadable": ""}.get(sha256, sha256),
    )


def _sealed(line: str) -> Sealed:
    release, sha256, mode, size, path = line.split(" ", 4)
    is_directory = sha256 == "-"
    return Sealed(
        release=release,
        path=seal.raw(path),
        mode=int(mode, 8),
        size=None if is_directory else int(size),
        sha256=None if is_directory else sha256,
    )


def _seal(line: str) -> tuple[str, str]:
    sha256, _, path = line.partition(" ")
    return seal.raw(path).rpartition("/")[2].removesuffix(".seal"), sha256


def _envs(found: Mapping[str, bytes]) -> dict[str, EnvPair]:
    releases = [name.removeprefix(_FOUND) for name in found if name.startswith(_FOUND)]
    return {
        release: EnvPair(sealed=_values(found.get(_SEALED + release)), found=_values(found[_FOUND + release]))
        for release in releases
    }


def _values(data: bytes | None) -> dict[str, str] | None:
    if data is None:
        return None
    try:
        entries = parse_dotenv(data.decode("utf-8", "replace"), file=".env on the target")
    except EnvError:
        return None
    return {entry.key: entry.value.get_secret_value() for entry in entries}
