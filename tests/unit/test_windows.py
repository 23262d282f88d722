"""When a release may be switched to: cron as people mean it, time zones, daylight saving, deny over allow."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from reconciler.adapters.cron import CronWindow, windows_of
from reconciler.adapters.desired.load import load_deploy
from reconciler.core.windows import closed
from reconciler.model.errors import DesiredStateError
from reconciler.model.windows import Window
from tests.unit.test_deploy_model import MINIMAL

OFFICE = ("allow", "0 8 * * mon-fri", "8h", "Europe/Berlin")
FREEZE = ("deny", "0 0 20 12 *", "336h", "UTC")
LUNCH = ("deny", "0 12 * * *", "1h", "Europe/Berlin")
NIGHT = ("allow", "0 22 * * *", "8h", "UTC")


def windows(*specs: tuple[str, str, str, str]) -> list[CronWindow]:
    return [
        CronWindow(Window.model_validate({"kind": kind, "cron": cron, "duration": lasts, "timezone": zone}))
        for kind, cron, lasts, zone in specs
    ]


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("specs", "now", "opens"),
    [
        ((), "2026-11-23T03:00", None),
        ((OFFICE,), "2026-11-23T06:59", "2026-11-23T07:00"),  # Monday, 07:59 in Berlin
        ((OFFICE,), "2026-11-23T07:00", None),
        ((OFFICE,), "2026-11-23T14:59", None),
        ((OFFICE,), "2026-11-23T15:00", "2026-11-24T07:00"),
        ((OFFICE,), "2026-11-21T12:00", "2026-11-23T07:00"),  # Saturday
        ((OFFICE,), "2026-07-01T06:30", None),  # summer: 08:30 in Berlin
        ((OFFICE, LUNCH), "2026-11-23T11:30", "2026-11-23T12:00"),  # 12:30 in Berlin
        ((OFFICE, LUNCH), "2026-11-23T12:00", None),
        ((LUNCH,), "2026-11-23T03:00", None),  # only denials: everything else is allowed
        ((OFFICE, FREEZE), "2026-12-22T10:00", "2027-01-04T07:00"),  # a freeze into the new year, then the weekend
        ((NIGHT,), "2026-11-23T03:00", None),  # began yesterday
        ((NIGHT,), "2026-11-23T06:00", "2026-11-23T22:00"),
        ((OFFICE, NIGHT), "2026-11-23T23:00", None),  # either allows
        ((("deny", "* * * * *", "24h", "UTC"),), "2026-11-23T03:00", "never"),
        ((("allow", "0 0 30 2 *", "1h", "UTC"),), "2026-11-23T03:00", "never"),
    ],
)
def test_closed(specs: tuple[tuple[str, str, str, str], ...], now: str, opens: str | None) -> None:
    found = closed(windows(*specs), at(now))
    if opens is None:
        assert found is None
        return
    assert found is not None
    assert found.opens == (None if opens == "never" else at(opens))


def test_the_clock_that_goes_back_makes_a_window_no_longer() -> None:
    """02:00 to 04:00 in Berlin on the night that has 02:30 twice: it lasts two hours of real time."""
    night = windows(("allow", "0 2 * * *", "2h", "Europe/Berlin"))
    minutes = [closed(night, at(f"2026-10-25T0{hour}:{minute:02}")) for hour in range(6) for minute in (0, 30)]
    assert sum(each is None for each in minutes) in {4, 6}, "two hours, from one or each of the two beginnings"
    assert minutes[-1] is not None


def test_the_reason_names_the_window() -> None:
    found = closed(windows(OFFICE), at("2026-11-21T12:00"))
    assert found is not None
    assert found.reason == "outside of the window `0 8 * * mon-fri` (Europe/Berlin, for 8h)"


def test_a_time_that_never_comes_is_refused_with_its_line(tmp_path_factory: pytest.TempPathFactory) -> None:
    file = tmp_path_factory.mktemp("desk") / "deploy.yaml"
    file.write_text(MINIMAL + "windows:\n  - {kind: allow, cron: '61 8 * * mon', duration: 1h}\n")
    line = len(file.read_text().splitlines())
    with pytest.raises(DesiredStateError, match=rf"deploy.yaml:{line}: windows\[0\].cron: isn't a time that comes"):
        windows_of(load_deploy(file), file)
