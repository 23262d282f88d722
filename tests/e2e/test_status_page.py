"""The status page in a real Chromium: every state told truthfully, for everybody, and no other host is asked.

Most states are put on the daemon's board directly, behind the real server; one scene is a real daemon on a real engine.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser

from ops.demo.images import Fault
from reconciler.adapters.records.markdown import to_markdown
from reconciler.daemon.pages.site import Pages
from reconciler.daemon.web import App, Server, Site
from tests.e2e.browser import DESK, PHONE, Visit, chromium, visit
from tests.e2e.daemon import await_value, daemon
from tests.e2e.job import new_job
from tests.fakes.boards import BAD, COMMIT, GOOD, OLD, RUN, SCENES, STATES, WHY, FakeShelf, record_of, scene_of
from tests.world.images import Images
from tests.world.sshd import ssh_server

EVERY = tuple(name for name in SCENES if name not in {"blind", "changed", "reverted"})
"""Scenes that can stand side by side: the others are about the desired state, and so about every target."""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as running:
        yield running


@pytest.fixture
def tab(browser: Browser) -> Iterator[Visit]:
    """A tab in which nothing may go wrong."""
    with visit(browser) as own:
        yield own
        assert own.trouble == []


class Served:
    """A real server over a board of scenes."""

    def __init__(self, *scenes: str) -> None:
        self.scene = scene_of(*scenes)
        record = record_of("prod")
        pages = Pages(self.scene.board, FakeShelf([(record, to_markdown(record))]), lambda text: text)
        site = Site(is_alive=lambda: True, is_ready=lambda: True, metrics=lambda _accept: (b"", ""), page=pages.answer)
        self.server = Server(App(site), "127.0.0.1", 0)

    def __enter__(self) -> str:
        self.server.start()
        return f"http://127.0.0.1:{self.server.port}"

    def __exit__(self, *_: object) -> None:
        self.server.stop()


@pytest.mark.parametrize("name", SCENES)
def test_every_state_is_told_as_it_is(tab: Visit, name: str) -> None:
    """On the overview and on the target's page, in words."""
    sync, health, phase = STATES[name]
    with Served(name) as url:
        row = tab.go(url).row("prod")
        title = tab.page.title()
        page = tab.go(f"{url}/targets/prod").words
        states = tab.page.get_by_role("list", name="How prod stands").inner_text().split()
    assert row.startswith(f"prod {sync} {health} {phase} "), row
    assert title == f"sync: 1 {sync}, health: 1 {health} · observer"
    assert " ".join(states) == f"Sync {sync} Health {health} Phase {phase}"
    assert COMMIT in page


def test_a_revert_says_what_why_and_where_to_read_on(tab: Visit) -> None:
    with Served("reverted") as url:
        assert WHY in tab.go(url).row("prod")
        tab.page.get_by_role("link", name="prod").click()
        assert "Nothing to do: what is asked for is quarantined" in tab.section("Plan now")
        good, bad, old = tab.page.locator(".timeline > li").all_inner_texts()
        assert BAD in bad
        assert "quarantined" in bad
        assert WHY in bad
        assert "serving" in good
        assert "last good" in good
        assert "stable" in old
        assert "serving" not in old
        tab.page.get_by_role("link", name=f"record of the quarantine of {BAD}").click()
        assert f"rollback of observer on prod: no_go {WHY}" in tab.words


def test_drift_is_named_and_so_is_the_repair(tab: Visit) -> None:
    with Served("drifted") as url:
        assert "Drift: container: web: expected running, found exited (0) (stop)" in tab.go(url).row("prod")
        assert "start web" in tab.go(f"{url}/targets/prod").section("Plan now")


def test_what_is_held_says_which_gate_had_no_data(tab: Visit) -> None:
    with Served("held") as url:
        page = tab.go(f"{url}/targets/prod")
        assert "api no data" in page.section("Measurements")
        assert f"{GOOD} held: not judged serving" in page.section("Releases and their verdicts")
        last_good = tab.page.locator("dt", has_text="Last good").locator("xpath=following-sibling::dd")
        assert last_good.inner_text() == OLD


