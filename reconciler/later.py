"""Values that are made at their first use, once, whatever thread comes first."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, TypeVar

from reconciler.model.errors import ReconcilerError

T = TypeVar("T")


class Later:
    """Stands for an object that is made at its first use."""

    def __init__(self, make: Callable[[], object]) -> None:
        self._get = once(make)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._get(), name)


def once(make: Callable[[], T]) -> Callable[[], T]:
    """`make`, called at most once, from whatever thread comes first; an error is raised again for each."""
    lock = threading.Lock()
    made: list[T | ReconcilerError] = []

    def get() -> T:
        with lock:
            if not made:
                try:
                    made.append(make())
                except ReconcilerError as error:
                    made.append(error)
        if isinstance(made[0], ReconcilerError):
            raise made[0]
        return made[0]

    return get
