"""`env check`, its pure core: one table row for each kind of finding, and everything at once."""

from __future__ import annotations

from pathlib import PurePosixPath

import pytest
from pydantic import SecretStr

from reconciler.adapters.desired.compose_uses import compose_uses
from reconciler.adapters.env.dotenv import read_dotenv
from reconciler.adapters.env.mask import redactor_of
from reconciler.adapters.env.template import read_template
from reconciler.core.env_contract import check_env
from reconciler.model.env_contract import TYPES, Finding, Given, Kind, Uses
from reconciler.model.sources import SourceFile, SourceTree
from reconciler.telemetry.redact import is_common
from tests.world.world import CHECKOUT

CANARY = "hunter2hunter2"


def given(values: str) -> Given:
    entries, errors = read_dotenv(values, file="v")
    problems = tuple(Finding(Kind.UNREADABLE, "v", error.line, error.what, "", error.key) for error in errors)
    return Given("v", entries, frozenset(error.key for error in errors if error.key), problems)


def uses(compose: str) -> Uses:
    tree = SourceTree(
        PurePosixPath(), (SourceFile(PurePosixPath("c"), 0o644, compose.encode()),), (PurePosixPath("c"),)
    )
    return compose_uses(tree, {})


def check(template: str | None, values: str, compose: str = "services: {a: {image: x, env_file: .env}}") -> list[str]:
    read = read_template(template, file="t") if template is not None else None
    found = check_env(
        read.contract if read else None,
        given(values),
        uses(compose),
        problems=read.problems if read else (),
        unmaskable=is_common,
    )
    assert all(CANARY not in f"{each}" for each in found)
    return [f"{each.place} {each.kind} {each.key or '-'}" for each in found]


@pytest.mark.parametrize(
    ("template", "values", "found"),
    [
        ("A=\nB=\n", "A=1\n", ["t:2 missing B"]),
        ("A=\n", f"A=1\nB={CANARY}\n", ["v:2 unknown B"]),
        ("A=\n", "A=\n", ["v:1 empty A"]),
        ("A=\n", f"A={CANARY}\nA=2\n", ["v:2 duplicate A"]),
        ("# @type int\nA=\n", f"A={CANARY}\n", ["v:1 wrong-type A"]),
        ("A=\n", "A=changeme\n", ["v:1 placeholder A"]),
        ("# @type int\nA=\n", "A='<port>'\n", ["v:1 placeholder A"]),
        ("A=\n", f"A=1\nTAG={CANARY}\n", ["v:2 reserved TAG"]),
        ("A=\n", f"A=1\nB='{CANARY}\n", ["v:2 unreadable B"]),
        ("A=\nB=\n", f"A=1\nB='{CANARY}\n", ["v:2 unreadable B"]),
        ("# @typo\nA=\n", "A=1\n", ["t:1 annotation -"]),
        ("# @secret\nA=\n", "A=1\n", ["v:1 weak-secret A"]),
        ("# @secret\nA=\n", "A=true\n", ["v:1 weak-secret A"]),
        ("# @secret\nA=\n", f"A={CANARY}\n", []),
        ("A=\n", "A=true\n", []),
        ("# @secret @optional\nA=\n", "A=\n", []),
        ("COMPOSE_PROFILES=\n", "COMPOSE_PROFILES=x\n", ["v:1 steers-compose COMPOSE_PROFILES"]),
        (None, "A=1\nA=2\nB=changeme\n", ["v:2 duplicate A", "v:3 placeholder B"]),
    ],
)
def test_values_against_the_template(template: str | None, values: str, found: list[str]) -> None:
    assert check(template, values) == found


@pytest.mark.parametrize(
    ("compose", "found"),
    [
        ("services: {a: {image: '${A}', command: '${B:-x}'}}", []),
        ("services: {a: {image: '${A}'}}", ["t:2 unused B"]),
        ("services: {a: {image: '$A $B ${C}'}}", ["c:1 undeclared C"]),
        ("services: {a: {image: '$A $B ${C:?}'}}", ["c:1 undeclared C"]),
        ("services: {a: {image: '$A $B ${C:-x}'}}", ["c:1 undeclared-optional C"]),
        ("services: {a: {image: '$A $B', environment: [C]}}", ["c:1 undeclared-optional C"]),
        ("services: {a: {image: '$A $B $HOME'}}", ["c:1 undeclared-optional HOME"]),
        ("services: {a: {image: '$A $B $TAG $COMPOSE_PROJECT_NAME'}}", []),
        ("services: {a: {image: '$A', environment: [B]}}", []),
        ("services: {a: {image: '$A $$B'}}", ["t:2 unused B"]),
        ("services: {a: {image: x, env_file: .env}}", []),
        ("services: {a: {image: '$A $B ${'}}", ["c:1 not-followed -"]),
        ("services: {a: {image: '$A $B', env_file: gone.env}}", ["c:1 not-followed -"]),
    ],
)
def test_the_template_against_compose(compose: str, found: list[str]) -> None:
    assert check("A=\nB=\n", "A=1\nB=2\n", compose) == found


