"""Webhooks and the rest of the web address, over real sockets: whoever knows no secret can cause nothing."""

from __future__ import annotations

import hashlib
import hmac
import http.client
import threading
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from http import HTTPStatus

import pytest

from reconciler.daemon.web import Answer, App, Server, Site
from reconciler.daemon.webhooks import BURST, LARGEST_BODY, Webhooks
from reconciler.model.errors import ReconcilerError

SECRET, BODY = "hook-canary-4711", b'{"ref": "refs/heads/main"}'


@dataclass
class Office:
    """A site on a port of its own; `woken` are the fetches that webhooks caused, in seconds from when they came."""

    woken: list[float] = field(default_factory=list)
    counted: Counter[tuple[str, str]] = field(default_factory=Counter)
    alive: bool = True
    server: Server | None = None

    def ask(
        self, method: str, path: str, body: bytes | None = None, headers: dict[str, str] | None = None
    ) -> tuple[int, str]:
        assert self.server is not None
        connection = http.client.HTTPConnection("127.0.0.1", self.server.port, timeout=10)
        try:
            connection.request(method, path, body, headers or {})
            answer = connection.getresponse()
            return answer.status, answer.read().decode()
        finally:
            connection.close()


@pytest.fixture
def office() -> Iterator[Office]:
    own = Office()

    def count(forge: str, result: str) -> None:
        own.counted[forge, result] += 1

    site = Site(
        is_alive=lambda: own.alive,
        is_ready=lambda: False,
        metrics=lambda accept: (b"# metrics\n", "text/plain"),
        page=lambda path: Answer(HTTPStatus.OK, b"page") if path == "/" else None,
        webhooks=Webhooks(dict.fromkeys(("github", "gitlab", "gitea"), SECRET), own.woken.append),
        token="page-token",
        count=count,
    )
    own.server = Server(App(site), "127.0.0.1", 0)
    own.server.start()
    yield own
    own.server.stop()


def signed(forge: str, body: bytes = BODY, secret: str = SECRET) -> dict[str, str]:
    """The header by which the forge shows that it knows the secret."""
    digest = hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
    return {
        "github": {"X-Hub-Signature-256": f"sha256={digest}"},
        "gitea": {"X-Gitea-Signature": digest},
        "gitlab": {"X-Gitlab-Token": secret},
    }[forge]


@pytest.mark.parametrize("forge", ["github", "gitlab", "gitea"])
def test_a_forge_that_knows_the_secret_causes_a_fetch(office: Office, forge: str) -> None:
    assert office.ask("POST", f"/webhooks/{forge}", BODY, signed(forge))[0] == HTTPStatus.ACCEPTED
    assert office.woken == [0.0]
    assert office.counted == {(forge, "accepted"): 1}


@pytest.mark.parametrize("forge", ["github", "gitlab", "gitea"])
@pytest.mark.parametrize(
    "wrong",
    ["no header", "another secret", "another body", "empty", "of another forge", "not ASCII", "without its prefix"],
)
def test_whoever_does_not_causes_nothing(office: Office, forge: str, wrong: str) -> None:
    headers, body = signed(forge), BODY
    name = next(iter(headers))
    match wrong:
        case "no header":
            headers = {}
        case "another secret":
            headers = signed(forge, secret="hook-canary-4712")
        case "another body":
            body = BODY + b" "
            headers = {} if forge == "gitlab" else headers  # its token says nothing of the body, which isn't used
        case "empty":
            headers = {name: ""}
        case "of another forge":
            headers = signed("gitlab" if forge != "gitlab" else "github")
        case "not ASCII":
            headers = {name: "ÿ" * 20}
        case _:
            headers = {name: headers[name].removeprefix("sha256=")[:-1]}
    assert office.ask("POST", f"/webhooks/{forge}", body, headers)[0] == HTTPStatus.FORBIDDEN
    assert office.woken == []


