"""Which keys to log in with, in ssh's order, and why one can't be used."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Generator, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from reconciler.adapters.transport._paramiko import paramiko
from reconciler.adapters.transport.ssh_config import Hop
from reconciler.model.errors import LoginRefused


@dataclass
class Keyring:
    """The keys for one login. `tried` names them for a message; the agent is asked only when a file didn't do."""

    hop: Hop
    tried: list[str] = field(default_factory=list)
    _agent: paramiko.Agent | None = None
    _used: set[bytes] = field(default_factory=set)

    def offers(self) -> Iterator[paramiko.PKey]:
        """Raises LoginRefused for an identity file that somebody named and that can't be used, with the fix."""
        if self.hop.identities_chosen:
            problems = yield from self._from_files()
            if not self.hop.identities_only:
                yield from self._from_agent()
            if problems:
                raise LoginRefused(f"{self.hop.where}: no login as {self.hop.user}: {'; '.join(problems)}")
        else:
            if not self.hop.identities_only:
                yield from self._from_agent()
            yield from self._from_files()

    def close(self) -> None:
        if self._agent is not None:
            self._agent.close()

    def _from_files(self) -> Generator[paramiko.PKey, None, list[str]]:
        problems: list[str] = []
        for file in self.hop.identity_files:
            problem = _problem(file)
            if problem is None:
                try:
                    key = paramiko.PKey.from_path(file)
                except Exception as error:  # noqa: BLE001 - cryptography raises its own and ValueError for a bad file
                    problem = f"{file}: can't read this private key: {' '.join(str(error).split())[:200]}"
                else:
                    yield from self._once(key, str(file))
                    continue
            held = self._agent_key(_public_blob(file))
            if held is not None:
                yield from self._once(held, f"{file} (by the agent)")
            elif self.hop.identities_chosen or file.exists():
                problems.append(problem)
        if not self.hop.identities_chosen:
            self.tried += [f"not usable: {problem}" for problem in problems]
        return problems

    def _from_agent(self) -> Iterator[paramiko.PKey]:
        for key in self._agent_keys():
            comment = getattr(key, "comment", "") or key.get_name()
            yield from self._once(key, f"{comment} (agent)")

    def _once(self, key: paramiko.PKey, name: str) -> Iterator[paramiko.PKey]:
        if key.asbytes() in self._used:
            return
        self._used.add(key.asbytes())
        self.tried.append(name)
        yield key

    def _agent_key(self, blob: bytes | None) -> paramiko.PKey | None:
        if blob is None:
            return None
        return next((key for key in self._agent_keys() if key.asbytes() == blob), None)

    def _agent_keys(self) -> tuple[paramiko.PKey, ...]:
        try:
            if self._agent is None:
                self._agent = paramiko.Agent()
            return tuple(self._agent.get_keys())
        except (paramiko.SSHException, OSError, EOFError) as error:
            self.tried.append(f"the agent doesn't answer ({' '.join(str(error).split()) or type(error).__name__})")
            return ()


def _problem(file: Path) -> str | None:
    """Why `file` can't be used as a private key, with the fix; None when it looks fine."""
    try:
        data = file.read_bytes()
    except FileNotFoundError:
        return f"{file}: no such identity file"
    except OSError as error:
        return f"{file}: can't read this identity file: {error.strerror}"
    if data.startswith(b"PuTTY-User-Key-File"):
        return f"{file}: a PuTTY key; convert it with: puttygen {file} -O private-openssh -o NEWFILE"
    if data.startswith((b"ssh-", b"ecdsa-", b"sk-")):
        return f"{file}: this is the public half; name the private one"
    if _is_encrypted(data):
        return f"{file}: encrypted, and no agent holds it; add it to one with: ssh-add {file}"
    return None


def _is_encrypted(data: bytes) -> bool:
    if b"BEGIN OPENSSH PRIVATE KEY" not in data:
        return b"ENCRYPTED" in data  # PEM ("Proc-Type: 4,ENCRYPTED") and PKCS#8 ("BEGIN ENCRYPTED PRIVATE KEY")
    body = b"".join(line for line in data.splitlines() if b"-----" not in line)
    try:
        raw = base64.b64decode(body)
    except binascii.Error:
        return False  # not a key at all: reading it says so
    # PROTOCOL.key of OpenSSH: a magic, then the cipher's name with its length
    magic = b"openssh-key-v1\0"
    length = int.from_bytes(raw[len(magic) : len(magic) + 4], "big")
    return raw.startswith(magic) and raw[len(magic) + 4 : len(magic) + 4 + length] != b"none"


def _public_blob(file: Path) -> bytes | None:
    """The public half beside an identity file, to find it in the agent."""
    public = file if file.suffix == ".pub" else file.with_name(file.name + ".pub")
    try:
        return base64.b64decode(public.read_text(encoding="utf-8").split()[1], validate=True)
    except (OSError, IndexError, binascii.Error, UnicodeDecodeError):
        return None  # then the agent's key can't be told from others; it is tried with them
