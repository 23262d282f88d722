"""Pulling an image: with given credentials by the API, else with the login of the user on the target.

Credentials go in a header of one request: never into an argument, an environment or a file (P9).
"""

from __future__ import annotations

import time
from collections.abc import Callable

from reconciler.adapters.engine.library import docker
from reconciler.model.errors import PreflightFailed, TakenOver, TargetTimeout, TargetUnfit, TargetUnreachable
from reconciler.ports import Completed, Credentials, RemoteProcess
from reconciler.remote import FENCED

SILENCE_SECONDS = 900.0
"""The longest time without a line of progress: one large layer over a slow line prints none."""
_MOMENT = 0.01

_NO_DAEMON = ("cannot connect to the docker daemon", "error during connect")
_HINTS: tuple[tuple[str, str], ...] = (
    ("no space left", "free disk space on the target"),
    ("http response to https client", "the registry speaks no TLS: is it one of the engine's insecure-registries?"),
    ("x509", "does the target trust the registry's certificate?"),
    ("repository does not exist", "is the name right, and is the login? `docker login {registry}` on the target"),
    ("unauthorized", "is the login right? `docker login {registry}` on the target, or give credentials"),
    ("denied", "is the login right? `docker login {registry}` on the target, or give credentials"),
    ("no basic auth", "`docker login {registry}` on the target, or give credentials"),
    ("authentication required", "`docker login {registry}` on the target, or give credentials"),
    ("manifest unknown", "is the tag pushed?"),
    ("not found", "is the tag pushed?"),
    ("no matching manifest", "the image isn't built for the target's platform"),
    ("connection refused", "is the registry up, and can the target reach it?"),
    ("no such host", "can the target resolve {registry}?"),
    ("server misbehaving", "can the target resolve {registry}?"),
    ("timeout", "can the target reach {registry}?"),
    ("no route to host", "can the target reach {registry}?"),
    ("toomanyrequests", "the registry limits pulls: log in, or wait"),
)


def pull_with_credentials(
    client: docker.APIClient,
    name: str,
    reference: str,
    credentials: Credentials,
    progress: Callable[[str], None],
    deadline: float,
) -> None:
    """Raises PreflightFailed with the registry's reason, also when `deadline` (of time.monotonic) has passed; else what
    the docker library raises."""
    login = {"username": credentials.username, "password": credentials.password()}
    shown: dict[str, str] = {}
    try:
        for step in client.pull(reference, stream=True, decode=True, auth_config=login):
            if time.monotonic() > deadline:
                raise _late(name, reference)
            if reason := step.get("error"):
                raise _failed(name, reference, str(reason))
            layer, status = str(step.get("id") or ""), str(step.get("status") or "")
            if status and shown.get(layer) != status:  # byte counts come many times a second
                shown[layer] = status
                progress(f"{layer}: {status}" if layer else status)
    except docker.errors.APIError as error:
        raise _failed(name, reference, str(error.explanation or error)) from error


def pull_with_login_there(
    name: str, process: RemoteProcess, reference: str, progress: Callable[[str], None], deadline: float
) -> None:
    """Follows a `docker pull` on the target, which knows the logins and credential helpers of its user.

    Raises PreflightFailed with the registry's reason, TargetUnfit where the docker program is missing, and
    TargetUnreachable, also where the engine is.
    """
    try:
        while line := process.read_line(_left(deadline)):
            progress(line.decode(errors="replace").strip())
        ended = process.wait(_left(deadline))
    except TargetTimeout as error:
        raise (_late(name, reference) if _left(deadline) <= _MOMENT else error) from None
    finally:
        process.close()
    if ended.status == FENCED:
        raise TakenOver(f"{name}: {' '.join(ended.stderr.decode(errors='replace').split())}")
    if ended.status != 0:
        raise _explained(name, reference, ended)


def _left(deadline: float) -> float:
    return min(SILENCE_SECONDS, max(_MOMENT, deadline - time.monotonic()))


def _late(name: str, reference: str) -> PreflightFailed:
    return PreflightFailed(f"{name}: pull of {reference}: not there in time (timeouts.pull); nothing was changed")


def _explained(name: str, reference: str, ended: Completed) -> PreflightFailed | TargetUnfit | TargetUnreachable:
    said = " ".join(ended.stderr.decode(errors="replace").split())
    if any(text in said.lower() for text in _NO_DAEMON):
        return TargetUnreachable(f"{name}: the Docker engine doesn't answer: {said}")
    if ended.status == 127:
        return TargetUnfit(f"{name}: no docker program on the target ({said}); install Docker with Compose v2")
    return _failed(name, reference, said or f"docker pull ended with status {ended.status}")


def _failed(name: str, reference: str, reason: str) -> PreflightFailed:
    reason = reason.removeprefix("Error response from daemon: ")
    hint = next((hint for text, hint in _HINTS if text in reason.lower()), "")
    advice = f"; {hint.format(registry=registry_of(reference))}" if hint else ""
    return PreflightFailed(f"{name}: pull of {reference} failed: {reason}{advice}")


def registry_of(reference: str) -> str:
    """The registry in an image reference. Source: the distribution reference grammar (a host has a dot or a port)."""
    first, slash, _ = reference.partition("/")
    return first if slash and ("." in first or ":" in first or first == "localhost") else "docker.io"