def test_without_a_template_the_values_are_the_declaration() -> None:
    compose = "services: {a: {image: '$A $MISSING'}}"
    assert check(None, f"A=1\nB={CANARY}\n", compose) == ["c:1 undeclared MISSING", "v:2 unused B"]


def test_a_key_that_another_value_is_made_from_is_used() -> None:
    """The place of values adds what they refer to among themselves; here its result is handed over."""
    assert check("HOST=\nURL=http://${HOST}/\n", "HOST=h\n", "services: {a: {image: '$URL'}}") == ["t:1 unused HOST"]


def test_everything_at_once_errors_first() -> None:
    """Nine things wrong are nine findings."""
    template = "# @typo\nA=\n# @type int\nB=\nC=\nD=\n# @secret\nE=\nF=\n"
    values = f"A=1\nB={CANARY}\nD=\nD=2\nE=1\nG={CANARY}\nnot a line\nF=changeme\n"
    found = check(template, values, "services: {a: {image: '$A $B $C $D $E ${H}'}}")
    assert [each.split()[1] for each in found] == [
        "undeclared",
        "annotation",
        "missing",
        "wrong-type",
        "empty",
        "duplicate",
        "unknown",
        "unreadable",
        "placeholder",
        "unused",
        "weak-secret",
    ]


def test_lines_of_a_key_file_without_quotes_are_not_shown() -> None:
    """What looks like a key is a piece of the secret: a bare line, one that ends in `=`."""
    values = f"A=-----BEGIN KEY-----\n{CANARY}\n{CANARY}=\n{CANARY}==\n"
    found = check("A=\n", values)
    assert [each.split()[1] for each in found] == ["unreadable", "unknown", "duplicate"]


def test_a_template_that_cannot_be_read_makes_no_unknown_keys() -> None:
    """What its unreadable line declares isn't known."""
    assert check("A=\nB='\nC=\n", "A=1\nB=2\nC=3\n", "services: {a: {image: '$A $B $C'}}") == ["t:2 unreadable B"]


def test_public_values_stay_readable_and_secret_ones_do_not() -> None:
    """A public value is masked at its own key; where a secret has the same value, it is masked everywhere."""
    values = {"PORT": SecretStr("18080"), "TOKEN": SecretStr(CANARY)}
    masks = redactor_of(values, text="", public={"PORT"})
    assert masks.text(f"PORT=18080 at :18080, {CANARY}") == "PORT=*** at :18080, ***"
    assert redactor_of(values, text="").text("at :18080") == "at :***"
    same = redactor_of({"A": SecretStr(CANARY), "B": SecretStr(CANARY)}, text="", public={"A"})
    assert same.text(CANARY) == "***"
    inside = redactor_of({"URL": SecretStr(f"http://h/{CANARY}"), "T": SecretStr(CANARY)}, text="", public={"URL"})
    assert inside.text(f"to http://h/{CANARY}") == "to http://h/***"
    assert inside.strict().text(f"to http://h/{CANARY}") == "to http://h/***"


def test_the_docs_name_every_finding_annotation_and_type() -> None:
    text = (CHECKOUT / "docs" / "env.md").read_text()
    words = [f"`{kind}`" for kind in Kind] + [f"`@type {name}`" for name in TYPES]
    words += [f"`@{name}" for name in ("enum", "pattern", "required", "optional", "secret", "public")]
    assert [word for word in words if word not in text] == []
    severity = {line.split("|")[1]: line.split("|")[2].strip() for line in text.splitlines() if line.count("|") > 3}
    for kind in Kind:
        said = next(each for names, each in severity.items() if f"`{kind}`" in names)
        assert said == ("error" if kind.is_error else "warning"), kind
