"""What the redactor masks, by example; the properties are in tests/property."""

from __future__ import annotations

import json
import random
import string
import subprocess
import sys
import time
from enum import StrEnum
from pathlib import PurePosixPath

import pytest
from pydantic import SecretStr

from reconciler.telemetry.redact import COMMON, Redactor, is_common


class Colour(StrEnum):
    RED = "red"


def redactor(**values: str) -> Redactor:
    return Redactor({key: SecretStr(value) for key, value in values.items()})


def test_compose_error_that_quotes_a_value() -> None:
    """The real message that made this promise necessary."""
    message = "invalid hostPort: s3cr3t-canary"
    assert redactor(PORT="s3cr3t-canary").text(message) == "invalid hostPort: ***"


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("DEBUG=1", "DEBUG=***"),
        ("DEBUG: 1", "DEBUG: ***"),
        ('{"DEBUG": "1", "OTHER": "1"}', '{"DEBUG": "***", "OTHER": "1"}'),
        ('"{\\"DEBUG\\": \\"1\\"}"', '"{\\"DEBUG\\": \\"***\\"}"'),
        ("{'DEBUG': '1'}", "{'DEBUG': '***'}"),
        ('DEBUG="1"', 'DEBUG="***"'),
        ("map[DEBUG:1 OTHER:1]", "map[DEBUG:*** OTHER:1]"),
        ("'DEBUG' => '1', 'OTHER' => '1'", "'DEBUG' => '***', 'OTHER' => '1'"),
        ("DEBUG := 1, Env:[DEBUG=1 OTHER=1]", "DEBUG := ***, Env:[DEBUG=*** OTHER=1]"),
        ("--env=DEBUG=1 -p 1", "--env=DEBUG=*** -p 1"),
        ("web.environment.DEBUG: 1", "web.environment.DEBUG: ***"),
        ("DEBUG=10 XDEBUG=1 DEBUG_X=1", "DEBUG=10 XDEBUG=1 DEBUG_X=1"),
        ("1 of 1 services, DEBUG is set", "1 of 1 services, DEBUG is set"),
    ],
)
def test_short_values_only_at_their_key(text: str, masked: str) -> None:
    """A `1` is everywhere: masking it everywhere would ruin every text."""
    assert redactor(DEBUG="1").text(text) == masked


def test_common_words_only_at_their_key() -> None:
    """Also the longer ones of the documented list, whatever their case."""
    assert redactor(LEVEL="INFO", HOST="localhost").text("INFO localhost LEVEL=INFO HOST: localhost") == (
        "INFO localhost LEVEL=*** HOST: ***"
    )
    assert all(is_common(word) for word in COMMON)
    assert is_common("    ")
    assert is_common("=======")
    assert not is_common("0000")


def test_a_key_of_any_length() -> None:
    """Keys are matched by a tree, which a long one must not make too deep."""
    key = "K" * 5000
    assert Redactor({key: SecretStr("1"), "KK": SecretStr("2")}).text(f"{key}=1 KK=2 K=1") == f"{key}=*** KK=*** K=1"


def test_longest_first_and_overlaps() -> None:
    """A value that contains another leaves nothing of itself, and neither does one that overlaps another."""
    assert redactor(A="abcd", B="abcdefgh").text("abcdefgh abcd") == "*** ***"
    assert redactor(A="abcdefgh", B="cdef").text("abcdefgh!") == "***!"
    assert redactor(A="abcdef", B="defghi").text("-abcdefghi-") == "-***-"


def test_lines_of_a_value_alone() -> None:
    """A key file that a program indents, or prints one line of."""
    key = "-----BEGIN KEY-----\nMIIEvQIBADAN\nshort\n-----END KEY-----"
    masked = redactor(KEY=key).text("  MIIEvQIBADAN\n  short\n")
    assert masked == "  ***\n  short\n"


def test_trimmed_value() -> None:
    """A program that trims what it prints shows the value all the same."""
    assert redactor(A=" s3cret ").text("[s3cret]") == "[***]"


def test_structures() -> None:
    """Keys, numbers, secrets, short values at their own key, and what JSON doesn't have."""
    masks = redactor(PASSWORD="hunter2", PIN="8261", DEBUG="true")
    found = masks.value(
        {
            "hunter2": [1, True, None, 8261, "a hunter2"],
            "environment": {"DEBUG": True, "OTHER": True},
            "path": PurePosixPath("/x/hunter2"),
            "secret": SecretStr("anything"),
            "enum": Colour.RED,
            "tuple": ("hunter2", b"hunter2"),
        }
    )
    assert found == {
        "***": [1, True, None, "***", "a ***"],
        "environment": {"DEBUG": "***", "OTHER": True},
        "path": "/x/***",
        "secret": "***",
        "enum": "red",
        "tuple": ["***", b"***"],
    }


