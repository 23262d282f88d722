"""The state file and its backup: any damage to either is noticed, and the newer whole one counts."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.adapters.host.state_file import choose, encoded
from reconciler.model.audit import Copy, StateCopies
from reconciler.model.errors import TargetUnfit
from reconciler.model.stored import TargetState

KEY, OTHER = b"k" * 32, b"o" * 32


def state(serving: str = "r1") -> bytes:
    return TargetState(app="app", project="app", serving=serving).model_dump_json(indent=1).encode()


def written(serving: str = "r1", revision: int = 7, key: bytes = KEY) -> bytes:
    return encoded(state(serving), key, revision)


@st.composite
def damages(draw: st.DrawFn) -> bytes:
    """A file that isn't the one that was written: cut, lengthened, or with one bit turned over."""
    whole = written()
    kind = draw(st.sampled_from(["cut", "head", "longer", "bit"]))
    if kind == "bit":
        at = draw(st.integers(0, len(whole) * 8 - 1))
        changed = bytearray(whole)
        changed[at // 8] ^= 1 << at % 8
        return bytes(changed)
    if kind == "longer":
        return whole + draw(st.binary(min_size=1, max_size=3))
    at = draw(st.integers(1, len(whole)))
    return whole[:-at] if kind == "cut" else whole[at:]


@given(damages())
def test_any_damage_of_the_main_file_is_noticed_and_the_backup_counts(damaged: bytes) -> None:
    chosen = choose(damaged, written("r1"), [KEY])
    assert (chosen.copies, chosen.revision) == (StateCopies(Copy.BROKEN, Copy.WHOLE), 7)
    assert TargetState.model_validate_json(chosen.data or b"").serving == "r1"


@given(damages())
def test_any_damage_of_the_backup_is_noticed_and_never_taken_over(damaged: bytes) -> None:
    chosen = choose(written("r2", 8), damaged, [KEY])
    assert chosen.copies == StateCopies(Copy.WHOLE, Copy.BROKEN)
    assert TargetState.model_validate_json(chosen.data or b"").serving == "r2"


@given(damages(), damages())
def test_two_damaged_files_are_no_state(main: bytes, backup: bytes) -> None:
    with pytest.raises(TargetUnfit, match=r"state\.json"):
        choose(main, backup, [KEY])


@given(damages())
def test_one_damaged_file_without_the_other_is_no_state(damaged: bytes) -> None:
    with pytest.raises(TargetUnfit):
        choose(damaged, None, [KEY])
    with pytest.raises(TargetUnfit):
        choose(None, damaged, [KEY])


@pytest.mark.parametrize(
    ("main", "backup", "serving", "copies"),
    [
        (written(), written(), "r1", StateCopies()),
        (written("new", 8), written("old", 7), "new", StateCopies(Copy.WHOLE, Copy.OLDER)),
        (written("old", 7), written("new", 8), "new", StateCopies(Copy.OLDER, Copy.WHOLE)),
        (None, written(), "r1", StateCopies(Copy.MISSING, Copy.WHOLE)),
        (written(), None, "r1", StateCopies(Copy.WHOLE, Copy.MISSING)),
        (written("first", 1), None, "first", StateCopies(Copy.WHOLE, Copy.OLDER)),
        (state("before"), None, "before", StateCopies(Copy.UNSIGNED, Copy.MISSING)),
        (state("edited"), written("r1"), "r1", StateCopies(Copy.BROKEN, Copy.WHOLE)),
        (written(key=OTHER), written("r1"), "r1", StateCopies(Copy.BROKEN, Copy.WHOLE)),
    ],
    ids=[
        "both whole",
        "a crash between the two",
        "an old one put back",
        "main removed",
        "backup removed",
        "a crash in the first write",
        "of a version without signatures",
        "the signature taken away",
        "signed by another key",
    ],
)
def test_which_copy_counts(main: bytes | None, backup: bytes | None, serving: str, copies: StateCopies) -> None:
    chosen = choose(main, backup, [KEY])
    assert chosen.data is not None
    assert (TargetState.model_validate_json(chosen.data).serving, chosen.copies) == (serving, copies)


def test_the_file_is_json_and_says_how_often_it_was_written() -> None:
    value = json.loads(written())
    assert (value["revision"], value["serving"], len(value["mac"])) == (7, "r1", 64)


def test_a_state_signed_with_the_copy_of_the_key_is_whole() -> None:
    chosen = choose(written(), written(), [OTHER, KEY])
    assert (chosen.key, chosen.copies) == (KEY, StateCopies())


def test_nothing_is_no_state_and_no_error() -> None:
    assert choose(None, None, [KEY]).data is None


@pytest.mark.parametrize("text", [b"", b"null", b"[]", b"{", b'{"mac": "x"}', b'{"revision": 3}'])
def test_what_no_version_ever_wrote_is_refused(text: bytes) -> None:
    with pytest.raises(TargetUnfit):
        choose(text, None, [KEY])
