"""What must not be told twice, on the controller's disk. A file that is lost, or can't be read, at worst repeats."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TypeVar

from reconciler.durable import replace_file
from reconciler.model.stored import FORMAT, Stored

log = logging.getLogger("reconciler.notify")

T = TypeVar("T", bound=Stored)


def load(file: Path | None, empty: T) -> T:
    """What the file holds, of the type of `empty`; that itself where there is none that can be read."""
    if file is None:
        return empty
    try:
        found = type(empty).model_validate_json(file.read_bytes())
    except FileNotFoundError:
        return empty
    except (OSError, ValueError) as error:
        log.warning("%s can't be read (%s): what was told already may be told again", file, type(error).__name__)
        return empty
    return empty if getattr(found, "version", FORMAT) > FORMAT else found


def save(file: Path | None, book: Stored) -> None:
    """Writes it whole or not at all, for nobody else to read. Never raises: it is said in the log."""
    if file is None:
        return
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        replace_file(file, book.model_dump_json(exclude_defaults=True).encode())
    except OSError as error:
        log.warning("%s can't be written (%s): what is told may be told again", file, error.strerror)
