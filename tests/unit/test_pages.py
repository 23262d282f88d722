"""What the status page shows, from the board on: words, escaping, charts, JSON. No browser, no socket."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser
from http import HTTPStatus
from pathlib import Path

import pytest

from reconciler.adapters.records.markdown import to_markdown
from reconciler.adapters.records.shelf import RecordShelf
from reconciler.core.health import Health
from reconciler.cycle.status import Sync
from reconciler.daemon.board import Board
from reconciler.daemon.measured import KEPT, MOST_GATES, MeasuredGate, Point, with_round
from reconciler.daemon.pages.chart import HEIGHT, WIDTH, chart
from reconciler.daemon.pages.overview import overview
from reconciler.daemon.pages.scene import LONGEST, Scene, plain
from reconciler.daemon.pages.site import Pages
from reconciler.daemon.pages.target import target_page
from reconciler.daemon.pages.words import Tone, lasting, moment
from reconciler.daemon.web import Answer
from reconciler.model.drift import Drift, Vector
from reconciler.model.errors import ExitCode
from reconciler.model.measure import GateKind, Measurement, Outcome
from reconciler.model.plan import Plan, Start
from reconciler.model.record import RecordKind
from reconciler.model.stored import Quarantine
from tests.fakes.boards import BAD, GOOD, OLD, RUN, SCENES, STATES, FakeShelf, record_of, scene_of, tag_of
from tests.fakes.boards import Scene as Fed

NOW = datetime(2026, 1, 22, 12, 30, tzinfo=UTC)
HOSTILE = "<script>alert(1)</script><img src=x onerror=alert(2)>\u202egnp.exe' \"&amp; {{ 7 * 7 }}"
STEP = Start("web", "c0ffee", "observer-web-1", "drift container: observer-web-1 was stopped")


def seen(fed: Fed, mask: object = None) -> Scene:
    board = fed.board
    return Scene(board.source, board.targets(), datetime.now(UTC), mask or (lambda text: text))  # type: ignore[arg-type]


def asked(fed: Fed, path: str, query: str = "", shelf: FakeShelf | None = None) -> Answer:
    return Pages(fed.board, shelf or FakeShelf(), lambda text: text).answer(path, query)


class Tags(HTMLParser):
    """The elements of a page, and its text."""

    def __init__(self, answer: Answer) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.text = ""
        self.feed(answer.body.decode())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs

    def handle_data(self, data: str) -> None:
        self.text += data


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0, "just now"), (-3, "just now"), (59, "59 seconds ago"), (60, "1 minute ago"), (7199, "119 minutes ago"),
     (7200, "2 hours ago"), (3 * 86400, "3 days ago"), (-3600, "60 minutes ahead of this clock")],
)  # fmt: skip
def test_a_moment_in_words(seconds: float, words: str) -> None:
    assert moment(NOW - timedelta(seconds=seconds), NOW).ago == words


def test_a_moment_is_shown_in_utc_wherever_it_was_taken() -> None:
    shown = moment(datetime.fromisoformat("2026-01-22T14:00:00+02:00"), NOW)
    assert (shown.iso, shown.text) == ("2026-01-22T12:00:00Z", "2026-01-22 12:00:00 UTC")


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0, "0 seconds"), (1, "1 second"), (90, "1 minute 30 seconds"), (3600, "1 hour"), (86399, "23 hours 59 minutes"),
     (90000, "1 day 1 hour"), (-5, "0 seconds")],
)  # fmt: skip
def test_a_length_of_time_in_words(seconds: float, words: str) -> None:
    assert lasting(seconds) == words


def test_before_anything_is_known_everything_is_unknown() -> None:
    """An empty board, and a target that nobody has reached yet."""
    fed = Fed(Board(), NOW)
    text = Tags(asked(fed, "/")).text
    assert "No desired state is known yet" in text
    assert "No target is known yet" in text
    fed.desired()
    fed.expect("prod")
    (row,) = overview(seen(fed)).rows
    assert (row.words, row.facts, row.tone) == ("unknown, unknown, unknown", None, Tone.UNKNOWN)
    assert row.lines == (("Unknown", "not looked at yet"),)
    assert asked(fed, "/targets/prod").status is HTTPStatus.OK


def test_a_look_that_failed_is_unknown_and_keeps_the_one_before() -> None:
    """The pass ended and then the target was gone: `status` itself says unknown."""
    fed = scene_of("stable")
    lost = replace(
        fed.status("prod", fed.state()),
        sync=Sync.UNKNOWN,
        health=Health.UNKNOWN,
        serving=None,
        reason="gone: timed out",
    )
    fed.passed("prod", None, lost, result="unreachable", code=ExitCode.UNREACHABLE)
    (row,) = overview(seen(fed)).rows
    assert row.words == "unknown, unknown, unknown"
    assert not row.is_current
    assert row.facts is not None
    assert row.facts.serving == GOOD
    assert row.lines == (("Unknown", "gone: timed out"),)


def test_a_connection_that_comes_back_is_known_again() -> None:
    fed = scene_of("unreachable")
    SCENES["stable"](fed, "prod")
    (row,) = overview(seen(fed)).rows
    assert (row.words, row.is_current, row.lines) == ("in sync, healthy, stable", True, ())


def test_a_plan_that_was_carried_out_is_not_shown_as_the_next_one() -> None:
    """A pass healed something and is blocked all the same, by a quarantine: its plan is history."""
    fed = scene_of("reverted")
    scene = seen(fed)
    view = scene.targets["prod"]
    assert view.status is not None
    drift = Drift(Vector.FILE, "web.conf", "as released", "changed")
    healed = replace(view.last, plan=Plan(GOOD, tag_of(GOOD), (STEP,), (drift,))) if view.last else None
    scene = replace(scene, targets={"prod": replace(view, last=healed)})
    page = target_page(scene, "prod", FakeShelf())
    assert page.plan.steps == ()
    assert page.row.drift == ()


def test_drift_that_is_left_says_why() -> None:
    fed = scene_of("stable")
    drift = Drift(Vector.LAYER, "web:/app/x", "not there", "written")
    plan = Plan(GOOD, tag_of(GOOD), (), (drift,), ((drift, "the policy is alert"),))
    fed.passed("prod", fed.state(), fed.status("prod", fed.state(), plan=plan))
    page = target_page(seen(fed), "prod", FakeShelf())
    assert page.row.drift == ("layer: web:/app/x: expected not there, found written (the policy is alert)",)
    assert page.plan.says == "Nothing is done about the drift: beside each stands why."


def test_the_timeline_has_a_quarantine_whose_release_is_forgotten() -> None:
    fed = scene_of("stable")
    held = {BAD: Quarantine(tag=tag_of(BAD), at=fed.ago(minutes=1), reason="why", run=RUN)}
    state = fed.state(quarantine=held)
    fed.passed("prod", state, fed.status("prod", state))
    releases = target_page(seen(fed), "prod", FakeShelf()).releases
    assert [(each.name, each.verdict.word, each.marks) for each in releases] == [
        (BAD, "quarantined", ()),
        (GOOD, "stable", ("serving", "last good")),
        (OLD, "stable", ()),
    ]
    assert releases[0].record == f"/records/{RUN}"


@pytest.mark.parametrize("name", SCENES)
def test_every_state_in_words(name: str) -> None:
    (row,) = overview(seen(scene_of(name))).rows
    assert row.words == ", ".join(STATES[name])


def test_what_is_not_known_stands_only_where_it_is_called_so() -> None:
    """On both pages; the timeline of the target's page says it of itself."""
    fed = scene_of("unreachable")
    now, last = Tags(asked(fed, "/")).text.split("Last known")
    assert GOOD not in now
    assert tag_of(GOOD) in now.split("Targets")[0], "the tag that is asked for is known"
    assert f"served {GOOD}" in last
    page = Tags(asked(fed, "/targets/prod")).text
    assert GOOD not in page.split("Last known")[0]
    assert page.index("As it was known") < page.index("last good", page.index("Releases and their verdicts"))


