"""Values that a program prints: SOPS, a password manager, anything that writes dotenv to its standard output."""

from __future__ import annotations

import subprocess
import threading
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from reconciler.adapters.env.written import MAX_BYTES, Written, decoded
from reconciler.model.errors import EnvError

TIMEOUT = 60.0
"""Seconds for a program that prints the values; it may have to ask a server."""


def values_printed_by(command: Sequence[str], directory: Path, *, timeout: float = TIMEOUT) -> Written:
    """What `command` (no shell) prints, run in `directory` with nothing on its standard input.

    Raises EnvError where it fails. Its standard error is never shown: before the values are known nothing in it can be
    masked.
    """
    program = Path(command[0]).name
    where = f"env.values.command: {program}"
    try:
        process = subprocess.Popen(
            list(command), cwd=directory, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        )
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else "a NUL in an argument"
        raise EnvError(f"{where} can't be run in {directory}: {why}; is it installed on this machine?") from None
    try:
        printed = _output(process, timeout)
        status = process.wait(timeout) if printed is not None and len(printed) <= MAX_BYTES else None
    except subprocess.TimeoutExpired:
        status = printed = None
    finally:
        process.kill()
        with suppress(subprocess.TimeoutExpired):
            process.wait(1.0)
    if printed is None:
        raise EnvError(f"{where} wasn't done in {timeout:g} s; run it by hand to see what it waits for")
    if len(printed) > MAX_BYTES:
        raise EnvError(f"{where} printed more than 1 MiB; it should print KEY=value lines only")
    if status != 0:
        raise EnvError(f"{where} ended with {status}; run it by hand in {directory} to see why")
    if not printed.strip():
        raise EnvError(f"{where} printed nothing; it should print KEY=value lines")
    return decoded(f"output of {program}", printed)


def _output(process: subprocess.Popen[bytes], timeout: float) -> bytes | None:
    """Up to 1 MiB + 1 byte of its output; None where it isn't done in `timeout` seconds.

    A thread reads: a child that it left behind may keep the pipe open for ever.
    """
    found: list[bytes] = []

    def read() -> None:
        found.append(process.stdout.read(MAX_BYTES + 1) if process.stdout else b"")

    reader = threading.Thread(target=read, name="env.values.command", daemon=True)
    reader.start()
    reader.join(timeout)
    return found[0] if found else None
