"""Reading dotenv files: what Compose means (the oracle is in tests/integration), and what we refuse."""

from __future__ import annotations

import pytest

from reconciler.adapters.env.dotenv import parse_dotenv
from reconciler.model.errors import EnvError


def read(text: str) -> dict[str, str]:
    return {entry.key: entry.value.get_secret_value() for entry in parse_dotenv(text, file="f")}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("K=plain", "plain"),
        ("K=", ""),
        ("K=''", ""),
        ("K = spaced", "spaced"),
        ("K: colon", "colon"),
        ("export K=exported", "exported"),
        ("\ufeffK=bom", "bom"),
        ("K=crlf\r\n", "crlf"),
        ("K=a # comment", "a"),
        ("K=a#b", "a#b"),
        ("K=#fff", "#fff"),
        ("K='a # b' # comment", "a # b"),
        ("K='$A ${B} $$'", "$A ${B} $$"),
        (r"K='it\'s'", "it's"),
        (r"K='\n'", r"\n"),
        (r'K="a\nb\t\\\"\$x"', 'a\nb\t\\"$x'),
        (r'K="\0101 \q"', r"A \q"),
        ("K='two\nlines'", "two\nlines"),
        ('K="two\nlines"', "two\nlines"),
        ("K=$$a$", "$a$"),
        ("A=1\nK=$A-${A}", "1-1"),
        ("K=${A:-d}", "d"),
        ("A=\nK=${A-d}", ""),
        ("A=\nK=${A:-d}", "d"),
        ("A=1\nK=${A:+yes}${B+no}", "yes"),
        ("A=1\nA=2\nK=$A", "2"),
    ],
)
def test_reads_as_compose_does(text: str, value: str) -> None:
    """Quotes, escapes, comments, `export`, interpolation among earlier keys, several lines, CRLF, BOM."""
    assert read(text)["K"] == value


@pytest.mark.parametrize(
    ("text", "line", "why"),
    [
        ("A=1\nKEY\n", 2, "has no value"),
        ("KEY", 1, "has no value"),
        ("A='x\ny'\n\n# c\nK='hunter2", 5, "never closed"),
        ("K='hunter2' hunter2", 1, "after the closing"),
        ("K='hunter2'B=1", 1, "after the closing"),
        ("K= # hunter2", 1, "comment"),
        ("K=pa$hunter2", 1, "no earlier line"),
        ("K=${LATER}\nLATER=hunter2", 1, "no earlier line"),
        ('K="${hunter2"', 1, "not closed"),
        ("K=${A?hunter2}", 1, "requires"),
        ("hunter2 hunter2!=1", 1, "a key holds"),
        ("A\tB=hunter2", 1, "white space"),
        ("=hunter2", 1, "no key"),
        ("export\nA=1", 1, "without a key"),
        ("A=1\nK=hunter2\0", 2, "NUL"),
        ('K="hunter2\\0000"', 1, "NUL"),
        ("K=" + "${A:-" * 50 + "}" * 50, 1, "nested deeper"),
        ("A=1\nK=" + "$A" * 1001, 2, "more than 1000"),
    ],
)
def test_refuses_with_line_and_without_the_value(text: str, line: int, why: str) -> None:
    """What Compose would take in a way that nobody means: one line, with the place, without the value."""
    with pytest.raises(EnvError) as caught:
        parse_dotenv(text, file="f")
    message = str(caught.value)
    assert message.startswith(f"f:{line}: ")
    assert why in message
    assert "hunter2" not in message
    assert "\n" not in message
    assert caught.value.__cause__ is None


def test_entries_keep_order_and_lines() -> None:
    """Lines count from 1, over quoted values of several lines and comments."""
    entries = parse_dotenv("\nB='1\n2'\n# c\nA=1\nB=3\n", file="f")
    assert [(entry.key, entry.line) for entry in entries] == [("B", 2), ("A", 5), ("B", 6)]


def test_values_are_hidden_in_repr() -> None:
    """A traceback with locals, or a debugger's print, shows no value."""
    assert "hunter2" not in repr(parse_dotenv("K=hunter2", file="f"))


def test_a_large_file_is_quick() -> None:
    """A mebibyte of values in well under the test's time limit, and a value of a mebibyte, too."""
    assert len(read("\n".join(f"K{number}='{'x' * 90}\\''" for number in range(10_000)))) == 10_000
    assert len(read(f'K="{"ab" * 500_000}"')["K"]) == 1_000_000