def test_keys_that_mask_alike_are_both_kept() -> None:
    """Nothing is lost where two keys hold values."""
    assert len(redactor(A="hunter2", B="hunter3").value({"hunter2": 1, "hunter3": 2})) == 2


def test_others_and_union() -> None:
    """A registry's password has no key; an old and a new value of one key are both masked."""
    old, new = redactor(TOKEN="old-token"), redactor(TOKEN="new-token", X="1")
    both = old.union(new).union(Redactor(others=[SecretStr("registry")]))
    assert both.text("old-token new-token registry X=1") == "*** *** *** X=***"
    assert Redactor.none().text("anything DEBUG=1") == "anything DEBUG=1"
    assert "token" not in repr(both)


def test_a_value_made_of_the_mask() -> None:
    """Masking doesn't go round in circles over stars."""
    masks = redactor(A="a***b", B="middle", C="***", D="*")
    assert masks.text("amiddleb C=*** D=*") == "*** C=*** D=*"


def test_json_of_compose() -> None:
    """Compose doubles `$`, and then JSON escapes."""
    value = 'pa$$"wo\nrd<>'
    text = json.dumps({"K": value.replace("$", "$$")})
    assert redactor(K=value).text(text) == '{"K": "***"}'


def test_speed() -> None:
    """500 keys over 1 MB: about 0.25 s of CPU measured; the limit leaves room for slower machines."""
    chance = random.Random(1)  # noqa: S311 - test data
    letters = string.ascii_letters + string.digits
    values = {f"K{n}": "".join(chance.choices(letters, k=chance.randint(8, 40))) for n in range(490)}
    masks = redactor(**values, **{f"S{n}": str(n) for n in range(10)})
    text = "".join(chance.choices(letters + "  \n", k=1_000_000)) + values["K7"]
    masks.text("compiled at its first use")
    times = []
    for _ in range(3):
        start = time.process_time()
        masked = masks.text(text)
        times.append(time.process_time() - start)
    assert masked.endswith("***")
    assert min(times) < 1.0


def test_cheap_to_import() -> None:
    """No JSON, HTML, base64 or URL code until something is masked."""
    code = "import sys, reconciler.telemetry.log; print([m for m in ('json', 'html', 'pydantic') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


DEPLOY = "app: observer-demo\nurl: http://127.0.0.1:18080/healthz  # not hunter2hunter2-old\n"


def public(**values: str) -> Redactor:
    return Redactor({key: SecretStr(value) for key, value in values.items()}, public=DEPLOY)


def test_what_is_public_is_masked_only_at_its_key() -> None:
    """The app's name as an env value must not make `***-capture-1` of every container's name."""
    text = "observer-demo-capture-1 at 18080, IMAGE=observer-demo, PORT: 18080, 127.0.0.1:18080"
    masked = "observer-demo-capture-1 at 18080, IMAGE=***, PORT: ***, 127.0.0.1:18080"
    assert public(IMAGE="observer-demo", PORT="18080").text(text) == masked


@pytest.mark.parametrize("value", ["8080", "observer-dem", "hunter2hunter2", "bserver", "demo/observer", "demo\nurl"])
def test_a_part_of_a_public_word_is_no_public_word(value: str) -> None:
    """Only whole words: a secret doesn't become public by standing inside of another word."""
    assert public(KEY=value).text(f"it is {value}!") == "it is ***!"


def test_what_is_public_to_one_redactor_stays_secret_to_another() -> None:
    """A union masks what either masks; a registry's password is never public."""
    other = Redactor({"KEY": SecretStr("observer-demo")})
    assert public(IMAGE="observer-demo").union(other).text("observer-demo") == "***"
    assert Redactor(others=[SecretStr("observer-demo")], public=DEPLOY).text("observer-demo") == "***"


def test_strict_masks_pieces_of_values() -> None:
    """Compose takes a value apart before it calls a piece of it invalid."""
    values = public(PORT="s3cr3tport:80", URL="postgres://joe:pass%20word@db.internal/x", APP="observer-demo:18080/y")
    assert values.text("invalid hostPort: s3cr3tport") == "invalid hostPort: s3cr3tport", "cut: it can't be recognised"
    assert values.strict().text("invalid hostPort: s3cr3tport") == "invalid hostPort: ***"
    assert values.strict().text("no db.internal, no 20word, no joe") == "no ***, no ***, no joe"
    assert values.strict().text("observer-demo at 18080") == "observer-demo at 18080", "what is public stays readable"