@pytest.mark.parametrize("name", SCENES)
def test_every_page_of_every_scene_is_whole(name: str) -> None:
    """Each opened element is closed, nothing comes from elsewhere, nothing runs."""
    fed = scene_of(name)
    for path in ("/", "/targets/prod", "/nowhere"):
        page = Tags(asked(fed, path))
        assert not {"script", "style", "iframe", "form", "object", "link:"} & set(page.tags)
        assert not [key for key, _ in page.attributes if key.startswith("on") or key == "style"]
        links = [value or "" for key, value in page.attributes if key in {"href", "src"}]
        assert links
        assert all(link.startswith(("/", "#")) and not link.startswith("//") for link in links), links
        ids = [value for key, value in page.attributes if key == "id"]
        assert len(ids) == len(set(ids))


def test_what_others_wrote_is_text() -> None:
    """Markup, template syntax, an override of the reading direction, a text without an end: in every place."""
    fed = scene_of("drifted")
    fed.board.expect((HOSTILE,))
    hostile = HOSTILE + "x" * 100_000
    fed.desired(app=HOSTILE, tag=HOSTILE, trouble=hostile, commit=hostile)
    held = {HOSTILE: Quarantine(tag=HOSTILE, at=fed.ago(minutes=1), reason=hostile, run=HOSTILE)}
    state = fed.state(quarantine=held)
    drift = Drift(Vector.FILE, hostile, hostile, hostile, hint=hostile)
    measured = Measurement(HOSTILE, GateKind.HTTP, Outcome.BREACH, fed.now, hostile, hostile, float("nan"))
    fed.passed(
        HOSTILE,
        state,
        fed.status(
            HOSTILE, state, reason=hostile, plan=Plan(None, HOSTILE, (), (drift,), ((drift, hostile),), (hostile,))
        ),
        result=HOSTILE,
        code=ExitCode.ERROR,
        message=hostile,
        record=f"/x/{HOSTILE}.md",
        measurements=(measured,),
    )
    shelf = FakeShelf([(record_of(HOSTILE, reason=hostile), hostile)])
    for path in ("/", f"/targets/{HOSTILE}", f"/records/{RUN}"):
        answer = asked(fed, path, shelf=shelf)
        assert answer.status is HTTPStatus.OK, path
        page = Tags(answer)
        assert not {"script", "img"} & set(page.tags)
        assert "\u202e" not in answer.body.decode()
        assert "<script>alert(1)</script>" in page.text
        assert "{{ 7 * 7 }}" in page.text
        assert path.startswith("/records/") or "x" * (LONGEST + 1) not in page.text
        assert not [value for key, value in page.attributes if key == "href" and "<" in (value or "")]


