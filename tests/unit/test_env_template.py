"""Annotations of env.template: what they say, what is wrong with them, and that values are held to them."""

from __future__ import annotations

from pathlib import Path

import pytest

from reconciler.adapters.env.template import read_template
from reconciler.adapters.env.values import load_values
from reconciler.model.env_contract import TYPES, Declaration
from reconciler.model.errors import EnvError
from tests.world.world import CHECKOUT

CANARY = "hunter2"


def declared(text: str) -> Declaration:
    """The last key of a template without mistakes."""
    template = read_template(text, file="t")
    assert [problem.what for problem in template.problems] == []
    return template.contract.declarations[-1]


def mistakes(text: str) -> list[str]:
    return [f"{problem.line} {problem.kind}: {problem.what}" for problem in read_template(text, file="t").problems]


def load(tmp_path: Path, template: str, values: str) -> None:
    path = tmp_path / ".env.server"
    path.write_text(values)
    path.chmod(0o600)
    load_values(path, template, template_file="t")


@pytest.mark.parametrize(
    "text",
    [
        "# Seconds.\n# @type int @public @required\nKEY=3\n",
        "# @type int\n# Seconds.\n#   @public   @required\nKEY=3\n",
        "KEY=3 # @type int @public @required\n",
        "# @type int\nKEY='3' # @public @required",
        "\ufeff# @type int\r\n# @public @required\r\nKEY=3\r\n",
        "OTHER='\n# @type bool'\n# @type int @required @public\nexport KEY=3\n",
    ],
)
def test_annotations_stand_above_the_key_or_after_its_value(text: str) -> None:
    """One line may hold several, prose may stand between them, and a value of several lines is no comment."""
    key = declared(text)
    assert (key.key, key.type, key.is_public, key.is_required) == ("KEY", "int", True, True)


@pytest.mark.parametrize(
    ("text", "required"),
    [
        ("KEY=", True),
        ("KEY", True),
        ("KEY=x", False),
        ('KEY=""', False),
        ("KEY=changeme", True),
        ("KEY=x # required: ask the operator", True),
        ("# @optional\nKEY=", False),
        ("# @required\nKEY=x", True),
        ("# required\nKEY=x", False),
        ("KEY=<token> # @optional", False),
    ],
)
def test_required_and_optional(text: str, required: bool) -> None:
    """What was so before annotations stays so; an annotation has the last word."""
    assert declared(text).is_required is required


def test_all_annotations_together() -> None:
    key = declared("# @secret @enum a1|b2 @type str @pattern ^[ab]. ?[0-9]?$\nKEY=\n")
    assert (key.is_marked_secret, key.choices, key.pattern) == (True, ("a1", "b2"), "^[ab]. ?[0-9]?$")
    assert not declared("KEY=").is_public, "a value is secret unless the template says otherwise"


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("# @typ int\nK=1", "1 annotation: @typ isn't an annotation; there are @type, @enum, @pattern, @secret"),
        ("# @type integer\nK=1", "1 annotation: @type should be str, int, number, bool, url, not `integer`"),
        ("# @type\nK=1", "1 annotation: @type should be"),
        ("# @type @public\nK=1", "1 annotation: @type should be"),
        ("# @enum\nK=1", "1 annotation: @enum should be choices"),
        ("# @enum a||b\nK=a", "1 annotation: @enum should be choices"),
        ("# @pattern\nK=1", "1 annotation: @pattern should be followed"),
        ("# @pattern (\nK=1", "1 annotation: @pattern isn't a regular expression"),
        ("# @secret\n# @public\nK=1", "2 annotation: @secret and @public exclude each other"),
        ("K=1 # @required @optional", "1 annotation: @required and @optional exclude each other"),
        ("# @type int\n# @type int\nK=1", "2 annotation: @type stands twice (first on line 1)"),
        ("# @type int for seconds\nK=1", "1 annotation: `for` is neither an annotation nor the argument of one"),
        ("# @public\n\nK=1", "1 annotation: @public belongs to no key"),
        ("K=1\n# @public", "2 annotation: @public belongs to no key"),
        ("# @type int\nK=abc", "2 annotation: K: the default isn't what the annotations ask for: a whole number"),
        ("# @type int @enum 1|two\nK=1", "1 annotation: K: @enum has a choice that isn't a whole number"),
        ("A=1\nA=2", "2 duplicate: A stands twice (first on line 1)"),
        ("TAG=", "1 reserved: TAG comes from"),
        ("A='", "1 unreadable: A: the value's opening ' is never closed"),
    ],
)
def test_a_wrong_annotation_is_an_error_with_its_line(text: str, what: str, tmp_path: Path) -> None:
    """`env check` has all of them, and a pass ends with the first."""
    found = mistakes(text)
    assert found[0].startswith(what)
    with pytest.raises(EnvError, match=rf"^t:{found[0].split()[0]}: "):
        load(tmp_path, text, "K=1\n")


