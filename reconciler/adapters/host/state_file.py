"""The state file and its backup: signed with the target's key, so that an edit by hand is seen.

A file is the state's JSON with two more keys in front: `mac`, the HMAC-SHA256 of every byte that follows it, and
`revision`, which counts the writes. The main file is written first, so after a crash it is never the older one: a newer
backup means that somebody put an old state back.
"""

from __future__ import annotations

import hmac
import json
import re
from collections.abc import Sequence
from dataclasses import field

from reconciler.dataclass import dataclass
from reconciler.model.audit import Copy, StateCopies
from reconciler.model.errors import TargetUnfit

_SIGNED = re.compile(rb'\{\n "mac": "([0-9a-f]{64})",(\n "revision": (0|[1-9][0-9]{0,14}),(?s:.*))\Z')
_PURPOSE = b"reconciler state file\n"


@dataclass(frozen=True, slots=True)
class Chosen:
    """The state that counts (`data` is JSON, None before the first one), and how both copies were found.

    `key` is the one of the keys that it is signed with; None where it is not signed.
    """

    data: bytes | None = field(repr=False)
    revision: int
    copies: StateCopies
    key: bytes | None = field(default=None, repr=False)


def encoded(data: bytes, key: bytes, revision: int) -> bytes:
    """A state file: `data` is a JSON object, as pydantic writes it with an indent."""
    rest = b'\n "revision": %d,' % revision + data[1:]
    return b'{\n "mac": "%s",' % _mac(key, rest) + rest


def choose(main: bytes | None, backup: bytes | None, keys: Sequence[bytes]) -> Chosen:
    """The newer of the copies that are signed with one of `keys`. An unsigned file counts where there is no backup yet.

    Raises TargetUnfit where files are there and none of them counts.
    """
    first, second = _read(main, keys), _read(backup, keys)
    if first is not None and (second is None or first[0] >= second[0]):
        found = Copy.WHOLE if second and second[0] == first[0] else Copy.OLDER
        if second is None:
            found = Copy.BROKEN if backup is not None else Copy.OLDER if first[0] <= 1 else Copy.MISSING
        return _chosen(first, StateCopies(Copy.WHOLE, found))
    if second is not None:
        how = Copy.OLDER if first else Copy.MISSING if main is None else Copy.BROKEN
        return _chosen(second, StateCopies(how, Copy.WHOLE))
    if main is None and backup is None:
        return Chosen(None, 0, StateCopies())
    if main is not None and backup is None and _is_unsigned(main):
        return Chosen(main, 0, StateCopies(Copy.UNSIGNED, Copy.MISSING))
    raise TargetUnfit(
        "neither .reconciler/state.json nor its backup on the target is what a pass wrote: somebody edited them, or the"
        " key; put one of the three back from a backup of the host, or move both state files aside and run"
        " `reconcile adopt`"
    )


def _chosen(read: tuple[int, bytes, bytes], copies: StateCopies) -> Chosen:
    revision, data, key = read
    return Chosen(data, revision, copies, key)


def _read(file: bytes | None, keys: Sequence[bytes]) -> tuple[int, bytes, bytes] | None:
    """Revision, JSON and key of a file that is signed with one of the keys."""
    signed = _SIGNED.match(file or b"")
    if signed is None:
        return None
    key = next((key for key in keys if hmac.compare_digest(_mac(key, signed[2]), signed[1])), None)
    return (int(signed[3]), b"{" + signed[2], key) if key is not None else None


def _is_unsigned(file: bytes) -> bool:
    try:
        value = json.loads(file)
    except ValueError:
        return False
    return isinstance(value, dict) and not {"mac", "revision"} & value.keys()


def _mac(key: bytes, rest: bytes) -> bytes:
    return hmac.new(key, _PURPOSE + rest, "sha256").hexdigest().encode()