def test_secrets_are_masked_wherever_text_comes_from_elsewhere() -> None:
    """What is on the board was masked before; whatever slipped through is masked here."""
    secret = "hunter2-canary"
    fed = scene_of("reverted")
    held = {BAD: Quarantine(tag=tag_of(BAD), at=fed.ago(minutes=1), reason=secret, run=RUN)}
    state = fed.state(quarantine=held)
    drift = Drift(Vector.ENV, f"KEY {secret}", secret, secret)
    fed.desired(trouble=secret)
    plan = Plan(None, tag_of(GOOD), (STEP,), (drift,), (), (secret,))
    fed.passed("prod", state, fed.status("prod", state, reason=secret, plan=plan), message=secret, code=ExitCode.ERROR)
    shelf = FakeShelf([(record_of(reason=secret), f"# {secret}")])
    pages = Pages(fed.board, shelf, lambda text: text.replace(secret, "***"))
    for path in ("/", "/targets/prod", f"/records/{RUN}", "/api/status"):
        body = pages.answer(path).body.decode()
        assert secret not in body
        assert "***" in body, path


def test_invisible_characters_are_made_visible() -> None:
    assert plain("a\u202eb\x00c\x1b[31m\u200bd\n\te é 日本 ✓") == "a�b�c�[31m�d\n\te é 日本 ✓"


def test_unknown_addresses_are_not_found_and_say_so() -> None:
    fed = scene_of("stable")
    paths = "/targets/ /targets/nobody /targets/prod/x /records/../x /records/none /records/ //x /api/ /api/status/"
    for path in (*paths.split(), "/" + "a" * 5000, "/targets/\x00"):
        answer = asked(fed, path)
        assert answer.status is HTTPStatus.NOT_FOUND, path
        assert "There is no such page" in Tags(answer).text