def test_a_forge_that_is_not_configured_is_no_page() -> None:
    site = Site(lambda: True, lambda: True, lambda accept: (b"", ""), lambda path: None)
    server = Server(App(site), "127.0.0.1", 0)
    server.start()
    try:
        own = Office(server=server)
        assert own.ask("POST", "/webhooks/github", BODY, signed("github"))[0] == HTTPStatus.NOT_FOUND
    finally:
        server.stop()


def test_a_body_that_is_too_large_is_not_read(office: Office) -> None:
    body = b"x" * (LARGEST_BODY + 2)
    try:
        status = office.ask("POST", "/webhooks/github", body, signed("github", body))[0]
    except ConnectionError:  # hung up on while it still talked
        status = HTTPStatus.REQUEST_ENTITY_TOO_LARGE
    assert status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE
    assert office.woken == []


def test_many_genuine_ones_cause_few_fetches(office: Office) -> None:
    """A forge that repeats itself: one fetch now, one afterwards, not twenty."""
    for _ in range(20):
        assert office.ask("POST", "/webhooks/gitlab", BODY, signed("gitlab"))[0] == HTTPStatus.ACCEPTED
    assert len([seconds for seconds in office.woken if seconds <= 2.0]) <= 2


def test_a_flood_with_wrong_signatures_costs_no_fetch_and_no_answer_elsewhere(office: Office) -> None:
    """10,000 requests over 4 connections; meanwhile the daemon says that it lives."""
    assert office.server is not None
    port, statuses = office.server.port, Counter[int]()
    lock = threading.Lock()

    def flood() -> None:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        for _ in range(2500):
            connection.request("POST", "/webhooks/github", BODY, signed("github", secret="wrong"))
            answer = connection.getresponse()
            answer.read()
            with lock:
                statuses[answer.status] += 1
        connection.close()

    threads = [threading.Thread(target=flood) for _ in range(4)]
    for thread in threads:
        thread.start()
    lived = 0
    while any(thread.is_alive() for thread in threads):
        lived += office.ask("GET", "/healthz")[0] == HTTPStatus.OK
    assert sum(statuses.values()) == 10_000
    assert set(statuses) == {HTTPStatus.FORBIDDEN, HTTPStatus.TOO_MANY_REQUESTS}
    assert statuses[HTTPStatus.TOO_MANY_REQUESTS] > 10_000 - 10 * BURST, "most aren't even looked at"
    assert lived > 0
    assert office.woken == []


def test_reading_asks_for_the_token_and_scraping_does_not(office: Office) -> None:
    assert office.ask("GET", "/")[0] == HTTPStatus.UNAUTHORIZED
    assert office.ask("GET", "/", headers={"Authorization": "Bearer page-token"}) == (200, "page")
    basic = {"Authorization": "Basic YW55Ym9keTpwYWdlLXRva2Vu"}
    assert office.ask("GET", "/", headers=basic) == (200, "page")
    for wrong in ("Bearer page-tokem", "Basic !", "Basic YW55Ym9keTp3cm9uZw==", "page-token", ""):
        assert office.ask("GET", "/", headers={"Authorization": wrong})[0] == HTTPStatus.UNAUTHORIZED
    assert office.ask("GET", "/metrics") == (200, "# metrics\n")
    assert office.ask("HEAD", "/metrics") == (200, "")
    assert office.ask("DELETE", "/")[0] == HTTPStatus.METHOD_NOT_ALLOWED
    assert office.ask("GET", "/readyz")[0] == HTTPStatus.SERVICE_UNAVAILABLE
    office.alive = False
    assert office.ask("GET", "/healthz")[0] == HTTPStatus.SERVICE_UNAVAILABLE


def test_an_address_that_is_taken_is_said_in_one_line(office: Office) -> None:
    assert office.server is not None
    with pytest.raises(ReconcilerError, match=r"^daemon.listen: 127.0.0.1:\d+: Address already in use$"):
        Server(App(Site(bool, bool, lambda accept: (b"", ""), lambda path: None)), "127.0.0.1", office.server.port)
