"""Our scan of Compose files for env keys, held against the real Compose: it warns of each key that nothing sets.

The whole environment is taken away from it, so what it warns of is what it really interpolates; what reaches a
container's environment is read from its model.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterable, Mapping
from pathlib import Path, PurePosixPath

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from reconciler.adapters.desired.compose_uses import compose_uses
from reconciler.model.env_contract import Manner, Uses
from reconciler.model.sources import SourceFile, SourceTree
from tests.world.world import CHECKOUT

pytestmark = [
    pytest.mark.engine,
    pytest.mark.skipif(shutil.which("docker") is None, reason="needs docker compose"),
]

CORPUS = CHECKOUT / "tests" / "corpus"
PROJECTS = sorted(path.name for path in CORPUS.iterdir())
_WARNED = re.compile(r'The \\?"([^"\\]+)\\?" variable is not set')


def sources(root: Path, compose: Iterable[str]) -> SourceTree:
    files = [path for path in sorted(root.rglob("*")) if path.is_file()]
    return SourceTree(
        root=PurePosixPath(),
        files=tuple(
            SourceFile(PurePosixPath(path.relative_to(root).as_posix()), 0o644, path.read_bytes()) for path in files
        ),
        compose=tuple(PurePosixPath(path) for path in compose),
    )


def compose(root: Path, files: Iterable[str], *arguments: str, env: Mapping[str, str] | None = None) -> tuple[str, str]:
    """What Compose prints, and what it says. A variable that it requires (`:?`) has to be in `env`."""
    home = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    options = [option for path in files for option in ("-f", path)]
    done = subprocess.run(
        ["docker", "compose", "-p", "oracle", *options, "config", *arguments],
        cwd=root,
        env={**home, **(env or {})},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout, done.stderr


def needed(uses: Uses) -> set[str]:
    """Keys of which Compose warns where nothing sets them: `?` refuses instead, and has no warning."""
    return {use.key for use in uses.found if use.manner is Manner.NEEDED}


def set_up(tmp: Path, files: Mapping[str, str]) -> Path:
    for name, text in files.items():
        path = tmp / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return tmp


@pytest.mark.parametrize("name", PROJECTS)
def test_the_corpus_uses_what_compose_says_that_it_uses(name: str, tmp_path: Path) -> None:
    """`--variables` knows what the Compose files themselves interpolate; the warnings know all that is read."""
    root = tmp_path / name
    shutil.copytree(CORPUS / name, root)
    files = ["base/compose.yaml", "prod/override.yaml"] if name == "overrides" else ["compose.yaml"]
    (root / PurePosixPath(files[0]).parent / ".env").write_text("")
    uses = compose_uses(sources(root, files), {})
    required = {"LEVEL": "x", "OUTSIDE": "/x"}
    listed, _ = compose(root, files, "--variables", env=required)
    own = {line.split()[0] for line in listed.splitlines()[1:]}
    _, said = compose(root, files, "--format", "json", env=required)
    warned = set(_WARNED.findall(said))
    found = {use.key for use in uses.found}
    assert own | warned <= found
    assert needed(uses) - {*required, "API_TOKEN"} <= own | warned
    assert [problem.what for problem in uses.problems] == []


AWKWARD = {
    "compose.yaml": """\
x-field: ${X_FIELD}
x-anchor: &anchored
  labels: {one: "${ANCHORED}"}
  env_file: [anchored.env]
include:
  - inner/compose.yaml
  - {path: given/compose.yaml, env_file: given/own.env}
services:
  web:
    <<: *anchored
    image: "x:$PLAIN"   # ${COMMENT}
    command: "${BRACED} ${DEFAULT:-${NESTED}} ${PLUS:+${ALTERNATIVE}} $$ESCAPED $${ESCAPED_TOO} $5 ${DASH-x}"
    environment:
      - PASSED
      - X=${IN_LIST}
      - "${IN_ITEM_KEY}=1"
    extends: {file: base/base.yaml, service: base}
    entrypoint: |
      a block
      ${IN_BLOCK}
  mapped:
    image: x
    environment: {PASSED_TOO: , QUOTED: "", "${IN_KEY}": "1"}
    env_file: ["${PATH_TO:-first}.env", second.env, {path: missing.env, required: false}]
  off:
    image: y
    profiles: [never]
    command: ${OFF}
