"""The owner of pyrage: values encrypted by age (https://age-encryption.org), with X25519 and SSH keys.

pyrage is imported where it is used: most passes need none of it. What its errors say is never passed on.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import field
from pathlib import Path
from typing import Any

from reconciler.adapters.env.written import Exposed, Written, decoded, exposure, is_age, read_file
from reconciler.dataclass import dataclass
from reconciler.model.env_files import Identity
from reconciler.model.errors import EnvError

LARGEST = 2 * 1024 * 1024
"""Bytes of an encrypted file: a mebibyte of values, armored."""
_LARGEST_KEY = 64 * 1024
_BINARY = b"age-encryption.org/"
_PASSPHRASE = b"-> scrypt "


@dataclass(frozen=True, slots=True)
class Keys:
    """Secret keys, ready to decrypt. `public` are those of them that can tell their recipient (`age1…`)."""

    identities: tuple[Any, ...] = field(repr=False)
    public: tuple[str, ...]
    exposed: tuple[Exposed, ...] = ()


def read_keys(identity: Identity, path: Path | None, environment: Mapping[str, str] = os.environ) -> Keys:
    """The keys of `env.identity`, whose file (if it is one) is `path`. Raises EnvError, never with a key."""
    if path is None:
        name = identity.env or ""
        if name not in environment:
            raise EnvError(f"env.identity: {name} isn't set in the environment; put the identity's text into it")
        return _keys(environment[name], f"env.identity ({name})", ())
    hint = "make one with `age-keygen`, or name the file of an SSH key"
    raw, mode = read_file(path, hint=hint, limit=_LARGEST_KEY)
    if len(raw) > _LARGEST_KEY:
        raise EnvError(f"{path}: too large for an identity; env.identity.file names the file of one")
    if is_age(raw):
        raise EnvError(f"{path}: the identity has a passphrase, which isn't supported; decrypt it to a file of its own")
    return _keys(raw.decode("utf-8", "replace"), str(path), exposure(path, mode))


def read_encrypted(path: Path, keys: Keys) -> Written:
    """The text of an encrypted values file. Raises EnvError."""
    content = read_ciphertext(path)
    return decoded(str(path), decrypt(content, keys, name=str(path)), keys.exposed)


def read_ciphertext(path: Path) -> bytes:
    """An age file as it is. Raises EnvError where it is none."""
    content, _ = read_file(path, hint="`reconcile env encrypt` makes it from the plain file beside it", limit=LARGEST)
    if len(content) > LARGEST:
        raise EnvError(f"{path}: larger than {LARGEST // 2**20} MiB; env values don't get that large")
    if not is_age(content):
        raise EnvError(f"{path}: isn't encrypted by age; `reconcile env encrypt` does that, and git may have seen it")
    return content


def decrypt(content: bytes, keys: Keys, *, name: str) -> bytes:
    """The plain bytes of an age file, binary or armored. Raises EnvError; `name` is for messages."""
    import pyrage

    try:
        return bytes(pyrage.decrypt(content, list(keys.identities)))
    except pyrage.DecryptError as error:
        if _PASSPHRASE in content[:200]:
            raise EnvError(
                f"{name}: is encrypted with a passphrase, and that isn't supported; use recipients"
            ) from None
        if "No matching keys" not in str(error):
            raise EnvError(f"{name}: is damaged: age can't read it; take it from git again") from None
        mine = f" ({', '.join(keys.public)})" if keys.public else ""
        raise EnvError(
            f"{name}: isn't encrypted to the key of env.identity{mine}; who can read it adds that to env.recipients,"
            " and runs `reconcile env encrypt`"
        ) from None


def encrypt(plain: bytes, recipients: Sequence[str], *, armored: bool = True) -> bytes:
    """An age file that each of `recipients` can read. Raises EnvError for none, or for one that is no key."""
    import pyrage

    if not recipients:
        raise EnvError("env.recipients: is empty; name whom to encrypt to, yourself included: `recipients: [age1…]`")
    found = []
    for position, recipient in enumerate(recipients):
        kind = pyrage.ssh if recipient.startswith("ssh-") else pyrage.x25519
        try:
            found.append(kind.Recipient.from_str(recipient))
        except pyrage.RecipientError:
            raise EnvError(
                f"env.recipients[{position}]: isn't a public key that can be encrypted to; copy it again, whole"
            ) from None
    return bytes(pyrage.encrypt(plain, found, armored=armored))


def is_armored(content: bytes) -> bool:
    """Is an age file in its text form?"""
    return not content.startswith(_BINARY)


def _keys(text: str, name: str, exposed: tuple[Exposed, ...]) -> Keys:
    import pyrage

    if "-----BEGIN" in text:
        return Keys((_ssh_key(text, name),), (), exposed)
    identities = []
    for number, line in enumerate(text.splitlines(), 1):
        bare = line.strip()
        if not bare or bare.startswith("#"):
            continue
        try:
            identities.append(pyrage.x25519.Identity.from_str(bare))
        except pyrage.IdentityError:
            what = "is a plugin's, and that isn't supported" if bare.startswith("AGE-PLUGIN-") else "isn't one"
            raise EnvError(
                f"{name}:{number}: an identity is AGE-SECRET-KEY-1… or an SSH key; this line {what}"
            ) from None
    if not identities:
        raise EnvError(f"{name}: holds no identity; it should be AGE-SECRET-KEY-1… or an SSH private key")
    return Keys(tuple(identities), tuple(str(each.to_public()) for each in identities), exposed)


def _ssh_key(text: str, name: str) -> Any:
    import pyrage

    try:
        return pyrage.ssh.Identity.from_buffer(text.encode())
    except pyrage.IdentityError as error:
        if "must be decrypted" in str(error):
            raise EnvError(
                f"{name}: the SSH key has a passphrase, and that isn't supported here (no agent can decrypt for age);"
                " use an age identity, or a key without a passphrase"
            ) from None
        raise EnvError(f"{name}: isn't an SSH key that age can use; RSA and Ed25519 keys are") from None
