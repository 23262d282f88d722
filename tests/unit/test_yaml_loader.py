"""YAML is read without its surprises, and a hostile file gets one clear line."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from reconciler.adapters.desired.yaml_loader import DEEPEST, LARGEST_FILE, MOST_NODES, parse_yaml, read_yaml
from reconciler.model.base import WrittenFloat, WrittenInt
from reconciler.model.errors import DesiredStateError

BOMB = b"a: &a [x,x,x,x,x,x,x,x,x,x]\n" + b"".join(
    b"%c: &%c [%s]\n" % (name, name, b",".join([b"*%c" % (name - 1)] * 10)) for name in range(ord("b"), ord("k"))
)


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("20260122_101500", "20260122_101500"),
        ("22:22", "22:22"),
        ("no", "no"),
        ("Yes", "Yes"),
        ("off", "off"),
        ("y", "y"),
        ("0o17", "0o17"),
        ("0x1F", "0x1F"),
        ("017", "017"),
        ("1_000", "1_000"),
        ("2026-01-22", "2026-01-22"),
        ("2026-01-22T10:15:00Z", "2026-01-22T10:15:00Z"),
        (".inf", ".inf"),
        (".nan", ".nan"),
        ("1e999", "1e999"),
        ("9" * 5000, "9" * 5000),
        ("=", "="),
        ("'5'", "5"),
        ('"true"', "true"),
        ("true", True),
        ("False", False),
        ("~", None),
        ("null", None),
        ("", None),
        ("5", 5),
        ("-5", -5),
        ("3.10", 3.1),
        (".5", 0.5),
        ("1e3", 1000.0),
    ],
)
def test_a_plain_value_is_what_it_looks_like(written: str, value: object) -> None:
    read = parse_yaml(f"key: {written}\n".encode(), "f").data["key"]

    assert read == value
    assert isinstance(read, type(value))


def test_numbers_remember_their_text() -> None:
    data = parse_yaml(b"version: 3.10\nuser: +7\n", "f").data

    assert isinstance(data["version"], WrittenFloat)
    assert data["version"].written == "3.10"
    assert isinstance(data["user"], WrittenInt)
    assert data["user"].written == "+7"


def test_every_value_knows_its_line() -> None:
    document = parse_yaml(b"\xef\xbb\xbfa: 1\nb:\n  - x\n  - {c: 1,\n     d: 2}\n1: y\n", "f")

    assert document.data == {"a": 1, "b": ["x", {"c": 1, "d": 2}], "1": "y"}
    assert document.lines == {
        (): 1,
        ("a",): 1,
        ("b",): 2,
        ("b", 0): 3,
        ("b", 1): 4,
        ("b", 1, "c"): 4,
        ("b", 1, "d"): 5,
        ("1",): 6,
    }
    assert document.line_of(("b", 1, "missing", "deeper")) == 4


def test_an_alias_stands_for_its_anchor() -> None:
    document = parse_yaml(b"a: &x\n  b: 1\nc: *x\n", "f")

    assert document.data == {"a": {"b": 1}, "c": {"b": 1}}
    assert document.line_of(("c", "b")) == 3


@pytest.mark.parametrize(
    ("content", "line"),
    [
        pytest.param(b"", "f: is empty; see docs/quickstart.md for a first one", id="empty"),
        pytest.param(b"# nothing\n", "f: is empty; see docs/quickstart.md for a first one", id="only a comment"),
        pytest.param(
            b"\n- a\n", "f:2: should be a mapping at its top; lines of the form `key: value`", id="a list at the top"
        ),
        pytest.param(b"hunter2", "f:1: should be a mapping at its top; lines of the form `key: value`", id="text"),
        pytest.param(b"a: 1\nb\0: 2", "f:2: holds the character U+0000", id="NUL"),
        pytest.param(b'a: 1\nb: "\\0"', "f:2: b: holds the character U+0000", id="NUL by escape"),
        pytest.param(b"a: \x1b[31m", "f:1: holds the character U+001B", id="terminal escape"),
        pytest.param(b"a: 1\nb: \xff", "f:2: isn't UTF-8 text (byte 0xFF); save it as UTF-8", id="not UTF-8"),
        pytest.param(
            "a: 1".encode("utf-16"), "f:1: isn't UTF-8 text (byte 0xFF); save it as UTF-8", id="UTF-16 with a BOM"
        ),
        pytest.param(
            b"t:\n  p: 1\n  q: 2\n  p: 3",
            "f:4: t.p: is a duplicate key, first set in line 2; remove one of them",
            id="duplicate key",
        ),
        pytest.param(
            b"l:\n- {a: 1, 'a': 2}",
            "f:2: l[0].a: is a duplicate key, first set in line 2; remove one of them",
            id="duplicate key, quoted",
        ),
        pytest.param(
            BOMB,
            f"f:4: holds more than {MOST_NODES} values; aliases count as what they stand for",
            id="alias bomb",
        ),
        pytest.param(b"a: &x [*x]", "f:1: a[0]: *x stands for nothing before it", id="alias of itself"),
        pytest.param(b"a: *x", "f:1: a: *x stands for nothing before it", id="unknown alias"),
        pytest.param(b"[" * 10_000, f"f:1: is nested more than {DEEPEST} levels deep", id="10,000 flow lists"),
        pytest.param(b"- " * 10_000, f"f:1: is nested more than {DEEPEST} levels deep", id="10,000 block lists"),
        pytest.param(
            b"a: " + b"{a: " * 10_000 + b"}" * 10_000,
            f"f:1: is nested more than {DEEPEST} levels deep",
            id="10,000 mappings",
        ),
        pytest.param(b"x: 1\n<<: {a: 1}", "f:2: merge keys (`<<`) aren't accepted; write the keys out", id="merge key"),
        pytest.param(
            b"a: !!python/object/apply:os.system [id]",
            "f:1: a: YAML tags (`!…`) aren't accepted; write the plain value",
            id="Python tag",
        ),
        pytest.param(b"a: !x 1", "f:1: a: YAML tags (`!…`) aren't accepted; write the plain value", id="local tag"),
        pytest.param(
            b"a: 1\n---\nb: 2", "f:2: a second document starts here; one file holds one document", id="two documents"
        ),
        pytest.param(b"? [a]\n: 1", "f:1: a key should be text", id="list as a key"),
        pytest.param(b"a: &k x\n*k : 1", "f:2: a key should be text", id="alias as a key"),
        pytest.param(
            b"a:\n\tb: 1",
            "f:2: isn't valid YAML: found character that cannot start any token; indent with spaces, not tabs",
            id="tab",
        ),
        pytest.param(b"a: [1,\n", "f:1: isn't valid YAML: did not find expected node content", id="open list"),
    ],
)
def test_a_bad_document_gets_one_clear_line(content: bytes, line: str) -> None:
    start = time.monotonic()
    with pytest.raises(DesiredStateError) as caught:
        parse_yaml(content, "f")

    assert str(caught.value) == line
    assert time.monotonic() - start < 2


def test_a_document_may_be_as_deep_and_as_large_as_the_limits() -> None:
    deep = b"a: " + b"[" * (DEEPEST - 1) + b"]" * (DEEPEST - 1)
    assert parse_yaml(deep, "f").data["a"]
    with pytest.raises(DesiredStateError, match=f"more than {DEEPEST} levels"):
        parse_yaml(deep.replace(b"[]", b"[[]]"), "f")

    wide = b"a: [" + b",".join([b"x"] * (MOST_NODES - 2)) + b"]"
    assert len(parse_yaml(wide, "f").data["a"]) == MOST_NODES - 2
    with pytest.raises(DesiredStateError, match=f"more than {MOST_NODES} values"):
        parse_yaml(wide.replace(b"]", b",x]"), "f")


def _error_of(path: Path) -> str:
    with pytest.raises(DesiredStateError) as caught:
        read_yaml(path)
    return str(caught.value)


def test_a_large_file_is_refused_by_its_size(tmp_path: Path) -> None:
    large = tmp_path / "deploy.yaml"
    with large.open("wb") as file:
        file.truncate(10 * 2**20)

    assert _error_of(large) == f"{large}: is too large: 10485760 bytes; at most {LARGEST_FILE} bytes"


def test_what_is_no_file_is_named_and_never_waited_for(tmp_path: Path) -> None:
    missing = tmp_path / "missing.yaml"
    assert _error_of(missing) == f"{missing}: doesn't exist; go to the directory that has it, or name it: `-f FILE`"
    assert _error_of(tmp_path) == f"{tmp_path}: is a directory"

    (tmp_path / "file").touch()
    below = tmp_path / "file" / "deploy.yaml"
    assert _error_of(below) == f"{below}: doesn't exist; a part of its path is a file"


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no FIFO in a directory")
def test_special_files_are_refused_unopened(tmp_path: Path) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    assert _error_of(fifo) == f"{fifo}: isn't a regular file"

    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "socket"))
        assert _error_of(tmp_path / "socket") == f"{tmp_path / 'socket'}: isn't a regular file"


def test_an_unreadable_file_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    secret = tmp_path / "deploy.yaml"
    secret.write_bytes(b"a: 1")

    def refuse(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)  # root may read everything
    assert _error_of(secret) == f"{secret}: can't be read: permission denied"


def test_pure_python_yaml_reads_the_same() -> None:
    """Where PyYAML was built without libyaml, values, lines and refusals are the same."""
    program = """
import yaml
del yaml.CSafeLoader
from reconciler.adapters.desired import yaml_loader
from reconciler.model.errors import DesiredStateError
document = yaml_loader.parse_yaml(b"tag: 20260122_101500\\nb:\\n- no\\n- &x 3.10\\n- *x\\n", "f")
print(document.data, document.lines)
for hostile in (b"[" * 10_000, b"a: 1\\na: 2", b"a: !x 1"):
    try:
        yaml_loader.parse_yaml(hostile, "f")
    except DesiredStateError as error:
        print(error)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)

    assert done.stdout.splitlines() == [
        "{'tag': '20260122_101500', 'b': ['no', 3.1, 3.1]} "
        "{('tag',): 1, ('b',): 2, ('b', 0): 3, ('b', 1): 4, ('b', 2): 5, (): 1}",
        f"f:1: is nested more than {DEEPEST} levels deep",
        "f:2: a: is a duplicate key, first set in line 1; remove one of them",
        "f:1: a: YAML tags (`!…`) aren't accepted; write the plain value",
    ]
