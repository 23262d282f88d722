"""A remote repository and how one gets in: by the usual means of git, or a token or key that deploy.yaml names."""

from __future__ import annotations

import base64
import shlex
from collections.abc import Mapping
from dataclasses import field
from pathlib import Path

from reconciler.dataclass import dataclass


@dataclass(frozen=True, slots=True)
class Remote:
    """`token` (with `username`) is for https; `identity_file` for ssh. Neither: what git and ssh have themselves."""

    url: str
    username: str = "git"
    token: str | None = field(default=None, repr=False)
    identity_file: Path | None = None
    timeout: float = 60.0

    def environment(self) -> Mapping[str, str]:
        """What git needs in its environment to get in: nothing of it is in a process list, or on a disk.

        The header goes to this address alone, not to where a redirect leads.
        """
        found = {"GIT_SSH_COMMAND": self._ssh(), "GCM_INTERACTIVE": "never"}
        if self.token is not None:
            login = base64.b64encode(f"{self.username}:{self.token}".encode()).decode("ascii")
            found |= {
                "GIT_CONFIG_COUNT": "1",
                "GIT_CONFIG_KEY_0": f"http.{self.url}.extraHeader",
                "GIT_CONFIG_VALUE_0": f"Authorization: Basic {login}",
            }
        return found

    def _ssh(self) -> str:
        """No question is ever asked: an unknown host key is a failure, and so is a key with a passphrase."""
        words = ["ssh", "-o", "BatchMode=yes", "-o", "ConnectTimeout=15"]
        if self.identity_file is not None:
            words += ["-o", "IdentitiesOnly=yes", "-i", str(self.identity_file)]
        return shlex.join(words)
