"""Our reading and writing of dotenv files against the real `docker compose config`, by `--env-file` and `env_file:`.

Many files go through one call: each generated snippet gets its own keys, and its own service with its own file.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import SecretStr

from reconciler.adapters.env.dotenv import parse_dotenv
from reconciler.adapters.env.values import render_env
from reconciler.model.env import EnvEntry, EnvValues
from reconciler.model.errors import EnvError

pytestmark = [
    pytest.mark.engine,
    pytest.mark.skipif(shutil.which("docker") is None, reason="needs docker compose"),
]

MAYBE = settings(
    max_examples=12, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck)
)  # each example is a batch, and one process


def compose_reads(files: list[bytes], keys: list[list[str]], where: Path) -> tuple[list[dict[str, str]], ...]:
    """What Compose makes of each file: by `env_file:` of its own service, and all files joined by `--env-file`."""
    where.mkdir(exist_ok=True)
    services: dict[str, object] = {}
    for number, (content, names) in enumerate(zip(files, keys, strict=True)):
        (where / f"{number}.env").write_bytes(content)
        services[f"file{number}"] = {"image": "x", "env_file": f"{number}.env"}
        services[f"inter{number}"] = {"image": "x", "environment": {name: f"${{{name}}}" for name in names}}
    (where / "compose.yaml").write_text(json.dumps({"name": "oracle", "services": services}))
    command = ["docker", "compose", *(f"--env-file={number}.env" for number in range(len(files)))]
    home = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}  # what the shell sets would win
    done = subprocess.run(
        [*command, "config", "--format", "json"], cwd=where, env=home, capture_output=True, check=False
    )
    assert done.returncode == 0, done.stderr.decode()
    model = json.loads(done.stdout)["services"]
    results = []
    for kind in ("file", "inter"):
        found = [model[f"{kind}{number}"].get("environment") or {} for number in range(len(files))]
        results.append([{key: value.replace("$$", "$") for key, value in each.items()} for each in found])
    return tuple(results)


REFERENCES = ["$$", "$$$$", "$", "$1", "\\$", "${", "}", "{}", "{a}", "$FIRST", "${FIRST}", "${FIRST:-x}"]
DEFAULTS = ["${UNSET:-d}", "${UNSET-d $FIRST}", "${EMPTY:-e}", "${EMPTY-e}", "${FIRST:+p}", "${UNSET+p}"]
NESTED = ["${UNSET:-${FIRST}}", "${FIRST?}", "${FIRST:?no}", "${EMPTY?}"]
ESCAPES = ["\\", "\\\\", "\\'", '\\"', "\\n", "\\r", "\\t", "\\0", "\\0101", "\\0999", "\\x41", "\\a", "\\c"]
MARKS = ["'", '"', "#", " #"]
ODD = [" ", "  ", "\t", "\n", "\r", "é", "\u2028", "\u3000", "\x85", "\xa0", "😀", "ſ"]
FRAGMENTS = st.sampled_from([*"abZ09_-.:=@%/+,~!?*&()<>;|^`", *REFERENCES, *DEFAULTS, *NESTED, *ESCAPES, *MARKS, *ODD])
TEXTS = st.lists(FRAGMENTS, max_size=6).map("".join)
QUOTES = st.sampled_from(["", "", "'", '"', '"'])
ASSIGNMENTS = st.sampled_from(["=", "=", "=", " = ", ": ", "=\t"])
TAILS = st.sampled_from(["", "", " # note", " ", "\r", " #", "\n# full line"])


@st.composite
def snippets(draw: st.DrawFn) -> str:
    """Three statements; `@` stands for the number that makes the keys unique in a batch."""
    lines = ["FIRST@=one", "EMPTY@="]
    for name in ("A", "B", "C"):
        mark, export = draw(QUOTES), draw(st.sampled_from(["", "", "export ", "  "]))
        lines.append(f"{export}{name}@{draw(ASSIGNMENTS)}{mark}{draw(TEXTS)}{mark}{draw(TAILS)}")
    return draw(st.sampled_from(["\n", "\n", "\r\n"])).join(lines) + draw(st.sampled_from(["", "\n", "\r\n"]))


def numbered(snippet: str, number: int) -> str:
    for name in ("FIRST", "EMPTY", "UNSET", "A@", "B@", "C@"):
        snippet = snippet.replace(name, f"{name.rstrip('@')}_{number}")
    return snippet.replace(f"_{number}@", f"_{number}")


@MAYBE
@given(batch=st.lists(snippets(), min_size=30, max_size=40))
def test_compose_reads_what_we_read(batch: list[str], tmp_path_factory: pytest.TempPathFactory) -> None:
    """Every file that we accept means the same to Compose, in both ways; what we refuse is never half read."""
    files: list[bytes] = []
    ours: list[dict[str, str]] = []
    for number, snippet in enumerate(batch):
        text = numbered(snippet, number)
        try:
            entries = parse_dotenv(text, file="f")
        except EnvError:
            continue
        files.append(text.encode())
        ours.append({entry.key: entry.value.get_secret_value() for entry in entries})
    by_file, by_interpolation = compose_reads(files, [list(each) for each in ours], tmp_path_factory.mktemp("oracle"))
    assert by_file == ours
    assert by_interpolation == ours


VALUES = st.one_of(
    TEXTS,
    st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=40),
    st.text("'\"\\$#{} \n\ra", max_size=12),
)


@MAYBE
@given(values=st.lists(VALUES, min_size=200, max_size=300))
def test_compose_reads_back_what_we_write(values: list[str], tmp_path_factory: pytest.TempPathFactory) -> None:
    """Any value without a NUL comes back byte for byte, in both ways, and through our own reader."""
    pairs = {f"K{number}": value for number, value in enumerate(values)}
    entries = tuple(EnvEntry(key, SecretStr(value), 1) for key, value in pairs.items())
    raw = render_env(EnvValues(entries=entries), {"TAG": "20260122_101500"})
    expected = {**pairs, "TAG": "20260122_101500"}
    assert {entry.key: entry.value.get_secret_value() for entry in parse_dotenv(raw.decode(), file="f")} == expected
    by_file, by_interpolation = compose_reads([raw], [list(expected)], tmp_path_factory.mktemp("oracle"))
    assert by_file == [expected]
    assert by_interpolation == [expected]


EDGES = [
    "\ufeffK=bom",
    "K=v\r\n",
    "K='a\r\nb'\r\n",
    "export\tK=tab",
    "K : spaced",
    'K="multi\nline # not a comment"',
    "K=#fff",
    "K=a#b",
    "K=a # b",
    "K=it's",
    "K=a'b'",
    "é1=ü",
    "w[0]=x",
    "a.b-c=1",
    "1K=digit",
    'K="\\\\\\$x"',
    'K="\\0101\\0377\\07\\0\\08"',
    "K='a'#b",
    "K=$$x",
    "K=a$",
    "K=$5",
    "A=1\nK=${A:-{}}",
    "K=${A:-{}} x}",
    "A=1\nK=${A:-x} ${A} ${B:-y}",
    "A=1\nA=2\nK=$A",
    "K=${B:-${C:-${D-deep}}}",
    "K=" + "x" * 100_000,
]


def test_edges_agree(tmp_path: Path) -> None:
    """Cases that a generator finds rarely: BOM, CRLF, odd keys, octal escapes, nested defaults."""
    ours = [{entry.key: entry.value.get_secret_value() for entry in parse_dotenv(text, file="f")} for text in EDGES]
    for number, (text, expected) in enumerate(zip(EDGES, ours, strict=True)):
        keys = [key for key in expected if key.isascii() and key.isalpha()]
        by_file, by_interpolation = compose_reads([text.encode()], [keys], tmp_path / str(number))
        assert by_file == [expected]
        assert by_interpolation == [{key: expected[key] for key in keys}]
