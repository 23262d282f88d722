"""The one place where what the docker library raises becomes one of our errors."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from reconciler.adapters.engine.library import docker, requests, urllib3
from reconciler.model.errors import ReconcilerError, TargetTimeout, TargetUnreachable


class EngineError(ReconcilerError):
    """The engine answered and refused. `status` is the HTTP status (404: no such thing, 409: a conflict).

    The text holds the engine's own words, which may quote an env value: it is redacted where it is shown.
    """

    def __init__(self, message: str, *, status: int) -> None:
        self.status = status
        super().__init__(message)


@contextmanager
def engine_errors(transport_name: str, socket_path: str = "/var/run/docker.sock") -> Iterator[None]:
    """Raises EngineError for what the engine refused, TargetTimeout for no answer in time, TargetUnreachable otherwise.

    An engine that can't be asked is unknown, never absent (P6).
    """
    try:
        yield
    except ReconcilerError:
        raise
    except docker.errors.APIError as error:
        status = error.response.status_code if error.response is not None else 0
        said = " ".join(str(error.explanation or error).split())
        raise EngineError(f"{transport_name}: the engine refused ({status}): {said}", status=status) from error
    except docker.errors.DockerException as error:
        raise _mapped(transport_name, socket_path, error) from error
    except (requests.RequestException, urllib3.exceptions.HTTPError, OSError) as error:
        raise _mapped(transport_name, socket_path, error) from error


def _mapped(name: str, path: str, error: BaseException) -> ReconcilerError:
    """Looks for the cause under what requests and urllib3 wrapped around it."""
    seen: list[BaseException] = []
    _collect(error, seen)
    for cause in seen:
        if isinstance(cause, ReconcilerError):
            return cause
    for cause in seen:
        if isinstance(cause, PermissionError):
            return TargetUnreachable(
                f"{name}: no access to the engine's socket {path}: permission denied; "
                "is the user in the group docker? or set sudo: true"
            )
        if isinstance(cause, FileNotFoundError | ConnectionRefusedError):
            return TargetUnreachable(f"{name}: no engine at {path}: {_words(cause)}; is dockerd up?")
        if isinstance(cause, TimeoutError | requests.Timeout | urllib3.exceptions.TimeoutError):
            return TargetTimeout(f"{name}: the engine at {path} gave no answer in time")
    return TargetUnreachable(f"{name}: the connection to the engine at {path} was lost: {_words(seen[-1])}")


def _collect(error: BaseException | None, seen: list[BaseException]) -> None:
    if error is None or error in seen:
        return
    seen.append(error)
    reasons = [getattr(error, "reason", None), *error.args, error.__cause__, error.__context__]
    for reason in reasons:
        if isinstance(reason, BaseException):
            _collect(reason, seen)


def _words(error: BaseException) -> str:
    text = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return " ".join(str(text).split())
