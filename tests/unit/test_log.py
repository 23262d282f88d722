"""Logs: one handler, nothing unmasked, text and JSON."""

from __future__ import annotations

import io
import json
import logging
import warnings
from collections.abc import Iterator

import pytest
from pydantic import SecretStr

from reconciler.telemetry.log import Format, RedactorHolder, configure
from reconciler.telemetry.redact import Redactor

SECRET = "hunter2-canary"


@pytest.fixture(autouse=True)
def _logging_as_it_was() -> Iterator[None]:
    """Puts back what `configure` changes for the whole process."""
    root = logging.getLogger()
    before = root.handlers[:], root.level, logging.getLogger("reconciler").level
    yield
    root.handlers[:] = before[0]
    root.setLevel(before[1])
    logging.getLogger("reconciler").setLevel(before[2])
    logging.captureWarnings(capture=False)


def start(log_format: Format = "text", level: str = "info") -> tuple[io.StringIO, RedactorHolder]:
    stream, holder = io.StringIO(), RedactorHolder()
    configure(level, log_format, stream, holder)
    holder.set_redactor(Redactor({"TOKEN": SecretStr(SECRET), "DEBUG": SecretStr("1")}))
    return stream, holder


@pytest.mark.parametrize("log_format", ["text", "json"])
def test_nothing_leaves_unmasked(log_format: Format) -> None:
    """Message, arguments, fields, tracebacks with causes, the logger's name, stack, and warnings."""
    stream, _ = start(log_format, "debug")
    log = logging.getLogger(f"reconciler.{SECRET}")
    try:
        try:
            raise ValueError(f"inner {SECRET}")
        except ValueError as error:
            raise RuntimeError(f"outer {SECRET!r}") from error
    except RuntimeError:
        log.exception("failed with %s", SECRET, extra={"answer": {SECRET: [SECRET]}, "env": {"DEBUG": "1"}})
    logging.getLogger("paramiko.transport").warning("sent %s", SECRET, stack_info=True)
    warnings.warn(f"about {SECRET}", stacklevel=1)
    written = stream.getvalue()
    assert SECRET not in written
    assert "ValueError: inner ***" in written
    assert "RuntimeError: outer '***'" in written
    assert "about ***" in written
    assert "'DEBUG': '***'" in written or '"DEBUG": "***"' in written


def test_json_lines() -> None:
    """One object a line, with the documented keys."""
    stream, _ = start("json")
    logging.getLogger("reconciler.cycle").info("two\nlines", extra={"target": "prod", "ms": 12})
    entry = json.loads(stream.getvalue())
    assert set(entry) == {"ts", "level", "logger", "message", "fields"}
    assert entry["ts"].endswith("Z")
    assert entry["fields"] == {"target": "prod", "ms": 12}
    assert (entry["level"], entry["logger"], entry["message"]) == ("INFO", "reconciler.cycle", "two\nlines")


def test_text_lines_can_not_be_forged() -> None:
    """What a target printed can't begin a log line of its own, nor steer the terminal."""
    stream, _ = start()
    logging.getLogger("reconciler").info("said: x\n2026 INFO reconciler: fine\x1b[2J", extra={"target": "prod"})
    lines = stream.getvalue().splitlines()
    assert lines[0].endswith("INFO reconciler: said: x")
    assert lines[1] == "    2026 INFO reconciler: fine\\x1b[2J target=prod"


@pytest.mark.parametrize("log_format", ["text", "json"])
def test_wrong_arguments_show_nothing(log_format: Format, capsys: pytest.CaptureFixture[str]) -> None:
    """The library would print message and arguments to stderr, unmasked."""
    stream, _ = start(log_format)

    class Sly:
        def __str__(self) -> str:
            raise RuntimeError(SECRET)

    logging.getLogger("reconciler").info("%d", SECRET)
    logging.getLogger("reconciler").info("%s", Sly())
    logging.getLogger("reconciler").info("field", extra={"sly": Sly()})
    assert SECRET not in stream.getvalue()
    captured = capsys.readouterr()
    assert SECRET not in captured.err + captured.out
    assert "don't fit" in stream.getvalue()


def test_a_closed_stream_is_no_error() -> None:
    """The log's reader went away; the pass goes on."""
    stream, _ = start()
    stream.close()
    logging.getLogger("reconciler").info("anyone there?")


@pytest.mark.parametrize(
    ("level", "ours", "theirs"),
    [("debug", "DIWE", "DIWE"), ("info", "IWE", "WE"), ("warning", "WE", "WE"), ("error", "E", "E")],
)
def test_levels(level: str, ours: str, theirs: str) -> None:
    """Ours at the level asked for; paramiko, urllib3 and docker from WARNING on, unless it is debug."""
    stream, _ = start("text", level)
    for name in ("reconciler.x", "urllib3.connectionpool"):
        for number in (logging.DEBUG, logging.INFO, logging.WARNING, logging.ERROR):
            logging.getLogger(name).log(number, "m")
    words = [line.split()[1:3] for line in stream.getvalue().splitlines()]
    assert "".join(word[0] for word, name in words if name == "reconciler.x:") == ours
    assert "".join(word[0] for word, name in words if name == "urllib3.connectionpool:") == theirs


def test_one_handler_also_after_twice() -> None:
    """Handlers from before would not redact: they are taken off, of libraries' loggers too."""
    other = io.StringIO()
    logging.getLogger("paramiko").addHandler(logging.StreamHandler(other))
    start()
    stream, _ = start()
    logging.getLogger("paramiko").warning("once")
    assert other.getvalue() == ""
    assert stream.getvalue().count("once") == 1


def test_the_holder_only_learns() -> None:
    """A second env's values don't unmask the first's."""
    stream, holder = start()
    holder.set_redactor(Redactor({"TOKEN": SecretStr("other-canary")}))
    logging.getLogger("reconciler").info("%s other-canary", SECRET)
    assert stream.getvalue().rstrip().endswith("*** ***")
