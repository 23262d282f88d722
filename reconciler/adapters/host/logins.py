"""Who was logged in on a target, from what `last`, `who` and `loginctl` print there (`remote/logins.sh`)."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from datetime import UTC, datetime, timedelta

from reconciler.model.trace import Login

_ISO = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:[+-]\d\d:?\d\d|Z)"
_LAST = re.compile(rf"(\S+) +(\S+) +(?:(\S+) +)?({_ISO})(.*)")
_END = re.compile(rf" - ({_ISO})")
_LASTED = re.compile(r"\((?:(\d+)\+)?(\d+):(\d+)\)")
_WHO = re.compile(r"(\S+) +(\S+) +([A-Z][a-z]{2} +\d{1,2} \d\d:\d\d)(?: +\((\S+)\))?")
"""In the C locale, which `lib.sh` sets, GNU's `who` leaves out the year."""
_NOBODY = frozenset({"reboot", "shutdown", "runlevel"})
"""What `last` shows in the place of a user's name."""
_ROUNDED = timedelta(minutes=1)

_Session = tuple[str, str, str, datetime, datetime | None]
"""User, terminal, address, from, and until where it is over."""


def logins_at(said: Mapping[str, bytes], when: datetime) -> tuple[Login, ...]:
    """The sessions that were open at `when`, one for each user and terminal. A line that isn't understood is left out.

    A session of which only the begin is known, and whose process is gone, isn't counted.
    """
    found: dict[tuple[str, str], Login] = {}
    for user, terminal, address, began, ended in _sessions(said, when):
        if began <= when and (ended is None or when <= ended):
            where = f"{terminal} from {address}" if address else terminal
            known = found.get((user, terminal))
            if known is None or (address and known.where == terminal):
                found[user, terminal] = Login(user, where)
    return tuple(sorted(found.values(), key=lambda login: (login.user, login.where)))


def _sessions(said: Mapping[str, bytes], when: datetime) -> Iterator[_Session]:
    for line in _lines(said, "last"):
        if (match := _LAST.fullmatch(line)) and match[1] not in _NOBODY:
            yield from _of_last(match)
    for line in _lines(said, "who"):
        if match := _WHO.fullmatch(line):
            yield from _of_who(match, when)
    for block in said.get("loginctl", b"").decode("utf-8", "replace").split("\n\n"):
        yield from _of_loginctl(dict(line.split("=", 1) for line in block.splitlines() if "=" in line))


def _of_last(match: re.Match[str]) -> Iterator[_Session]:
    began, rest = datetime.fromisoformat(match[4]), match[5]
    session = match[1], match[2], match[3] or "", began
    if "still logged in" in rest:
        yield *session, None
    elif end := _END.match(rest):
        yield *session, datetime.fromisoformat(end[1])
    elif lasted := _LASTED.search(rest):  # until a shutdown or a crash
        days, hours, minutes = (int(number or 0) for number in lasted.groups())
        yield *session, began + timedelta(days=days, hours=hours, minutes=minutes) + _ROUNDED


def _of_who(match: re.Match[str], when: datetime) -> Iterator[_Session]:
    """Sessions that are open now. The year is the one in which it is at most a year ago."""
    for year in (when.year, when.year - 1):
        with suppress(ValueError):  # no such day in that year
            began = datetime.strptime(f"{year} {match[3]}", "%Y %b %d %H:%M").replace(tzinfo=UTC)
            if began <= when + timedelta(days=1):
                yield match[1], match[2], match[4] or "", began, None
                return


def _of_loginctl(shown: Mapping[str, str]) -> Iterator[_Session]:
    """Sessions that are open now, those without a terminal, too: a command over SSH, an editor."""
    try:
        began = datetime.strptime(shown["Timestamp"], "%a %Y-%m-%d %H:%M:%S UTC").replace(tzinfo=UTC)
    except (KeyError, ValueError):
        return
    if shown.get("Name") and shown.get("Class", "user") == "user":
        terminal = shown.get("TTY") or shown.get("Service") or "no terminal"
        yield shown["Name"], terminal, shown.get("RemoteHost") or "", began, None


def _lines(said: Mapping[str, bytes], name: str) -> list[str]:
    return [line.strip() for line in said.get(name, b"").decode("utf-8", "replace").splitlines()]