def test_nothing_but_our_own_style_and_icon_may_be_loaded() -> None:
    headers = dict(asked(scene_of("stable"), "/").headers)
    policy = dict(part.split(maxsplit=1) for part in headers["Content-Security-Policy"].split("; "))
    assert policy.pop("style-src") == policy.pop("img-src") == "'self'"
    assert set(policy.values()) == {"'none'"}
    assert {"default-src", "frame-ancestors", "form-action", "base-uri"} == set(policy)
    assert headers["Referrer-Policy"] == "no-referrer"
    assert headers["X-Frame-Options"] == "DENY"


def test_the_style_is_kept_by_the_browser_until_it_changes() -> None:
    fed = scene_of("stable")
    links = dict(re.findall(r'<link rel="(\w+)" href="([^"]+)"', asked(fed, "/").body.decode()))
    for link in links.values():
        path, _, version = link.partition("?")
        answer = asked(fed, path, version)
        assert answer.status is HTTPStatus.OK
        assert "immutable" in answer.cache
    assert set(links) == {"stylesheet", "icon"}


def test_reloading_can_be_stopped_and_stays_so() -> None:
    fed = scene_of("stable")
    assert b'http-equiv="refresh" content="5"' in asked(fed, "/").body
    stopped = asked(fed, "/", "refresh=off&x=1").body
    assert b"http-equiv" not in stopped
    assert b'href="/targets/prod?refresh=off"' in stopped
    assert b"http-equiv" in asked(fed, "/", "refresh=%3Cscript%3E").body


def test_a_record_is_shown_as_it_is_written() -> None:
    record = record_of()
    shelf = FakeShelf([(record, to_markdown(record))])
    for name in (RUN, record.name):
        page = Tags(asked(scene_of("stable"), f"/records/{name}", shelf=shelf))
        assert to_markdown(record).strip() in page.text
        assert "refresh" not in [value for key, value in page.attributes if key == "http-equiv"]


def test_json_says_null_for_what_nobody_knows() -> None:
    fed = scene_of("unreachable", "stable")
    told = json.loads(asked(fed, "/api/status").body)
    gone, fine = told["targets"]
    assert (gone["sync"], gone["health"]) == ("unknown", "unknown")
    for key in ("phase", "phase_since", "serving", "last_good", "reason", "suspended", "quarantine", "drift"):
        assert gone[key] is None, key
    assert (gone["last_known"]["serving"], gone["last_known"]["sync"]) == (GOOD, "in_sync")
    assert gone["last_known"]["at"].endswith("Z")
    assert (fine["sync"], fine["serving"], fine["last_known"], fine["drift"]) == ("in_sync", GOOD, None, [])
    assert told["version"] == 1


def test_json_has_drift_quarantine_and_suspension() -> None:
    (drifted,) = json.loads(asked(scene_of("drifted"), "/api/status").body)["targets"]
    assert drifted["drift"] == [
        {"vector": "container", "object": "web", "expected": "running", "found": "exited (0)", "left": None}
    ]
    (reverted,) = json.loads(asked(scene_of("reverted"), "/api/status").body)["targets"]
    assert [each["release"] for each in reverted["quarantine"]] == [BAD]
    (suspended,) = json.loads(asked(scene_of("suspended"), "/api/status").body)["targets"]
    assert suspended["suspended"]["message"] == "database migration by hand"


def test_a_chart_stays_on_its_plane_whatever_the_values() -> None:
    values = [0.0, 1e308, -1e308, float("nan"), float("inf"), None, 5e-324, 1.0]
    scene = seen(scene_of("stable"))
    points = tuple(Point(NOW, Outcome.PASS, value) for value in values)
    made = chart(MeasuredGate("g", GateKind.RESOURCES, "q", "s", points), scene)
    drawn = [tuple(map(float, pair.split(","))) for line in made.lines for pair in line.split()]
    drawn += [*made.dots, *((mark.x, mark.y) for mark in made.marks)]
    assert len(made.marks) == len(values)
    assert all(0 <= x <= WIDTH and 0 <= y <= HEIGHT for x, y in drawn), drawn
    assert (made.lowest, made.highest) == ("-1e+308", "1e+308")
    assert made.words.startswith("8 measurements from 2026-01-22 12:30:00 UTC")


def test_a_chart_without_a_number_says_only_outcomes() -> None:
    gate = MeasuredGate("g", GateKind.HTTP, "q", "s", (Point(NOW, Outcome.ERROR, None),))
    made = chart(gate, seen(scene_of("stable")))
    assert (made.lines, made.dots, made.highest) == ((), (), "")
    assert made.words == "1 measurement at 2026-01-22 12:30:00 UTC: 1 error; the last one error."