def test_every_mistake_is_found_at_once() -> None:
    assert len(mistakes("# @typ\nA=1\n# @enum\nB=2\nA=3\n# @public\n")) == 4


FITS = {
    "int": (["0", "-1", "+12", "007"], ["", "1.5", "1 ", "0x1F", "١", "1e3", "1\n"]),
    "number": (["0", "-1.5", ".5", "5.", "1e-3"], ["", ".", "1,5", "nan", "1e", "٣.١"]),
    "bool": (["true", "False", "YES", "no", "on", "off", "1", "0"], ["", "2", "ja", "truee"]),
    "url": (["https://a.b/c?d=e#f", "postgres://u:p@h:1/x", "s3://b"], ["", "a.b", "https://", "http:/a", "h://a b"]),
    "str": (["x", " ", "a\nb"], []),
}


@pytest.mark.parametrize("name", TYPES)
def test_types(name: str) -> None:
    fitting, others = FITS[name]
    key = declared(f"# @type {name} @required\nKEY=")
    assert [value for value in fitting if key.wanted(value)] == []
    assert [value for value in others if not key.wanted(value)] == []
    assert declared(f"# @type {name}\nKEY=''").wanted("") is None, "an optional key may be empty"


@pytest.mark.parametrize(
    ("annotation", "wanted"),
    [
        ("@type int", "a whole number"),
        ("@type bool", "true or false (or yes, no, on, off, 1, 0)"),
        ("@enum debug|info", "one of debug, info"),
        ("@pattern [a-z]+", "of the form [a-z]+"),
        ("@pattern ^[a-z]+$", "of the form ^[a-z]+$"),
    ],
)
def test_a_wrong_value_is_refused_without_being_shown(annotation: str, wanted: str, tmp_path: Path) -> None:
    """Key, line, what is wanted; the whole value has to match, not a part of it."""
    with pytest.raises(EnvError) as caught:
        load(tmp_path, f"A=\n# {annotation}\nKEY=\n", f"A=1\nKEY={CANARY}\n")
    said = str(caught.value)
    assert said == f"{tmp_path}/.env.server:2: KEY should be {wanted} (t:3); correct it"


def test_a_default_made_of_values_is_held_to_its_type(tmp_path: Path) -> None:
    """Only then is it known what it comes to: the template's line is named."""
    with pytest.raises(EnvError, match=r"^t:3: PORT should be a whole number \(t:3\)"):
        load(tmp_path, "BASE=\n# @type int\nPORT=${BASE}0\n", f"BASE={CANARY}\n")
    load(tmp_path, "BASE=\n# @type int\nPORT=${BASE}0\n", "BASE=808\n")


def test_public_keys_are_known_to_who_masks(tmp_path: Path) -> None:
    path = tmp_path / ".env.server"
    path.write_text("A=1\nB=2\n")
    assert load_values(path, "# @public\nA=\nB=\n").public == {"A"}


def test_the_demos_template_is_annotated_and_right() -> None:
    text = (CHECKOUT / "desired_state" / "observer" / "env.template").read_text()
    template = read_template(text, file="env.template")
    assert template.problems == ()
    key = template.contract.of("API_TOKEN")
    assert key is not None
    assert key.is_marked_secret