secrets: {s: {environment: A_SECRET}}
configs: {c: {content: "${CONTENT}"}}
""",
    "anchored.env": "IN_ANCHORED=${IN_ENV_FILE}\n",
    "first.env": "# ${IN_COMMENT}\nA=1\nSINGLE='${SINGLE}'\nDOUBLE=\"${DOUBLE} \\$NOT\"\nOWN=$A\nBARE\n",
    "second.env": "B=${A} ${LATER}\n",
    "base/base.yaml": "services:\n  base: {image: 'b:${BASE}', env_file: base.env}\n  other: {image: '${OTHER}'}\n",
    "base/base.env": "C=${IN_BASE_ENV}\n",
    "inner/compose.yaml": "services: {inner: {image: 'i:${INNER}', command: '${INNER_OWN}', env_file: inner.env}}\n",
    "inner/.env": "INNER_OWN=1\n",
    "inner/inner.env": "D=${IN_INNER_ENV} ${INNER_OWN}\n",
    "given/compose.yaml": "services: {given: {image: 'g:${GIVEN_OWN}', command: '${GIVEN}'}}\n",
    "given/own.env": "GIVEN_OWN=1\n",
}


def test_every_awkward_place(tmp_path: Path) -> None:
    """Anchors, blocks, comments, escapes, nested defaults, inactive profiles, include and extends with env files."""
    root = set_up(tmp_path, AWKWARD)
    uses = compose_uses(sources(root, ["compose.yaml"]), {})
    _, said = compose(root, ["compose.yaml"])
    warned = set(_WARNED.findall(said))
    assert needed(uses) - {"A_SECRET"} == warned
    assert "NESTED" in warned
    assert "COMMENT" not in warned
    optional = {use.key for use in uses.found if use.manner is Manner.OPTIONAL}
    assert optional - warned == {"DEFAULT", "PLUS", "DASH", "PATH_TO"}
    model, _ = compose(root, ["compose.yaml"], "--format", "json", env={"PASSED": "1", "PASSED_TOO": "2", "BARE": "3"})
    services = json.loads(model)["services"]
    assert services["web"]["environment"]["PASSED"] == "1"
    assert (services["mapped"]["environment"]["PASSED_TOO"], services["mapped"]["environment"]["BARE"]) == ("2", "3")
    assert {use.key for use in uses.found if use.manner is Manner.PASSED} == {"PASSED", "PASSED_TOO", "BARE"}
    assert uses.problems == ()
    lines = {use.key: f"{use.file}:{use.line}" for use in uses.found}
    assert (lines["PLAIN"], lines["BASE"], lines["LATER"]) == ("compose.yaml:11", "base/base.yaml:2", "second.env:1")


def test_what_cannot_be_followed_is_said(tmp_path: Path) -> None:
    """A path out of the sources, one that a variable makes, a file that isn't there, what isn't YAML."""
    text = "include: [../other.yaml, bad.yaml]\nservices: {web: {image: x, env_file: ['${NAME}.env', gone.env]}}\n"
    root = set_up(tmp_path, {"compose.yaml": text, "bad.yaml": "a: [\n", "from-a-value.env": "A=${B}\n"})
    tree = sources(root, ["compose.yaml"])
    said = [f"{each.place} {each.what}" for each in compose_uses(tree, {}, shown="app/").problems]
    assert len(said) == 4
    assert all(each.startswith("app/") for each in said)
    assert "app/bad.yaml:2 isn't valid YAML" in said
    followed = compose_uses(tree, {"NAME": "from-a-value"})
    assert "B" in needed(followed)


PIECES = st.sampled_from(
    [
        "$A",
        "${B}",
        "$$C",
        "$${D}",
        "${E:-x}",
        "${F:-$G}",
        "${H:+${I}}",
        "${J-}",
        "$1",
        "$",
        "x",
        " ",
        "#",
        "{",
        "}",
        "'",
        "é",
    ]
)


@settings(max_examples=12, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(texts=st.lists(st.lists(PIECES, max_size=5).map("".join), min_size=30, max_size=40))
def test_any_text_in_any_service(texts: list[str], tmp_path_factory: pytest.TempPathFactory) -> None:
    """Each text in a service of its own, with its own keys: the same keys as Compose warns of; or refused by both."""
    root = tmp_path_factory.mktemp("texts")
    numbered = {n: re.sub(r"(?<=[${])([A-J])", rf"\g<1>{n}", text) for n, text in enumerate(texts)}
    alone = {n: text for n, text in numbered.items() if not _refused_by_us(root, n, text)}
    services = {f"s{n}": {"image": "x", "command": ["run", text]} for n, text in alone.items()}
    services["s"] = {"image": "x"}
    (root / "compose.yaml").write_text(json.dumps({"services": services}, ensure_ascii=False))
    uses = compose_uses(sources(root, ["compose.yaml"]), {})
    _, said = compose(root, ["compose.yaml"])
    assert needed(uses) == set(_WARNED.findall(said))


def _refused_by_us(root: Path, number: int, text: str) -> bool:
    tree = SourceTree(
        root=PurePosixPath(),
        files=(SourceFile(PurePosixPath("c.yaml"), 0o644, json.dumps({"x-a": text}).encode()),),
        compose=(PurePosixPath("c.yaml"),),
    )
    return bool(compose_uses(tree, {}).problems)
