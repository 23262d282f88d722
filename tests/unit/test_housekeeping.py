"""When temp/ and logs/ are looked at, what is said about them, and what deploy.yaml may ask for."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path, PurePosixPath

import pytest

from reconciler.adapters.desired.load import DesiredStateErrors, load_deploy
from reconciler.core.housekeeping import done, intended, is_due, rules_text, size_text, warnings
from reconciler.core.narrowing import consequences, cut_off
from reconciler.model.deploy import Deploy
from reconciler.model.errors import DesiredStateError
from reconciler.model.housekeeping import Housekeeping, LogsWatch, TempSweep
from reconciler.model.stored import Housekept
from reconciler.model.sweep import Amount, SweepReport, Written

NOW = datetime(2026, 1, 22, 10, 15, tzinfo=UTC)
MIB = 2**20
RULES = Housekeeping.model_construct(
    temp=TempSweep.model_construct(max_age=7 * 86400.0, max_size=1024 * MIB),
    logs=LogsWatch.model_construct(warn_size=10 * MIB),
)
DEPLOY = """\
apiVersion: reconciler/v1
app: observer
tag: 20260122_101500
compose: compose.yaml
targets:
  prod: {host: local, deploy_dir: /srv/observer}
"""


def load(tmp_path: Path, text: str) -> Deploy:
    path = tmp_path / "deploy.yaml"
    path.write_text(DEPLOY + text)
    return load_deploy(path)


def refusal(tmp_path: Path, text: str) -> str:
    with pytest.raises((DesiredStateErrors, DesiredStateError)) as caught:
        load(tmp_path, text)
    return str(caught.value)


def test_it_is_off_unless_configured(tmp_path: Path) -> None:
    assert not load(tmp_path, "writable: [temp, logs]\n").housekeeping.is_on


def test_it_is_read_with_days_and_sizes(tmp_path: Path) -> None:
    text = (
        "writable: [temp]\nhousekeeping: {temp: {max_age: 7d, max_size: 1GiB}, logs: {warn_size: 512MiB}, every: 1h}\n"
    )
    found = load(tmp_path, text).housekeeping
    assert found.temp is not None
    assert found.logs is not None
    assert (found.temp.max_age, found.temp.max_size) == (7 * 86400, 1024 * MIB)
    assert (found.logs.warn_size, found.every) == (512 * MIB, 3600)


@pytest.mark.parametrize(("written", "seconds"), [("7d", 604800), ("1.5d", 129600), ("0.1d", 8640), ("36h", 129600)])
def test_an_age_may_be_in_days(tmp_path: Path, written: str, seconds: float) -> None:
    temp = load(tmp_path, f"writable: [temp]\nhousekeeping: {{temp: {{max_age: {written}}}}}\n").housekeeping.temp
    assert temp is not None
    assert temp.max_age == seconds


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "housekeeping: {temp: {max_age: 7d}}\n",
            "housekeeping.temp: can't be swept: `temp` isn't in `writable:`; add",
        ),
        ("writable: [logs, tempo]\nhousekeeping: {temp: {max_age: 7d}}\n", "`temp` isn't in `writable:`"),
        (
            "writable: [temp, temp/keep]\nhousekeeping: {temp: {max_age: 7d}}\n",
            "housekeeping.temp: would also sweep the writable area `temp/keep`; move `temp/keep` out of `temp`",
        ),
        ("writable: [temp]\nhousekeeping: {temp: {}}\n", "names neither `max_age` nor `max_size`"),
        ("writable: [temp]\nhousekeeping: {temp: {max_age: 7}}\n", "should be a duration with its unit"),
        ("writable: [temp]\nhousekeeping: {temp: {max_age: 0d}}\n", "longer than 0s"),
        ("writable: [temp]\nhousekeeping: {temp: {max_age: 400d}}\n", "at most a year"),
        ("writable: [temp]\nhousekeeping: {temp: {max_size: 0B}}\n", "more than 0B"),
        ("writable: [temp]\nhousekeeping: {uploads: {max_age: 7d}}\n", "uploads"),
        ("writable: [temp]\nhousekeeping: {logs: {max_age: 7d}}\n", "max_age"),
    ],
)
def test_a_mistake_is_one_line_with_its_place(tmp_path: Path, text: str, said: str) -> None:
    assert said in refusal(tmp_path, text)


def test_logs_may_be_watched_without_temp(tmp_path: Path) -> None:
    assert load(tmp_path, "housekeeping: {logs: {warn_size: 1GiB}}\n").housekeeping.is_on


def looked(ago: timedelta, rules: Housekeeping = RULES) -> Housekept:
    return Housekept(at=NOW - ago, rules=rules_text(rules))


def test_it_is_due_after_its_interval_and_not_before() -> None:
    assert is_due(None, RULES, now=NOW)
    assert not is_due(looked(timedelta(hours=23, minutes=59)), RULES, now=NOW)
    assert is_due(looked(timedelta(hours=24)), RULES, now=NOW)


def test_it_is_due_at_once_for_other_rules_and_when_the_clock_went_back() -> None:
    tighter = RULES.model_copy(update={"temp": TempSweep.model_construct(max_age=86400.0, max_size=1024 * MIB)})
    assert is_due(looked(timedelta(minutes=1)), tighter, now=NOW)
    assert is_due(looked(timedelta(minutes=-5)), RULES, now=NOW)


def test_it_is_never_due_where_it_is_off() -> None:
    assert not is_due(None, Housekeeping.model_construct(), now=NOW)


def test_what_was_removed_is_said_with_reasons() -> None:
    report = SweepReport(
        temp=Amount(20, 5 * MIB), expired=Amount(3, MIB), surplus=Amount(1, MIB // 2), remaining=Amount()
    )
    assert done(report, RULES) == (
        "temp/ was swept: 4 files (1.5 MiB) removed: 3 older than 7d, 1 as the oldest of more than 1.0 GiB"
    )
    assert warnings(report, RULES) == ()


def test_what_will_be_removed_is_said_as_such() -> None:
    report = SweepReport(temp=Amount(20, 5 * MIB), expired=Amount(1, 7), failure="find: './x': Permission denied")
    assert intended(report, RULES) == "sweep temp/: 1 file (7 B) to remove: 1 older than 7d"
    assert warnings(report, RULES) == (
        "housekeeping: not everything could be looked at: find: './x': Permission denied",
    )


def test_what_could_not_be_removed_is_a_warning() -> None:
    report = SweepReport(
        temp=Amount(3, 30), expired=Amount(3, 30), remaining=Amount(1, 10), failure="temp/a: rm: …: Permission denied"
    )
    assert done(report, RULES).startswith("temp/ was swept: 2 files (20 B) of 3 files (30 B) removed")
    assert warnings(report, RULES) == (
        "housekeeping: 1 file of temp/ could not be removed: temp/a: rm: …: Permission denied",
    )


@pytest.mark.parametrize(("size", "warns"), [(10 * MIB, False), (10 * MIB + 1, True)])
def test_large_logs_are_a_warning(size: int, warns: bool) -> None:
    told = warnings(SweepReport(logs=Amount(2, size)), RULES)
    assert bool(told) is warns
    assert not warns or "logs/ has 10.0 MiB in 2 files, over 10.0 MiB" in told[0]


@pytest.mark.parametrize(
    ("size", "text"), [(0, "0 B"), (1023, "1023 B"), (1024, "1.0 KiB"), (1536 * MIB, "1.5 GiB"), (2**52, "4096.0 TiB")]
)
def test_sizes_are_for_people(size: int, text: str) -> None:
    assert size_text(size) == text


AREAS = (PurePosixPath("logs"), PurePosixPath("archives/data"))
HOME = PurePosixPath("/srv/observer")


def service(*volumes: dict[str, object]) -> dict[str, object]:
    return {"image": "sha256:1", "volumes": [{"type": "bind", "target": "/x", **volume} for volume in volumes]}


def test_what_a_narrower_policy_takes_away_is_named_with_who_writes_there() -> None:
    model = {
        "services": {
            "web": service({"source": "/srv/observer/logs/web"}, {"source": "/srv/observer/uploads"}),
            "job": service({"source": "/srv/observer/uploads"}, {"source": "/srv/observer/archives"}),
        }
    }
    assert cut_off(model, HOME, AREAS) == {"archives": ("job",), "uploads": ("job", "web")}


def test_what_is_read_only_ours_or_elsewhere_is_not_hit() -> None:
    model = {
        "services": {
            "web": service(
                {"source": "/srv/observer/uploads", "read_only": True},
                {"source": "/srv/observer/.reconciler/files/1/app.conf"},
                {"source": "/srv/observer2/uploads"},
                {"source": "/var/lib/data"},
                {"source": "/srv/observer/archives/data/in"},
            )
        }
    }
    assert cut_off(model, HOME, AREAS) == {}


def test_a_named_volume_that_lies_there_counts() -> None:
    model = {
        "services": {"web": {"volumes": [{"type": "volume", "source": "up", "target": "/x"}]}},
        "volumes": {"up": {"driver_opts": {"type": "none", "o": "bind", "device": "/srv/observer/uploads"}}},
    }
    assert cut_off(model, HOME, AREAS) == {"uploads": ("web",)}


def test_the_consequence_tells_what_was_really_written() -> None:
    hit = {"a": ("web",), "b": ("job", "web"), "c": ("web",), "d": ("web",), ".": ("web",)}
    newest = int(NOW.timestamp())
    told = consequences(
        hit,
        (
            Written("a", files=14, newest=newest),
            Written("b"),
            Written("c", files=10_000, newest=newest, more=True),
            Written("d", refused="it is a link"),
        ),
    )
    stays = "; its files stay, and no later release can mount it read-write"
    assert told == (
        "`a` isn't in `writable:` any more, and web may write there: 14 files, the newest of 2026-01-22 10:15:00 UTC"
        + stays,
        "`b` isn't in `writable:` any more, and job, web may all write there: nothing was written so far" + stays,
        "`c` isn't in `writable:` any more, and web may write there: 10000 files and more, the newest of 2026-01-22"
        " 10:15:00 UTC or later" + stays,
        "`d` isn't in `writable:` any more, and web may write there: what was written isn't known (it is a link)"
        + stays,
        "`.` isn't in `writable:` any more, and web may write there: it is the whole of deploy_dir" + stays,
    )
