"""Logging by the standard library: one handler, whose formatter redacts everything that leaves the process.

The redactor comes when values are known, after logging began: a `RedactorHolder`, owned by the wiring, is asked at
each record. Nothing is global but what `logging` itself keeps.
"""

from __future__ import annotations

import logging
import traceback
from collections.abc import Mapping
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, Final, Literal, TextIO

from reconciler.telemetry.redact import Redactor

Format = Literal["text", "json"]
LEVELS: Final[Mapping[str, int]] = {
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warning": logging.WARNING,
    "error": logging.ERROR,
}
OURS: Final = "reconciler"
_STANDARD = frozenset([*vars(logging.makeLogRecord({})), "message", "asctime", "taskName"])
_CONTROLS = {code: f"\\x{code:02x}" for code in [*range(32), 127, *range(128, 160)] if chr(code) not in "\n\t"}


class RedactorHolder:
    """Holds the redactor in force. Secrets only add up: a redactor that is set later also masks what an earlier did."""

    def __init__(self) -> None:
        self._current = Redactor.none()

    @property
    def current(self) -> Redactor:
        """Masks every value known so far."""
        return self._current

    def set_redactor(self, redactor: Redactor) -> None:
        """From the next record on."""
        self._current = self._current.union(redactor)


def configure(level: str, log_format: Format, stream: TextIO, holder: RedactorHolder) -> None:
    """Sends every log record of the process through one redacting handler on `stream`.

    `level` is a key of LEVELS and counts for our own loggers; third-party ones (paramiko, urllib3, docker) are heard
    from WARNING on, at `debug` in full. Handlers that were there before are taken off: they would not redact.
    May be called again. Raises KeyError for an unknown level.
    """
    ours = LEVELS[level]
    handler = _Handler(stream)
    handler.setFormatter(_Json(holder) if log_format == "json" else _Text(holder))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(ours if ours == logging.DEBUG else max(ours, logging.WARNING))
    logging.getLogger(OURS).setLevel(ours)
    for name, logger in list(root.manager.loggerDict.items()):
        if isinstance(logger, logging.Logger):
            logger.handlers.clear()
            logger.propagate = True
            if name.partition(".")[0] != OURS:
                logger.setLevel(logging.NOTSET)
    logging.captureWarnings(capture=True)


class _Handler(logging.StreamHandler[TextIO]):
    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - the library's name
        """The library's own would print the record's message and arguments, unmasked."""
        try:
            self.stream.write(f"a log record of {record.module}:{record.lineno} could not be written\n")
        except (OSError, ValueError):
            return  # the stream is gone: there is nowhere to say it


class _Redacting(logging.Formatter):
    def __init__(self, holder: RedactorHolder) -> None:
        super().__init__()
        self._holder = holder

    def _message(self, record: logging.LogRecord) -> str:
        try:
            message = record.getMessage()
        except Exception:  # noqa: BLE001 - whatever a __str__ raises: a log call must not end a pass
            message = f"{record.msg} (its arguments don't fit)"
        return self._holder.current.text(message)

    def _trace(self, record: logging.LogRecord) -> str:
        """The traceback, chained exceptions included, and the stack if it was asked for; not cached on the record."""
        found: tuple[Any, Any, TracebackType | None] | tuple[None, None, None] | None = record.exc_info
        parts = "".join(traceback.format_exception(*found)) if found and found[0] else record.exc_text or ""
        return self._holder.current.text("\n".join(part for part in (parts.rstrip("\n"), record.stack_info) if part))

    def _fields(self, record: logging.LogRecord) -> dict[str, Any]:
        extra = {key: value for key, value in vars(record).items() if key not in _STANDARD}
        fields: dict[str, Any] = self._holder.current.value(extra)
        return fields


class _Text(_Redacting):
    def format(self, record: logging.LogRecord) -> str:
        """`<UTC time> WARNING logger: message key=value`; further lines are indented, so none can be forged."""
        line = f"{_when(record)} {record.levelname} {self._holder.current.text(record.name)}: {self._message(record)}"
        line += "".join(f" {key}={value}" for key, value in self._fields(record).items())
        trace = self._trace(record)
        whole = self._holder.current.text(line + (f"\n{trace}" if trace else ""))
        return whole.translate(_CONTROLS).replace("\n", "\n    ")


class _Json(_Redacting):
    def format(self, record: logging.LogRecord) -> str:
        """One object on one line: ts (UTC), level, logger, message, fields, and exception where there is one."""
        import json

        entry = {
            "ts": _when(record),
            "level": record.levelname,
            "logger": self._holder.current.text(record.name),
            "message": self._message(record),
            "fields": self._fields(record),
        }
        if trace := self._trace(record):
            entry["exception"] = trace
        return json.dumps(entry, ensure_ascii=True, default=str)


def _when(record: logging.LogRecord) -> str:
    return datetime.fromtimestamp(record.created, UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"
