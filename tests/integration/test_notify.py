"""Notifications over real HTTP: Apprise's `json://` to one who takes them, refuses them, hangs, or isn't there."""

from __future__ import annotations

import io
import json
import logging
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from pydantic import SecretStr

from reconciler.adapters.notify.messenger import AppriseMessenger
from reconciler.core.notices import Sighting
from reconciler.daemon import courier
from reconciler.daemon.notify import Notifier
from reconciler.model.notice import Notice
from reconciler.model.notify import Event
from reconciler.model.stored import Past, Phase, Quarantine, TargetState
from reconciler.ports.telling import Sent
from reconciler.telemetry.log import RedactorHolder, configure
from reconciler.telemetry.redact import Redactor
from tests.world.network import free_port
from tests.world.sink import Sink, sink

CANARY = "canary-8e1f0c77"
ENOUGH = 60.0
"""Seconds that a notifier may take to end: a process of Apprise's starts slowly on a busy machine."""
TOKEN = "tok-3f9a2b61c0"
NOW = datetime.now(UTC)
A, B = "20260122_101500-aaaaaaaa", "20260122_111500-bbbbbbbb"


@pytest.fixture
def service() -> Iterator[Sink]:
    with sink() as there:
        yield there


@pytest.fixture
def said() -> Iterator[io.StringIO]:
    """What is logged, at debug, by a process whose env values and URL are known to its redactor."""
    stream, holder = io.StringIO(), RedactorHolder()
    holder.set_redactor(Redactor({"DB_PASSWORD": SecretStr(CANARY)}))
    before = logging.getLogger().handlers[:], logging.getLogger().level
    configure("debug", "text", stream, holder)
    yield stream
    logging.getLogger().handlers[:] = before[0]
    logging.getLogger().setLevel(before[1])


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """What can't be sent is tried again in a moment."""
    monkeypatch.setattr(courier, "FIRST_PAUSE", 0.2)


def url(there: Sink | int) -> str:
    port = there if isinstance(there, int) else there.port
    return f"json://user:{TOKEN}@127.0.0.1:{port}/{TOKEN}"


def notifier(*urls: str, file: Path | None = None, counted: list[tuple[str, bool]] | None = None) -> Notifier:
    masked = Redactor({"DB_PASSWORD": SecretStr(CANARY)})
    return Notifier(
        "observer",
        [(f"urls[{at}]", AppriseMessenger(each)) for at, each in enumerate(urls)],
        file=file,
        events=list(Event),
        grace=120.0,
        mask=masked.text,
        count=lambda event, ok: counted.append((event, ok)) if counted is not None else None,
    )


def deployed(release: str, message: str = "") -> Sighting:
    """A pass that found, or made, this release live."""
    past = Past(tag=release[:15], switched_at=NOW, verified_at=NOW)
    state = TargetState(
        app="observer", project="observer", serving=release, phase=Phase.STABILIZING, releases={release: past}
    )
    return Sighting("observer", "prod", NOW, "deployed", message, release[:15], release, state, record="x/deploy_r.md")


def notice(title: str = "observer on prod: x", at: datetime = NOW) -> Notice:
    return Notice(event=Event.DEPLOYED, at=at, title=title, body="body")


def test_a_notice_arrives_with_its_title_body_and_kind(service: Sink) -> None:
    sent = AppriseMessenger(url(service)).send([notice("first"), notice("second")], timeout=ENOUGH)

    assert (sent.count, sent.why) == (2, "")
    assert service.titles() == ["first", "second"]
    assert service.got[0].body["message"] == "body"
    assert service.got[0].body["type"] == "success"


def test_a_service_that_refuses_says_why_without_a_part_of_its_url(service: Sink) -> None:
    service.status = 500

    sent = AppriseMessenger(url(service)).send([notice()], timeout=ENOUGH)

    assert sent.count == 0
    assert not sent.is_final
    assert "500" in sent.why
    assert TOKEN not in sent.why
    assert str(service.port) not in sent.why


def test_a_service_that_is_down_says_so(caplog: pytest.LogCaptureFixture) -> None:
    sent = AppriseMessenger(url(free_port())).send([notice()], timeout=ENOUGH)

    assert (sent.count, sent.is_final) == (0, False)
    assert "onnection" in sent.why
    assert "127.0.0.1" not in sent.why, "Apprise names the host, which is a token in many a URL"


def test_a_service_that_hangs_is_left_in_time(service: Sink) -> None:
    service.hangs = True
    began = time.monotonic()

    sent = AppriseMessenger(f"{url(service)}?rto=60").send([notice()], timeout=3)

    assert time.monotonic() - began < 6
    assert sent.why == "no answer within 3 s"


def test_what_is_no_url_is_final_and_not_shown() -> None:
    messenger = AppriseMessenger(f"nonsense://{TOKEN}")

    sent = messenger.send([notice()], timeout=ENOUGH)

    assert (sent.count, sent.is_final) == (0, True)
    assert TOKEN not in sent.why
    assert messenger.service == "nonsense"
    assert AppriseMessenger(TOKEN).service == "?"


