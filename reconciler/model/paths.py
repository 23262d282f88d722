"""Paths in deploy.yaml: POSIX paths, whatever the controller's own system is."""

from __future__ import annotations

import re
from pathlib import PurePosixPath
from typing import Annotated, Any

from pydantic import PlainValidator, WithJsonSchema

from reconciler.model.base import as_written, wrong
from reconciler.model.text import check_line


def _written_path(value: Any, expected: str) -> str:
    text = str(value) if isinstance(value, PurePosixPath) else as_written(value)
    if not isinstance(text, str):
        raise wrong(expected)
    return check_line(text)


def _absolute(value: Any) -> PurePosixPath:
    text = _written_path(value, "an absolute path")
    if not text.startswith("/"):
        raise wrong("an absolute path", "write it in full, from `/` on: `~` and relative paths depend on who asks")
    path = PurePosixPath("/" + text.lstrip("/"))
    if ".." in path.parts:
        raise wrong("a path without `..`")
    if ":" in text:
        raise wrong("a path without `:`", "Docker separates the parts of a mount by it")
    if path == PurePosixPath("/"):
        raise wrong("a directory of its own", "`/` holds everything else of the server")
    return path


def _relative(value: Any) -> PurePosixPath:
    text = _written_path(value, "a path")
    if "\\" in text:
        raise wrong("a path with forward slashes", "`a/b`, on Windows too")
    if text.startswith(("/", "~")) or re.match("[A-Za-z]:", text):
        raise wrong("a relative path", "it is read from the directory of deploy.yaml on")
    return PurePosixPath(text)


def _inside(value: Any) -> PurePosixPath:
    path = _relative(value)
    if ".." in path.parts or not path.parts:
        raise wrong("a path below its directory", "without `..`")
    return path


AbsoluteDir = Annotated[
    PurePosixPath, PlainValidator(_absolute), WithJsonSchema({"type": "string", "pattern": "^/+[^/]"})
]
"""A directory on a target: absolute, not `/`, no `..`, no `:`."""

RepoPath = Annotated[PurePosixPath, PlainValidator(_relative), WithJsonSchema({"type": "string"})]
"""A path relative to deploy.yaml's directory, with forward slashes. Reading it checks that it stays inside."""

InsidePath = Annotated[PurePosixPath, PlainValidator(_inside), WithJsonSchema({"type": "string"})]
"""A relative path that can't leave the directory it is relative to."""