def test_nothing_that_was_known_is_shown_as_if_it_were_so_now(tab: Visit) -> None:
    """Out of reach: the last look stands there with its time and named as such, and nowhere else."""
    with Served("unreachable") as url:
        row = tab.go(url).row("prod")
        now, last = row.split("Last known")
        assert "connection timed out" in now
        assert "healthy" not in now
        assert GOOD not in now
        assert "not how it is now" in last
        assert "in sync, healthy, stable" in last
        page = tab.go(f"{url}/targets/prod")
        assert page.section("Plan now") == "Plan now Unknown: the target can't be looked at."
        assert "As it was known" in page.section("Releases and their verdicts")
        assert "Serves" not in page.page.locator("dt").all_inner_texts()


def test_a_source_that_is_silent_says_since_when(tab: Visit) -> None:
    with Served("blind") as url:
        words = tab.go(url).words
        assert "What is desired is unknown since" in words
        assert "no route to host" in words


def test_a_look_from_before_the_commit_is_not_held_against_it(tab: Visit) -> None:
    with Served("changed") as url:
        assert "the pass that holds it against this target isn't over yet" in tab.go(url).row("prod")
        assert "Not made yet" in tab.go(f"{url}/targets/prod").section("Plan now")


def test_a_screen_reader_finds_its_way(tab: Visit) -> None:
    """Landmarks, one heading of the first level, headers of rows and columns, charts in words; also as cards."""
    with Served(*EVERY) as url:
        tab.go(url)
        assert tab.page.locator("html").get_attribute("lang") == "en"
        for role in ("banner", "main", "navigation", "contentinfo"):
            assert tab.page.get_by_role(role).count() == 1, role
        assert tab.page.get_by_role("heading", level=1).all_inner_texts() == ["observer"]
        heads = tab.page.locator("thead th")
        assert heads.count() == 9
        assert {head.get_attribute("scope") for head in heads.all()} == {"col"}
        assert tab.page.locator("tbody th[scope=row]").all_inner_texts() == list(EVERY)
        tab.page.set_viewport_size({"width": PHONE[0], "height": PHONE[1]})
        tree = tab.page.locator("main").aria_snapshot()
        assert tree.count("- rowheader") == len(EVERY)
        assert '- columnheader "Sync"' in tree
        assert 'cell "Health: degraded"' in tree
    with Served("reverted") as url:
        tab.go(f"{url}/targets/prod")
        assert tab.page.get_by_role("img").count() == 3
        chart = tab.page.get_by_role("img", name="Measurements of containers").locator("desc").text_content()
        assert chart is not None
        assert "12 measurements from" in chart
        assert "11 pass, 1 breach; the last one breach" in chart


def test_the_keyboard_reaches_every_link_and_the_focus_is_seen(tab: Visit) -> None:
    with Served(*EVERY) as url:
        hrefs = tab.go(f"{url}/?refresh=off").tabbed()
        assert hrefs[0] == "#content"
        assert [href for href in hrefs if href and href.startswith("/targets/")] == [
            f"/targets/{name}?refresh=off" for name in EVERY
        ]
    with Served("reverted") as url:
        tabbed = tab.go(f"{url}/targets/prod?refresh=off").tabbed()
        assert f"/records/{RUN}?refresh=off" in tabbed
        assert f"/records/rollback_{RUN}?refresh=off" in tabbed


