"""`env encrypt`: a plain values file becomes an encrypted one beside it; an encrypted one gets other recipients."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from reconciler.adapters.env import age
from reconciler.adapters.env.place import EnvPlace, shown
from reconciler.adapters.env.written import Written, read_plain
from reconciler.dataclass import dataclass
from reconciler.model.env_files import AGE
from reconciler.model.errors import EnvError

Check = Callable[[Written], None]
"""Raises EnvError where values can't be taken as they are."""


@dataclass(frozen=True, slots=True)
class Encrypted:
    """What `encrypt_values` made: the file, for how many, and what is left to do."""

    file: Path
    recipients: int
    next_steps: tuple[str, ...]


def encrypt_values(place: EnvPlace, check: Check) -> Encrypted:
    """Encrypts the plain values file to `<its name>.age`, or, where only that is there, encrypts it anew.

    Nothing is overwritten that can't be made again. Raises EnvError.
    """
    if place.spec.values is None or place.file is None:
        raise EnvError("env.values names no file: there is nothing to encrypt; write `values: .env.server`")
    if place.spec.values.is_encrypted:
        plain, encrypted = place.file.with_suffix(""), place.file
    else:
        plain, encrypted = place.file, place.file.with_name(place.file.name + AGE)
    if not plain.exists() and encrypted.exists():
        return _anew(place, encrypted)
    written = read_plain(plain, hint="write the values there, or name another file in env.values")
    if os.path.lexists(encrypted):
        raise EnvError(
            f"{encrypted}: exists already: `reconcile env edit` changes it; to make it anew from {plain},"
            " remove it first"
        )
    check(written)
    write_atomically(encrypted, sealed(place, written.text.encode()))
    return Encrypted(encrypted, len(place.spec.recipients), _after(place, plain, encrypted))


def sealed(place: EnvPlace, plain: bytes, *, armored: bool = True) -> bytes:
    """`plain` encrypted to env.recipients; tried with env.identity, if there is one.

    Raises EnvError where that identity couldn't read it again.
    """
    content = age.encrypt(plain, place.spec.recipients, armored=armored)
    if place.spec.identity is not None:
        keys = age.read_keys(place.spec.identity, place.identity)
        try:
            again = age.decrypt(content, keys, name="env.values")
        except EnvError:
            mine = f" (`{keys.public[0]}`)" if keys.public else ""
            raise EnvError(
                f"env.recipients: the key of env.identity{mine} isn't among them, so this machine couldn't read the"
                " values again; add it"
            ) from None
        if again != plain:
            raise EnvError("env.values: what was encrypted doesn't decrypt to the same; nothing was written")
    return content


def write_atomically(path: Path, content: bytes) -> None:
    """Replaces `path` (what it links to) in one step; its mode stays, a new file gets 0644. Raises EnvError."""
    path = path.resolve()
    temporary = ""
    try:
        mode = path.stat().st_mode & 0o777 if path.exists() else 0o644
        descriptor, temporary = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".new", dir=path.parent)
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).chmod(mode)
        Path(temporary).replace(path)
    except OSError as error:
        raise EnvError(f"{path}: can't be written: {error.strerror}; nothing was changed") from None
    finally:
        with suppress(OSError):
            if temporary:
                Path(temporary).unlink()


def _anew(place: EnvPlace, file: Path) -> Encrypted:
    if place.spec.identity is None:
        raise EnvError(f"{file}: is encrypted already, and env.identity doesn't say with what to read it")
    content = age.read_ciphertext(file)
    plain = age.decrypt(content, age.read_keys(place.spec.identity, place.identity), name=str(file))
    write_atomically(file, sealed(place, plain, armored=age.is_armored(content)))
    return Encrypted(
        file,
        len(place.spec.recipients),
        (
            f"commit {shown(file)}",
            "who is no recipient any more can still read what git has of it: change the secrets themselves",
        ),
    )


def _after(place: EnvPlace, plain: Path, encrypted: Path) -> tuple[str, ...]:
    steps = []
    if place.spec.values is not None and not place.spec.values.is_encrypted:
        missing = "" if place.spec.identity else ", and `identity: {file: …}`"
        steps.append(f"in deploy.yaml write `values: {place.spec.values.file}{AGE}`{missing}")
    steps.append(f"commit {shown(encrypted)}")
    steps.append(f"remove {shown(plain)} (`shred -u`, where the disk allows it): from then on nothing reads it")
    return tuple(steps)
