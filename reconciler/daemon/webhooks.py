"""What forges send when somebody pushed: a reason to fetch, and nothing else. Nothing of its content is believed.

The signature is checked in constant time, over a body of limited size, and a flood costs one fetch at most.
"""

from __future__ import annotations

import hashlib
import hmac
import threading
import time
from collections.abc import Callable, Mapping

LARGEST_BODY = 1024 * 1024
"""Bytes. GitHub sends at most 25 MB, but a push that needs that much is fetched by the clock."""
LEAST_PAUSE = 2.0
"""Seconds between two fetches that webhooks cause. One that comes in between causes the next."""
RATE, BURST = 5.0, 50.0
"""Requests a second that are looked at, and how many at once; beyond that nothing is computed for them."""

RESULTS = ("accepted", "refused", "limited")
"""How receiving one can end, as its metric says it."""


class Webhooks:
    """`secrets` are those of the forges that may ask; `wake(seconds)` has the source asked after so many seconds."""

    def __init__(
        self,
        secrets: Mapping[str, str],
        wake: Callable[[float], None],
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._secrets = {forge: secret.encode() for forge, secret in secrets.items()}
        self._wake = wake
        self._clock = clock
        self._lock = threading.Lock()
        self._tokens, self._filled = BURST, clock()
        self._woken: float | None = None

    def admits(self) -> bool:
        """Whether this request may be looked at. Each call counts as one."""
        with self._lock:
            now = self._clock()
            self._tokens = min(BURST, self._tokens + RATE * (now - self._filled))
            self._filled = now
            if self._tokens < 1.0:
                return False
            self._tokens -= 1.0
            return True

    def knows(self, forge: str) -> bool:
        """Whether webhooks of this forge are wanted."""
        return forge in self._secrets

    def is_genuine(self, forge: str, header: Callable[[str], str], body: bytes) -> bool:
        """Whether whoever sent this knows the secret. `header` gives a request's header, "" where there is none.

        Sources: GitHub, "Validating webhook deliveries"; Gitea and Forgejo, "Webhooks"; GitLab, "Webhooks" (its token
        is sent as it is, and proves nothing of the body, which isn't used).
        """
        secret = self._secrets.get(forge)
        if secret is None:
            return False
        signature = hmac.new(secret, body, hashlib.sha256).hexdigest()
        match forge:
            case "github":
                sent, expected = header("X-Hub-Signature-256"), f"sha256={signature}"
            case "gitea":
                sent, expected = header("X-Gitea-Signature") or header("X-Forgejo-Signature"), signature
            case _:
                return hmac.compare_digest(header("X-Gitlab-Token").encode(), secret)
        return hmac.compare_digest(sent.encode(), expected.encode())

    def accept(self) -> None:
        """Has the source asked; many that come together have it asked once."""
        with self._lock:
            now = self._clock()
            due = now if self._woken is None else max(now, self._woken + LEAST_PAUSE)
            self._woken = due
        self._wake(due - now)
