"""Housekeeping as a part of a pass: when it happens, what record it leaves, and what a crash in it leaves."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field, fields, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from reconciler.adapters.desired.load import load_deploy
from reconciler.adapters.host.target import TargetHost
from reconciler.adapters.records.markdown import from_markdown
from reconciler.adapters.records.store import RecordDirectory
from reconciler.adapters.transport.local import LocalTransport
from reconciler.cycle.context import Guard, TargetContext
from reconciler.cycle.housekeeping import foreseen, housekeeping, narrowed
from reconciler.cycle.result import PassResult
from reconciler.cycle.state import recover
from reconciler.model.errors import CommandFailed, ExitCode, ReconcilerError, TargetUnreachable
from reconciler.model.housekeeping import Housekeeping
from reconciler.model.record import RunRecord
from reconciler.model.stored import Suspension, TargetState
from reconciler.model.sweep import SweepReport
from tests.integration.swept import HOLDER, Server, host, new_server

NOW = datetime(2026, 1, 22, 10, 15, tzinfo=UTC)
TAG = "20260122_101500"


@dataclass
class Clock:
    """Time that moves when the test says so."""

    at: datetime = NOW

    def now(self) -> datetime:
        return self.at

    def monotonic(self) -> float:
        return self.at.timestamp()

    def sleep(self, seconds: float) -> None:
        self.at += timedelta(seconds=seconds)


class Mask:
    """Knows one secret."""

    def text(self, text: str) -> str:
        return text.replace("s3cret", "•••")


@dataclass
class Broken:
    """The real host, but for what the sweep does when it removes."""

    real: TargetHost
    error: ReconcilerError | None = None
    report: SweepReport | None = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self.real, name)

    def sweep(self, rules: Housekeeping, *, holder: str | None) -> SweepReport:
        if holder is None:
            return self.real.sweep(rules, holder=None)
        if self.error:
            raise self.error
        assert self.report is not None
        return self.report


@dataclass
class Pass:
    """One target after another pass found it in sync."""

    server: Server
    records: Path
    ctx: TargetContext
    clock: Clock
    state: TargetState
    said: list[str] = field(default_factory=list)

    def result(self, **changes: Any) -> PassResult:
        found = PassResult("prod", ExitCode.OK, "in_sync", "in sync", TAG, serving="r1", state=self.state)
        return replace(found, **changes)

    def run(self, **changes: Any) -> PassResult:
        done = housekeeping(self.ctx, self.result(**changes))
        if done.state is not None:
            self.state = done.state
        return done

    def written(self) -> list[RunRecord]:
        """The records on this side."""
        return [from_markdown(path.read_text(), name=path.name) for path in sorted(self.records.glob("*.md"))]

    def on_target(self) -> dict[str, Any]:
        state: dict[str, Any] = json.loads((self.server.dir / ".reconciler/state.json").read_text())
        return state


def context(tmp_path: Path, server: Server, section: str, **given: Any) -> TargetContext:
    """A context with what housekeeping may use, and nothing else in it."""
    path = tmp_path / "deploy.yaml"
    path.write_text(
        f"apiVersion: reconciler/v1\napp: observer\ntag: {TAG}\ncompose: compose.yaml\nwritable: [temp, logs]\n"
        f"targets:\n  prod: {{host: local, deploy_dir: '{server.dir}'}}\n{section}\n"
    )
    deploy = load_deploy(path)
    unused: dict[str, Any] = {each.name: None for each in fields(TargetContext)}
    means = {
        "name": "prod",
        "deploy": deploy,
        "target": deploy.targets["prod"],
        "commit": lambda: "c" * 40,
        "mask": Mask(),
        "say": lambda text: None,
        "interrupted": lambda: False,
        "guard": Guard(),
        "who": HOLDER,
        "linked": {},
    }
    return TargetContext(**{**unused, **means, **given})


@pytest.fixture
def at_work(tmp_path: Path) -> Iterator[Pass]:
    server, clock, records = new_server(tmp_path), Clock(), tmp_path / "run_records"
    transport = LocalTransport()
    target = host(transport, server)
    lock, _ = target.lock(HOLDER, "a test")
    ctx = context(
        tmp_path,
        server,
        "housekeeping: {temp: {max_age: 7d}, logs: {warn_size: 1KiB}}",
        host=target,
        clock=clock,
        records=RecordDirectory(records, commit=False),
    )
    yield Pass(server, records, ctx, clock, TargetState(app="observer", project="observer", serving="r1"))
    lock.release()
    transport.close()


def test_a_sweep_leaves_one_record_on_both_sides(at_work: Pass) -> None:
    at_work.server.file("old", days=8)
    at_work.server.file("new")
    done = at_work.run()
    assert at_work.server.left() == {"new"}
    [record] = at_work.written()
    assert (record.kind, record.verdict, record.exit_code, record.to_release) == ("sweep", "go", 0, "r1")
    assert record.reason == "temp/ was swept: 1 file (3 B) removed: 1 older than 7d"
    assert (done.exit_code, done.result, done.record) == (0, "in_sync", str(next(at_work.records.glob("*.md"))))
    assert done.notes == (record.reason,)
    assert (at_work.server.dir / ".reconciler/records" / f"{record.run}.md").exists()
    assert at_work.on_target()["open"] is None


def test_nothing_to_remove_is_no_record(at_work: Pass) -> None:
    at_work.server.file("new")
    done = at_work.run()
    assert (done.record, done.notes, at_work.written()) == (None, (), [])
    assert at_work.on_target()["housekept"]["at"].startswith("2026-01-22T10:15")


def test_the_next_sweep_waits_for_its_time(at_work: Pass) -> None:
    at_work.run()
    at_work.server.file("old", days=8)
    at_work.clock.at += timedelta(hours=23)
    assert (at_work.run().record, at_work.server.left()) == (None, {"old"})
    at_work.clock.at += timedelta(hours=1)
    assert at_work.run().record is not None
    assert at_work.server.left() == set()


@pytest.mark.parametrize(
    "changes",
    [
        {"exit_code": ExitCode.BLOCKED, "result": "blocked"},
        {"exit_code": ExitCode.BLOCKED},
        {"exit_code": ExitCode.ERROR, "result": "failed"},
        {"exit_code": ExitCode.REVERTED, "result": "reverted"},
        {"result": "healed"},
        {"record": "ops/run_records/deploy_1.md"},
        {"state": None},
    ],
)
def test_a_pass_that_is_blocked_failed_or_has_its_record_sweeps_nothing(at_work: Pass, changes: dict[str, Any]) -> None:
    at_work.server.file("old", days=8)
    assert at_work.run(**changes).record == changes.get("record")
    assert (at_work.server.left(), at_work.written()) == ({"old"}, [])


def test_a_frozen_target_is_not_swept(at_work: Pass) -> None:
    at_work.server.file("old", days=8)
    frozen = Suspension(at=NOW, by="ann", message="an investigation")
    at_work.run(state=at_work.state.model_copy(update={"suspended": frozen}))
    assert at_work.server.left() == {"old"}


def test_nothing_is_even_looked_at_where_it_is_off(at_work: Pass, tmp_path: Path) -> None:
    ctx = context(tmp_path, at_work.server, "", clock=at_work.clock)  # there is no host to ask
    assert housekeeping(ctx, at_work.result()) == at_work.result()
    assert foreseen(ctx, at_work.state) == ()


def test_a_crash_in_the_middle_is_on_record_after_the_next_pass(at_work: Pass) -> None:
    """SIGKILL of the controller is this: the journal is there, and nobody closed it."""
    at_work.server.file("old", days=8)
    lost = TargetUnreachable("prod: the connection was lost")
    with pytest.raises(TargetUnreachable):
        housekeeping(replace(at_work.ctx, host=Broken(at_work.ctx.host, error=lost)), at_work.result())  # type: ignore[arg-type]
    assert at_work.on_target()["open"]["kind"] == "sweep"
    at_work.state = recover(at_work.ctx, at_work.ctx.host.observe())
    [record] = at_work.written()
    assert (record.kind, record.verdict) == ("sweep", "interrupted")
    assert record.plan == ("sweep temp/: 1 file (3 B) to remove: 1 older than 7d",)
    assert at_work.run().record is not None
    assert (at_work.server.left(), len(at_work.written())) == (set(), 2)


def test_a_sweep_that_fails_is_told_and_is_not_the_passes_failure(at_work: Pass) -> None:
    at_work.server.file("old", days=8)
    failed = CommandFailed("prod: no awk; and s3cret", status=1)
    done = housekeeping(replace(at_work.ctx, host=Broken(at_work.ctx.host, error=failed)), at_work.result())  # type: ignore[arg-type]
    [record] = at_work.written()
    assert (done.exit_code, record.verdict) == (0, "failed")
    assert done.notes == ("housekeeping: temp/ was not swept as a whole: prod: no awk; and •••",)
    assert "s3cret" not in record.model_dump_json() + json.dumps(at_work.on_target())


def test_a_warning_stands_until_the_next_look(at_work: Pass) -> None:
    log = at_work.server.file("app.log", size=3000, area="logs")
    [warning] = at_work.run().notes
    assert warning.startswith("logs/ has 2.9 KiB in 1 file, over 1.0 KiB")
    log.unlink()
    at_work.clock.at += timedelta(hours=1)
    assert at_work.run(notes=("another",)).notes == ("another", warning)
    at_work.clock.at += timedelta(hours=24)
    assert at_work.run().notes == ()


def test_a_plan_tells_what_would_go_and_changes_nothing(at_work: Pass) -> None:
    at_work.server.file("old", days=8)
    before = at_work.server.beyond_temp()
    assert foreseen(at_work.ctx, at_work.state) == ("sweep temp/: 1 file (3 B) to remove: 1 older than 7d",)
    assert (at_work.server.left(), at_work.server.beyond_temp()) == ({"old"}, before)


def test_narrowing_names_area_service_and_what_was_written(at_work: Pass) -> None:
    server = at_work.server
    release = server.dir / "releases" / "r1"
    volume = {"type": "bind", "source": f"{server.dir}/uploads", "target": "/up"}
    kept = {"type": "bind", "source": f"{server.dir}/logs", "target": "/logs"}
    manifest = {
        "release": "r1",
        "tag": TAG,
        "app": "observer",
        "project": "observer",
        "digest": "d",
        "public_digest": "p",
        "created_at": NOW.isoformat(),
        "services": {},
    }
    (release / "manifest.json").write_text(json.dumps(manifest))
    (release / "compose.yaml").write_text(json.dumps({"services": {"web": {"volumes": [volume, kept]}}}))
    (release / ".env").write_text("")
    [line] = narrowed(at_work.ctx, "r1")
    assert line.startswith("`uploads` isn't in `writable:` any more, and web may write there: 1 file, the newest of ")
    assert narrowed(at_work.ctx, None) == ()
    assert narrowed(at_work.ctx, "gone") == ()
