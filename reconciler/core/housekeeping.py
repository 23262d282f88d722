"""When temp/ and logs/ are looked at, and what is told about them."""

from __future__ import annotations

from datetime import datetime, timedelta

from reconciler.model.housekeeping import SWEPT, WATCHED, Housekeeping
from reconciler.model.quantities import duration_text
from reconciler.model.stored import Housekept
from reconciler.model.sweep import Amount, SweepReport


def rules_text(rules: Housekeeping) -> str:
    """What was asked for, to tell whether it is still the same."""
    age = rules.temp.max_age if rules.temp else None
    size = rules.temp.max_size if rules.temp else None
    return f"age {age} size {size} logs {rules.logs.warn_size if rules.logs else None} every {rules.every}"


def is_due(last: Housekept | None, rules: Housekeeping, *, now: datetime) -> bool:
    """Whether it is time for the next look: after `every`, for other rules, and when the clock went back."""
    if not rules.is_on:
        return False
    if last is None or last.rules != rules_text(rules):
        return True
    return not timedelta(0) <= now - last.at < timedelta(seconds=rules.every)


def warnings(report: SweepReport, rules: Housekeeping) -> tuple[str, ...]:
    """What a person has to know until the next look."""
    told = [f"housekeeping: {why}" for why in report.refused]
    if report.failure and report.remaining and report.remaining.files:
        left = f"{_files(report.remaining)} of {SWEPT}/ could not be removed"
        told.append(f"housekeeping: {left}: {report.failure}")
    elif report.failure:
        told.append(f"housekeeping: not everything could be looked at: {report.failure}")
    limit = rules.logs.warn_size if rules.logs else None
    if limit is not None and report.logs is not None and report.logs.bytes > limit:
        told.append(
            f"{WATCHED}/ has {size_text(report.logs.bytes)} in {_files(report.logs)}, over {size_text(limit)}"
            " (housekeeping.logs.warn_size): nothing in it is ever removed; rotate the logs"
        )
    return tuple(told)


def intended(report: SweepReport, rules: Housekeeping) -> str:
    """One line: what a sweep would remove, and why."""
    return f"sweep {SWEPT}/: {_amount(report.due)} to remove: {_reasons(report, rules)}"


def done(report: SweepReport, rules: Housekeeping) -> str:
    """One line: what a sweep removed, and why."""
    all_of_it = "" if report.removed == report.due else f" of {_amount(report.due)}"
    return f"{SWEPT}/ was swept: {_amount(report.removed)}{all_of_it} removed: {_reasons(report, rules)}"


def size_text(size: int) -> str:
    """Bytes for people: `17 B`, `1.5 MiB`."""
    amount, unit = float(size), "B"
    for larger in ("KiB", "MiB", "GiB", "TiB"):
        if amount < 1024:
            break
        amount, unit = amount / 1024, larger
    return f"{size} B" if unit == "B" else f"{amount:.1f} {unit}"


def _reasons(report: SweepReport, rules: Housekeeping) -> str:
    temp, parts = rules.temp, []
    if temp and temp.max_age is not None and report.expired.files:
        parts.append(f"{report.expired.files} older than {_age(temp.max_age)}")
    if temp and temp.max_size is not None and report.surplus.files:
        parts.append(f"{report.surplus.files} as the oldest of more than {size_text(temp.max_size)}")
    return ", ".join(parts)


def _age(seconds: float) -> str:
    return f"{seconds / 86400:.0f}d" if seconds % 86400 == 0 else duration_text(seconds)


def _amount(amount: Amount) -> str:
    return f"{_files(amount)} ({size_text(amount.bytes)})"


def _files(amount: Amount) -> str:
    return "1 file" if amount.files == 1 else f"{amount.files} files"