def test_nothing_secret_is_logged_or_sent(service: Sink, said: io.StringIO, tmp_path: Path) -> None:
    """At debug, with a service that fails first: no part of its URL, and no env value that a message quotes."""
    service.status = 500
    counted: list[tuple[str, bool]] = []
    teller = notifier(url(service), file=tmp_path / "notices.json", counted=counted)
    teller.start()
    teller.saw(deployed(A))
    blamed = Quarantine(tag=A[:15], at=NOW, reason=f"web said {CANARY}", run="r2")
    state = TargetState(app="observer", project="observer", serving=B, quarantine={A: blamed})
    teller.saw(Sighting("observer", "prod", NOW, "reverted", f"log says {CANARY}", A[:15], A, state))
    service.wait_until_asked(2)
    service.status = 200
    service.wait_for(3)
    teller.stop(ENOUGH)

    log, kept = said.getvalue(), (tmp_path / "notices.json").read_text()
    sent = json.dumps([each.body for each in service.got])
    assert "can't be sent, and is tried again: " in log
    assert "500" in log
    assert "log says ***" in sent
    assert "web said ***" in sent
    assert [CANARY in text for text in (log, kept, sent)] == [False] * 3
    assert [TOKEN in text for text in (log, kept)] == [False] * 2
    assert ("deployed", False) in counted
    assert counted[-3:] == [("deployed", True), ("reverted", True), ("quarantined", True)]


def test_what_hands_over_never_waits_and_one_that_hangs_holds_up_no_other(service: Sink) -> None:
    with sink() as stuck:
        stuck.hangs = True
        teller = notifier(url(stuck), url(service))
        teller.start()
        began = time.monotonic()
        teller.saw(deployed(A))
        assert time.monotonic() - began < 0.5
        service.wait_for(1)
        began = time.monotonic()
        teller.stop(timeout=1.0)
        assert time.monotonic() - began < 10.0


def test_what_could_not_be_sent_is_sent_by_the_next_daemon_and_nothing_twice(tmp_path: Path) -> None:
    file, port = tmp_path / "state" / "notices.json", free_port()
    first = notifier(url(port), file=file)
    first.start()
    first.saw(deployed(A))
    first.stop(ENOUGH)
    assert file.stat().st_mode & 0o777 == 0o600

    with sink(port) as there:
        second = notifier(url(port), file=file)
        second.start()
        second.saw(deployed(A))
        there.wait_for(1)
        second.saw(deployed(B))
        there.wait_for(2)
        second.stop(ENOUGH)
        third = notifier(url(port), file=file)
        third.start()
        third.saw(deployed(B))
        third.stop(ENOUGH)

        assert there.titles() == [f"observer on prod: {name} is live and verified" for name in (A, B)]


def test_a_broken_file_at_worst_repeats(tmp_path: Path, service: Sink) -> None:
    file = tmp_path / "notices.json"
    file.write_text("{")
    teller = notifier(url(service), file=file)
    teller.saw(deployed(A))
    teller.at_once(ENOUGH)

    assert len(service.got) == 1


def test_a_disk_that_is_full_or_gone_ends_nothing(service: Sink) -> None:
    teller = notifier(url(service), file=Path("/proc/nowhere/notices.json"))
    teller.saw(deployed(A))
    teller.at_once(ENOUGH)

    assert len(service.got) == 1


def test_what_is_too_old_is_given_up(service: Sink) -> None:
    service.status = 500
    messenger = AppriseMessenger(url(service))
    sender: courier.Courier[Notice] = courier.Courier(
        "x", lambda items, timeout: messenger.send(items, timeout=timeout)
    )
    sender.put([notice(at=NOW - timedelta(days=2)), notice()])

    sender.attempt(ENOUGH)

    assert sender.waiting() == (notice(),)


def test_more_than_can_be_kept_drops_the_oldest() -> None:
    sender: courier.Courier[Notice] = courier.Courier("x", lambda items, timeout: Sent(0, "no"))
    sender.put([notice(str(number)) for number in range(courier.MOST_WAITING + 3)])

    assert sender.waiting()[0].title == "3"
    assert len(sender.waiting()) == courier.MOST_WAITING


def test_a_trouble_is_told_when_its_grace_is_over_without_anybody_asking(service: Sink) -> None:
    """No further event comes: the notifier's own clock tells it. One event that isn't wanted stays untold."""
    teller = Notifier(
        "observer",
        [("x", AppriseMessenger(url(service)))],
        file=None,
        events=[Event.UNREACHABLE, Event.RECOVERED],
        grace=0.3,
        mask=str,
    )
    teller.start()
    teller.pushed(ok=False, why="the remote is away")
    teller.connection("prod", up=False, why="connection refused")
    service.wait_for(1)
    teller.pushed(ok=True, why="")
    teller.saw(deployed(A))
    service.wait_for(2)
    teller.stop(ENOUGH)

    assert service.titles() == ["observer on prod: nothing is known of it", "observer on prod: is in reach again"]
