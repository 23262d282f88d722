"""Is the key that a server shows the one that we know? Strict: an unknown key and a changed one are refused."""

from __future__ import annotations

import base64
import binascii
import fnmatch
import hashlib
import hmac
from collections.abc import Iterable, Iterator
from pathlib import Path

from reconciler.adapters.transport.ssh_config import Hop
from reconciler.dataclass import dataclass
from reconciler.model.errors import LoginRefused


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of a known_hosts file. Source of the format: sshd(8), SSH_KNOWN_HOSTS FILE FORMAT."""

    file: Path
    line: int
    marker: str
    key_type: str
    key: bytes


def entries_for(name: str, files: Iterable[Path]) -> list[Entry]:
    """The lines that speak of `name` (`host`, or `[host]:port` for another port than 22).

    Raises LoginRefused for a file that exists and can't be read.
    """
    return [entry for file in files for entry in _matching(name, file)]


def check(hop: Hop, entries: list[Entry], key_type: str, key: bytes) -> None:
    """Returns when the server's key is known; raises LoginRefused with its fingerprint and the fix otherwise."""
    shown = f"{key_type} {fingerprint(key)}"
    for entry in entries:
        if entry.marker == "@revoked" and entry.key == key:
            raise LoginRefused(
                f"{hop.where}: host key refused: the server showed {shown}, which {entry.file}:{entry.line} revokes"
            )
    plain = [entry for entry in entries if not entry.marker]
    if any(entry.key == key for entry in plain):
        return
    if not plain:
        raise LoginRefused(
            f"{hop.where}: unknown host key: the server showed {shown}, and no key of {hop.host_key_name} is "
            f"in {_names(hop.known_hosts)}; compare that fingerprint with the server's own, then add it: "
            f"ssh-keyscan -p {hop.port} {hop.host} >> {_home_short(hop.known_hosts[0])}"
        )
    known = next((entry for entry in plain if entry.key_type == key_type), plain[0])
    raise LoginRefused(
        f"{hop.where}: HOST KEY CHANGED: the server showed {shown}, but {known.file}:{known.line} has "
        f"{known.key_type} {fingerprint(known.key)}; someone may be in between. If the server was really reinstalled, "
        f"compare the fingerprint with the server's own, then: ssh-keygen -R '{hop.host_key_name}' -f {known.file} && "
        f"ssh-keyscan -p {hop.port} {hop.host} >> {known.file}"
    )


def fingerprint(key: bytes) -> str:
    """As ssh-keygen -l prints it."""
    return "SHA256:" + base64.b64encode(hashlib.sha256(key).digest()).decode().rstrip("=")


def _matching(name: str, file: Path) -> Iterator[Entry]:
    try:
        text = file.read_text(encoding="utf-8", errors="replace")
    except (FileNotFoundError, NotADirectoryError):
        return  # as ssh: a file that isn't there knows nobody
    except OSError as error:
        raise LoginRefused(f"{file}: can't read the known host keys: {error.strerror}") from error
    for number, line in enumerate(text.splitlines(), start=1):
        words = line.split()
        if not words or words[0].startswith("#"):
            continue
        marker = words.pop(0) if words[0].startswith("@") else ""
        if len(words) < 3 or not _names_host(words[0], name):
            continue
        try:
            key = base64.b64decode(words[2], validate=True)
        except binascii.Error:
            continue  # ssh skips what it can't parse, too: such a line vouches for nobody
        yield Entry(file, number, marker, words[1], key)


def _names_host(patterns: str, name: str) -> bool:
    if patterns.startswith("|1|"):
        return _hashed_matches(patterns, name)
    matched = False
    for pattern in patterns.lower().split(","):
        negated = pattern.startswith("!")
        if _glob(pattern.removeprefix("!"), name.lower()):
            if negated:
                return False
            matched = True
    return matched


def _glob(pattern: str, name: str) -> bool:
    """Only `*` and `?` are wild; the brackets of `[host]:port` are themselves."""
    return fnmatch.fnmatchcase(name, pattern.replace("[", "[[]"))


def _hashed_matches(pattern: str, name: str) -> bool:
    try:
        salt, digest = (base64.b64decode(part, validate=True) for part in pattern.removeprefix("|1|").split("|"))
    except (binascii.Error, ValueError):
        return False
    # SHA-1 is the format of `HashKnownHosts`: it hides names, it secures nothing
    return hmac.compare_digest(hmac.new(salt, name.encode(), hashlib.sha1).digest(), digest)


def _names(files: tuple[Path, ...]) -> str:
    return ", ".join(_home_short(file) for file in files)


def _home_short(file: Path) -> str:
    try:
        return f"~/{file.relative_to(Path.home()).as_posix()}"
    except (ValueError, RuntimeError):
        return str(file)
