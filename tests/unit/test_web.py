"""The daemon's web side without and with a socket: who may read, what is refused, what an answer carries."""

from __future__ import annotations

import http.client
import io
import json
from base64 import b64encode
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

import pytest

from reconciler.daemon.pages.site import Pages
from reconciler.daemon.web import App, Server, Site
from reconciler.wiring.daemon import _records_of
from tests.fakes.boards import FakeShelf, scene_of

TOKEN = "t0ken-canary"


@dataclass
class Answered:
    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""


def site(token: str | None = None) -> Site:
    pages = Pages(scene_of("stable", "unreachable").board, FakeShelf(), lambda text: text)
    return Site(
        is_alive=lambda: True,
        is_ready=lambda: True,
        metrics=lambda _accept: (b"", "text/plain"),
        page=pages.answer,
        token=token,
    )


def ask(path: str, *, method: str = "GET", token: str | None = None, authorization: str = "") -> Answered:
    """One request, as waitress hands it over."""
    answered = Answered()

    def start(status: str, headers: list[tuple[str, str]], _info: object = None) -> None:
        answered.status = int(status.split()[0])
        answered.headers = dict(headers)

    path, _, query = path.partition("?")
    environ = {
        "REQUEST_METHOD": method,
        "PATH_INFO": path.encode().decode("latin-1"),
        "QUERY_STRING": query,
        "HTTP_AUTHORIZATION": authorization,
        "wsgi.input": io.BytesIO(),
    }
    answered.body = b"".join(App(site(token))(environ, start))  # type: ignore[arg-type]
    return answered


def basic(user: str, password: str) -> str:
    return "Basic " + b64encode(f"{user}:{password}".encode()).decode()


PAGES = ("/", "/targets/stable", "/targets/nobody", "/api/status", "/style.css", "/icon.svg", "/records/x")


@pytest.mark.parametrize("path", PAGES)
def test_with_a_token_nothing_is_shown_without_it(path: str) -> None:
    """A proxy that asks for a login passes the token on as a header; a browser asks its user for it."""
    for authorization in ("", "Bearer", "Bearer wrong", f"Bearer {TOKEN}x", basic("a", "wrong"), "Basic %%%", TOKEN):
        refused = ask(path, token=TOKEN, authorization=authorization)
        assert refused.status == 401, authorization
        assert b"stable" not in refused.body
        assert "WWW-Authenticate" in refused.headers
    open_to_all = ask(path)
    for authorization in (f"Bearer {TOKEN}", f"bearer {TOKEN}", basic("anybody", TOKEN)):
        assert ask(path, token=TOKEN, authorization=authorization).status == open_to_all.status


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/metrics"])
def test_what_machines_ask_for_needs_no_token(path: str) -> None:
    assert ask(path, token=TOKEN).status == 200


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE"])
def test_nothing_can_be_changed(method: str) -> None:
    for path in PAGES:
        refused = ask(path, method=method)
        assert (refused.status, refused.headers["Allow"]) == (405, "GET, HEAD")


@pytest.mark.parametrize("path", PAGES)
def test_head_is_get_without_a_body(path: str) -> None:
    full, head = ask(path), ask(path, method="HEAD")
    assert (head.status, head.body) == (full.status, b"")
    assert {**head.headers, "Content-Length": ""} == {**full.headers, "Content-Length": ""}


def test_pages_are_never_kept() -> None:
    for path in ("/", "/targets/stable", "/api/status"):
        headers = ask(path).headers
        assert headers["Cache-Control"] == "no-store"
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Content-Security-Policy"].startswith("default-src 'none'")


def test_a_path_that_is_not_utf_8_is_only_not_found() -> None:
    assert ask("/targets/\udcff".encode("utf-8", "surrogateescape").decode("latin-1")).status == 404
    assert ask("/targets/é").status == 404


@pytest.fixture
def served() -> Iterator[http.client.HTTPConnection]:
    server = Server(App(site(TOKEN)), "127.0.0.1", 0)
    server.start()
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
    yield connection
    connection.close()
    server.stop()


def test_over_a_real_socket(served: http.client.HTTPConnection) -> None:
    """Pages, HEAD on a connection that is used again, JSON, and no word about who serves it."""
    headers = {"Authorization": f"Bearer {TOKEN}"}
    served.request("HEAD", "/", headers=headers)
    head = served.getresponse()
    assert (head.status, head.read()) == (200, b"")
    assert head.getheader("Server") is None
    served.request("GET", "/targets/%73table", headers=headers)
    page = served.getresponse()
    assert page.status == 200
    assert b"<h1>stable</h1>" in page.read()
    served.request("GET", "/api/status", headers=headers)
    told = json.loads(served.getresponse().read())
    assert [each["sync"] for each in told["targets"]] == ["in_sync", "unknown"]
    served.request("GET", "/")
    refused = served.getresponse()
    assert (refused.status, b"stable" in refused.read()) == (401, False)


def test_it_ends_although_a_browser_keeps_its_connection(caplog: pytest.LogCaptureFixture) -> None:
    server = Server(App(site()), "127.0.0.1", 0)
    server.start()
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
    connection.request("GET", "/")
    assert connection.getresponse().read()
    server.stop()
    assert not server._thread.is_alive()
    assert connection.sock.recv(1) == b"", "the connection is over"
    connection.close()
    assert caplog.messages == []


def test_records_of_a_commit_that_leads_out_of_itself_are_not_read(tmp_path: Path) -> None:
    tree, outside = tmp_path / "tree", tmp_path / "outside"
    (tree / "ops").mkdir(parents=True)
    outside.mkdir()
    into = PurePosixPath("ops/run_records")
    assert _records_of(tree, into) == [tree / into]
    (tree / "ops/run_records").symlink_to(outside)
    assert _records_of(tree, into) == []