def test_measurements_are_few_however_long_it_runs() -> None:
    known: tuple[MeasuredGate, ...] = ()
    for number in range(3 * KEPT):
        at = NOW + timedelta(seconds=number)
        gate = f"gate{number}"
        known = with_round(
            known,
            [
                Measurement(gate, GateKind.HTTP, Outcome.PASS, at, "q", "s", float(number)),
                Measurement("always", GateKind.HTTP, Outcome.PASS, at, "q", "s", float(number)),
            ],
        )
    assert len(known) == MOST_GATES
    always = next(gate for gate in known if gate.name == "always")
    assert [point.value for point in always.points] == [float(number) for number in range(2 * KEPT, 3 * KEPT)]
    assert with_round(known, ()) == known


def test_the_board_keeps_words_of_old_passes_and_nothing_large() -> None:
    fed = scene_of("deployed")
    (told,) = fed.board.targets()["prod"].told
    assert (told.result.state, told.result.plan, told.result.measurements) == (None, None, ())
    assert told.result.message == f"{GOOD} is live and verified"


def put(directory: Path, record_kind: RecordKind, run: str, target: str = "prod", verdict: str = "go") -> Path:
    record = record_of(target, kind=record_kind).model_copy(update={"run": run, "verdict": verdict})
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / f"{record.name}.md"
    path.write_text(to_markdown(record), "utf-8")
    return path


def test_the_shelf_gives_the_newest_of_a_target_once(tmp_path: Path) -> None:
    here, there = tmp_path / "here", tmp_path / "there"
    put(here, RecordKind.DEPLOY, "20260103_000000_aaaa", verdict="here")
    put(there, RecordKind.DEPLOY, "20260103_000000_aaaa", verdict="there")
    put(there, RecordKind.ROLLBACK, "20260102_000000_aaaa")
    put(there, RecordKind.HEAL, "20260101_000000_aaaa")
    put(there, RecordKind.HEAL, "20260104_000000_aaaa", target="other")
    shelf = RecordShelf(lambda: [here, there, tmp_path / "nowhere"])
    found = shelf.latest("prod", 2)
    assert [(each.name, each.verdict) for each in found] == [
        ("deploy_20260103_000000_aaaa", "here"),
        ("rollback_20260102_000000_aaaa", "go"),
    ]
    document = (there / "heal_20260101_000000_aaaa.md").read_text("utf-8")
    assert shelf.text("20260101_000000_aaaa") == shelf.text("heal_20260101_000000_aaaa") == document
    assert shelf.text("20260109_000000_aaaa") is None


def test_the_shelf_sees_an_episode_that_is_over(tmp_path: Path) -> None:
    path = put(tmp_path, RecordKind.HEAL, "20260101_000000_aaaa")
    shelf = RecordShelf(lambda: [tmp_path])
    assert shelf.latest("prod", 1)[0].closed_at is None
    path.write_text(to_markdown(record_of(kind=RecordKind.HEAL).model_copy(
        update={"run": "20260101_000000_aaaa", "closed_at": NOW, "repairs": 2})), "utf-8")  # fmt: skip
    assert shelf.latest("prod", 1)[0].closed_at == NOW


def test_the_shelf_reads_nothing_that_a_commit_points_at(tmp_path: Path) -> None:
    """A symbolic link in a commit is no way to the controller's own files; nor is a document that isn't a record."""
    secret = tmp_path / "key"
    secret.write_text("AGE-SECRET-KEY-canary")
    shelf_dir = tmp_path / "records"
    shelf_dir.mkdir()
    (shelf_dir / "deploy_20260101_000000_aaaa.md").symlink_to(secret)
    (shelf_dir / "deploy_20260102_000000_aaaa.md").write_text("no record\n")
    renamed = put(tmp_path / "elsewhere", RecordKind.HEAL, "20260103_000000_aaaa")
    renamed.rename(shelf_dir / "deploy_20260104_000000_aaaa.md")
    shelf = RecordShelf(lambda: [shelf_dir])
    assert shelf.text("20260101_000000_aaaa") is None
    assert shelf.latest("prod", 9) == []
