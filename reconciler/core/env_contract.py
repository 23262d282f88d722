"""`env check`: the template, the values and what the Compose files use, held against each other."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from reconciler.model.env import EnvEntry, shown_key
from reconciler.model.env_contract import (
    RESERVED,
    SUPPLIED,
    Contract,
    Declaration,
    Finding,
    Given,
    Kind,
    Manner,
    Use,
    Uses,
    is_placeholder,
    steers_compose,
)

_NEED_A_WHOLE_TEMPLATE = {Kind.UNKNOWN, Kind.UNDECLARED, Kind.UNDECLARED_OPTIONAL}
_Declared = Mapping[str, Declaration]


def check_values(contract: Contract | None, given: Given, unmaskable: Callable[[str], bool]) -> list[Finding]:
    """Everything that is wrong with the values: what can't be read, and what isn't as the template says.

    Without a template every key is allowed. `unmaskable` tells a value that is masked only at its key (P9).
    """
    declared = {each.key: each for each in contract.declarations} if contract is not None else {}
    found = list(given.problems)
    found += _of_single_keys(given, declared)
    if contract is not None:
        found += _missing(contract, given)
        found += _unlike_the_template(contract, given, declared, unmaskable)
    return found


def check_env(
    contract: Contract | None,
    given: Given,
    uses: Uses,
    *,
    problems: tuple[Finding, ...] = (),
    unmaskable: Callable[[str], bool],
) -> tuple[Finding, ...]:
    """Every finding, errors first, each group by file and line. `problems` are those of the template itself."""
    found = [*problems, *check_values(contract, given, unmaskable), *uses.problems]
    found += _undeclared(contract, given, uses)
    found += _unused(contract, given, uses)
    if any(problem.kind is Kind.UNREADABLE for problem in problems):  # what the template declares isn't known
        found = [each for each in found if each.kind not in _NEED_A_WHOLE_TEMPLATE]
    found.sort(key=lambda each: (not each.kind.is_error, each.file, each.line, each.kind))
    return tuple(found)


def _of_single_keys(given: Given, declared: _Declared) -> Iterator[Finding]:
    first: dict[str, int] = {}
    for entry in given.entries:
        if entry.key in first:
            name = entry.key if entry.key in declared else shown_key(entry)
            what = f"{name} stands twice (first on line {first[entry.key]})"
            yield _about(entry, given, Kind.DUPLICATE, what, "keep one")
            continue
        first[entry.key] = entry.line
        if entry.key in RESERVED:
            yield _about(entry, given, Kind.RESERVED, RESERVED[entry.key], "remove the line")
        if is_placeholder(entry.value.get_secret_value()):
            yield _about(
                entry, given, Kind.PLACEHOLDER, f"{entry.key} is still a placeholder", "fill in the real value"
            )
        if steers_compose(entry.key):
            what = f"{entry.key} is also read by Docker, Compose or the shell on the target"
            yield _about(entry, given, Kind.STEERS, what, "better another name")


def _missing(contract: Contract, given: Given) -> Iterator[Finding]:
    present = {entry.key for entry in given.entries} | given.unread
    for each in contract.declarations:
        if each.is_required and each.key not in present:
            what = f"{each.key} is required, and {given.file} doesn't have it"
            yield Finding(Kind.MISSING, contract.file, each.line, what, f"add a line {each.key}=… there", each.key)


def _unlike_the_template(
    contract: Contract, given: Given, declared: _Declared, unmaskable: Callable[[str], bool]
) -> Iterator[Finding]:
    unknown: set[str] = set()
    for entry in given.entries:
        if entry.key in declared:
            yield from _value(declared[entry.key], entry, contract, given, unmaskable)
        elif entry.key not in RESERVED and entry.key not in unknown:
            unknown.add(entry.key)
            what = f"{shown_key(entry)} isn't in {contract.file}"
            yield _about(entry, given, Kind.UNKNOWN, what, "correct the spelling, or add it to the template")


def _value(
    declaration: Declaration, entry: EnvEntry, contract: Contract, given: Given, unmaskable: Callable[[str], bool]
) -> Iterator[Finding]:
    value, place = entry.value.get_secret_value(), f"{contract.file}:{declaration.line}"
    if not value and declaration.is_required:
        yield _about(entry, given, Kind.EMPTY, f"{entry.key} is empty, and {place} requires a value", "fill it in")
        return
    if is_placeholder(value):
        return
    if wanted := declaration.wanted(value):
        yield _about(entry, given, Kind.WRONG_TYPE, f"{entry.key} should be {wanted} ({place})", "correct it")
    if declaration.is_marked_secret and value and unmaskable(value):
        what = f"{entry.key} is marked @secret, and is too short, too common or a word of deploy.yaml: it can be masked"
        what += f" only where it stands as {entry.key}'s value"
        yield _about(entry, given, Kind.WEAK_SECRET, what, "choose a longer, random value")


def _undeclared(contract: Contract | None, given: Given, uses: Uses) -> Iterator[Finding]:
    known = {entry.key for entry in given.entries} | given.unread
    if contract is not None:
        known = {each.key for each in contract.declarations}
    where = contract.file if contract is not None else given.file
    by_key: dict[str, list[Use]] = {}
    for use in uses.found:
        if use.key not in known and use.key not in SUPPLIED:
            by_key.setdefault(use.key, []).append(use)
    for key, places in by_key.items():
        needed = [use for use in places if use.manner is Manner.NEEDED]
        first = (needed or places)[0]
        more = f" (and in {len(places) - 1} more)" if len(places) > 1 else ""
        what = f"{key} is used here{more}, and {where} doesn't declare it"
        if steers_compose(key):
            what += ": it comes from the shell that Compose runs in"
        if needed and not steers_compose(key):
            yield Finding(Kind.UNDECLARED, first.file, first.line, what, "declare it, or correct the spelling", key)
        else:
            remedy = "declare it if it should be settable"
            yield Finding(Kind.UNDECLARED_OPTIONAL, first.file, first.line, what, remedy, key)


def _unused(contract: Contract | None, given: Given, uses: Uses) -> Iterator[Finding]:
    if uses.takes_all:
        return
    used = {use.key for use in uses.found}
    remedy = "remove it, or pass it on: `environment: [NAME]`"
    if contract is not None:
        for each in contract.declarations:
            if each.key not in used and each.key not in RESERVED and not steers_compose(each.key):
                what = f"{each.key} is declared, and no Compose file uses it"
                yield Finding(Kind.UNUSED, contract.file, each.line, what, remedy, each.key)
        return
    for entry in given.entries:
        if entry.key not in used and entry.key not in RESERVED and not steers_compose(entry.key):
            yield _about(entry, given, Kind.UNUSED, f"{shown_key(entry)} is set, and no Compose file uses it", remedy)


def _about(entry: EnvEntry, given: Given, kind: Kind, what: str, remedy: str) -> Finding:
    key = entry.key if what.startswith(f"{entry.key} ") else None  # else it isn't shown, and why not counts here, too
    return Finding(kind, given.file, entry.line, what, remedy, key)
