"""Times that come again and again, by APScheduler's reading of cron."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from reconciler.adapters.desired.load import line_in
from reconciler.model.deploy import Deploy
from reconciler.model.errors import DesiredStateError
from reconciler.model.quantities import duration_text
from reconciler.model.windows import Window

if TYPE_CHECKING:
    from collections.abc import Sequence

    from reconciler.core.windows import Recurring

_INSTANT = timedelta(microseconds=1)


class CronWindow:
    """Implements `core.windows.Recurring`. Raises ValueError for a cron expression that means nothing."""

    def __init__(self, spec: Window) -> None:
        from apscheduler.triggers.cron import CronTrigger

        self.allows = spec.kind == "allow"
        self.text = f"`{spec.cron}` ({spec.timezone}, for {duration_text(spec.duration)})"
        self._trigger: Any = CronTrigger.from_crontab(spec.cron, timezone=ZoneInfo(spec.timezone))
        self._lasts = timedelta(seconds=spec.duration)

    def until(self, at: datetime) -> datetime | None:
        """Where several overlap: when the one that began first ends, and so possibly begins anew."""
        began = self._next(at - self._lasts + _INSTANT)
        return began + self._lasts if began is not None and began <= at else None

    def after(self, at: datetime) -> datetime | None:
        return self._next(at + _INSTANT)

    def _next(self, at: datetime) -> datetime | None:
        found = self._trigger.get_next_fire_time(None, at)
        return found if isinstance(found, datetime) else None


def windows_of(deploy: Deploy, file: Path) -> Sequence[Recurring]:
    """The windows of a deploy.yaml. Raises DesiredStateError for a cron expression that means nothing."""
    found = []
    for position, spec in enumerate(deploy.windows):
        try:
            found.append(CronWindow(spec))
        except ValueError as error:
            at = ("windows", position, "cron")
            where = f"windows[{position}].cron"
            raise DesiredStateError(
                f'isn\'t a time that comes: "{spec.cron}"',
                file=str(file),
                line=line_in(file, at),
                path=where,
                hint=str(error),
            ) from None
    return tuple(found)