def test_it_reloads_by_itself_until_one_stops_it(tab: Visit) -> None:
    """What changes is seen without a hand or a script; stopped, every link keeps it so."""
    served = Served("stable")
    with served as url:
        tab.go(f"{url}/targets/prod")
        SCENES["unreachable"](served.scene, "prod")
        tab.page.get_by_text("connection timed out").first.wait_for(timeout=20_000)
        tab.page.get_by_role("link", name="Stop reloading").click()
        assert tab.page.locator("meta[http-equiv=refresh]").count() == 0
        tab.page.get_by_role("link", name="All targets").click()
        assert tab.page.locator("meta[http-equiv=refresh]").count() == 0
        tab.page.get_by_role("link", name="Reload by itself again").click()
        assert tab.page.locator("meta[http-equiv=refresh]").get_attribute("content") == "5"


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [DESK, PHONE], ids=["desk", "phone"])
def test_it_can_be_read_by_day_by_night_and_on_a_phone(browser: Browser, scheme: str, size: tuple[int, int]) -> None:
    """Contrast of 4.5:1 and more for every text, nothing to scroll sideways, nothing from anywhere else."""
    name = f"{scheme}-{'phone' if size == PHONE else 'desk'}"
    with Served(*EVERY) as fleet, Served("reverted") as one, visit(browser, size=size, scheme=scheme) as tab:
        for url, shot in (
            (f"{fleet}/", "overview"),
            (f"{one}/targets/prod", "target"),
            (f"{fleet}/targets/deployed", ""),
            (f"{fleet}/targets/unreachable", ""),
            (f"{one}/records/{RUN}", ""),
            (f"{one}/", ""),
        ):
            tab.go(f"{url}?refresh=off")
            lowest, text = tab.contrasts()[0]
            assert lowest >= 4.5, f"{url}: {text!r} has a contrast of {lowest:.2f}"
            assert tab.overflow() == 0, url
            if shot and name in {"light-desk", "dark-phone"}:
                tab.shoot(f"status-{shot}-{name}")
        assert tab.hosts == {urlsplit(url).netloc for url in (fleet, one)}
        assert tab.trouble == []
        backdrop = tab.page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert backdrop == ("rgb(255, 255, 255)" if scheme == "light" else "rgb(20, 23, 27)")


@pytest.mark.engine
def test_a_daemon_tells_its_day_truthfully(images: Images, browser: Browser, tmp_path: Path) -> None:
    """A real app over a real sshd, and a real daemon: deployed, a bad release and the way back, a container that
    somebody stops, and then nobody answers any more."""
    bad, good = images.bad(Fault.UNHEALTHY), images.good()
    (tmp_path / "sshd").mkdir()
    with ExitStack() as far, visit(browser) as tab:
        sshd = far.enter_context(ssh_server(tmp_path / "sshd"))
        with new_job(tmp_path, images, sshd) as job, daemon(job, tmp_path, edits={"drift.policy": "alert"}) as running:
            url = f"http://127.0.0.1:{running.port}"
            await_value("what serves", job.project.version, good)
            _await_words(tab, url, "in sync healthy stabilizing")
            # Its record first: a push at the same moment as the daemon's would have to be made again.
            await_value("records at the remote", lambda: len(running.remote_records()), 1)
            running.release(bad)
            running.wait_for("isn't tried again", seconds=90.0)
            _await_words(tab, url, "rolled back")
            assert job.project.version() == good
            row = tab.row("demo")
            assert row.startswith(f"demo out of sync healthy rolled back {good} "), row
            assert f"Quarantined: {bad}-" in row
            _read_the_story(tab.go(f"{url}/targets/demo"), good, bad)

            job.service("web").stop(timeout=1)
            _await_words(tab, url, "Drift: container: ")
            assert tab.row("demo").startswith("demo out of sync degraded rolled back")
            assert job.service("web").status == "exited", "the policy is to report"

            sshd.cut_connections()
            far.close()
            _await_words(tab, url, "unknown unknown unknown")
            now, last = tab.row("demo").split("Last known")
            assert "Drift" not in now
            assert "degraded" not in now
            assert "out of sync, degraded, rolled back" in last
            assert tab.trouble == []
            assert tab.hosts == {f"127.0.0.1:{running.port}"}
            running.end()


def _await_words(tab: Visit, url: str, words: str) -> None:
    await_value(f"whether the page says {words!r}", lambda: words in tab.go(url).words, True, seconds=60.0)


def _read_the_story(tab: Visit, good: str, bad: str) -> None:
    """A target's page after a revert, and the record behind it."""
    assert tab.page.locator("svg.chart").count() >= 2
    assert "breach" in tab.section("Measurements")
    first, second = tab.page.locator(".timeline > li").all_inner_texts()
    assert good in first
    assert "serving" in first
    assert bad in second
    assert "quarantined" in second
    tab.page.get_by_role("link", name="record of the quarantine").click()
    assert " on demo: no_go" in tab.words
