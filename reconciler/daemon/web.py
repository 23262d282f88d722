"""What the daemon answers over HTTP: its metrics, how it is, and forges that say that there is something new.

Read-only but for the webhooks, which can only cause a fetch.
"""

from __future__ import annotations

import hmac
import logging
import threading
from base64 import b64decode
from binascii import Error as NotBase64
from collections.abc import Callable, Iterable
from http import HTTPStatus
from typing import Any
from wsgiref.types import StartResponse, WSGIEnvironment

from reconciler.daemon.webhooks import LARGEST_BODY, Webhooks
from reconciler.dataclass import dataclass
from reconciler.model.errors import ReconcilerError

log = logging.getLogger("reconciler.web")

THREADS = 4
"""Requests that are answered at the same time."""
CONNECTIONS = 100
"""Open connections; more wait at the door."""
IDLE = 30
"""Seconds after which a connection without a request is closed."""
PLAIN = "text/plain; charset=utf-8"


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP answer; `headers` beyond the type and the usual ones."""

    status: HTTPStatus
    body: bytes
    content_type: str = PLAIN
    headers: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Site:
    """What is behind the addresses. `metrics` gets the Accept header and gives a body and its type; `page` gets a path
    and gives an answer, None where there is no such page. `count` is told of each webhook: forge and result."""

    is_alive: Callable[[], bool]
    is_ready: Callable[[], bool]
    metrics: Callable[[str], tuple[bytes, str]]
    page: Callable[[str], Answer | None]
    webhooks: Webhooks | None = None
    token: str | None = None
    count: Callable[[str, str], None] = lambda forge, result: None


class App:
    """The WSGI application."""

    def __init__(self, site: Site) -> None:
        self._site = site

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        try:
            answer = self._answer(environ)
        except Exception:  # what goes wrong here ends one request, not the daemon
            log.exception("%s: a defect of this program", environ.get("PATH_INFO"))
            answer = _said(HTTPStatus.INTERNAL_SERVER_ERROR, "a defect of this program; its log says more")
        headers = [
            ("Content-Type", answer.content_type),
            ("Content-Length", str(len(answer.body))),
            ("Cache-Control", "no-store"),
            ("X-Content-Type-Options", "nosniff"),
            *answer.headers,
        ]
        start_response(f"{answer.status.value} {answer.status.phrase}", headers)
        return [b"" if environ["REQUEST_METHOD"] == "HEAD" else answer.body]

    def _answer(self, environ: WSGIEnvironment) -> Answer:
        path, method = environ.get("PATH_INFO") or "/", environ["REQUEST_METHOD"]
        if path.startswith("/webhooks/"):
            return self._webhook(path.removeprefix("/webhooks/"), method, environ)
        if method not in {"GET", "HEAD"}:
            return _said(HTTPStatus.METHOD_NOT_ALLOWED, "this can only be read", (("Allow", "GET, HEAD"),))
        match path:
            case "/healthz":
                return _state(self._site.is_alive(), "ok", "stalled: the loop that follows the source doesn't turn")
            case "/readyz":
                return _state(self._site.is_ready(), "ok", "no desired state is known yet; see the log")
            case "/metrics":
                body, content_type = self._site.metrics(environ.get("HTTP_ACCEPT", ""))
                return Answer(HTTPStatus.OK, body, content_type)
        if not self._may_read(environ.get("HTTP_AUTHORIZATION", "")):
            ask = (("WWW-Authenticate", 'Basic realm="reconciler", charset="UTF-8"'),)
            return _said(HTTPStatus.UNAUTHORIZED, "the token of daemon.token is asked for", ask)
        return self._site.page(path) or _said(HTTPStatus.NOT_FOUND, "there is no such page; the overview is at /")

    def _webhook(self, forge: str, method: str, environ: WSGIEnvironment) -> Answer:
        hooks = self._site.webhooks
        if hooks is None or not hooks.knows(forge):
            return _said(HTTPStatus.NOT_FOUND, "no webhook of that name is configured (daemon.webhooks)")
        if method != "POST":
            return _said(HTTPStatus.METHOD_NOT_ALLOWED, "a webhook is a POST", (("Allow", "POST"),))
        if not hooks.admits():
            self._site.count(forge, "limited")
            return _said(HTTPStatus.TOO_MANY_REQUESTS, "too many at once", (("Retry-After", "1"),))
        body = environ["wsgi.input"].read(LARGEST_BODY + 1)
        if len(body) > LARGEST_BODY:
            self._site.count(forge, "refused")
            return _said(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "too large")

        def header(name: str) -> str:
            return str(environ.get(f"HTTP_{name.upper().replace('-', '_')}", ""))

        if not hooks.is_genuine(forge, header, body):
            self._site.count(forge, "refused")
            return _said(HTTPStatus.FORBIDDEN, "the signature is wrong")
        self._site.count(forge, "accepted")
        hooks.accept()
        return _said(HTTPStatus.ACCEPTED, "the branch will be fetched")

    def _may_read(self, authorization: str) -> bool:
        """A bearer token, or any user with the token as the password (what a browser can send)."""
        if self._site.token is None:
            return True
        scheme, _, given = authorization.partition(" ")
        if scheme.lower() == "basic":
            try:
                given = b64decode(given, validate=True).decode("utf-8", "replace").partition(":")[2]
            except (NotBase64, ValueError):
                return False
        elif scheme.lower() != "bearer":
            return False
        return hmac.compare_digest(given.strip().encode(), self._site.token.encode())


class Server:
    """The application on an address, in threads of its own."""

    def __init__(self, app: App, host: str, port: int) -> None:
        """Listens from now on, also before `start`. Raises ReconcilerError where the address can't be had."""
        from waitress.server import create_server

        try:
            self._server: Any = create_server(
                app,
                host=host.strip("[]"),
                port=port,
                threads=THREADS,
                connection_limit=CONNECTIONS,
                channel_timeout=IDLE,
                max_request_body_size=LARGEST_BODY + 1,
                max_request_header_size=16 * 1024,
                ident=None,
                asyncore_use_poll=True,  # a daemon with many targets has files beyond what select can name
                clear_untrusted_proxy_headers=True,
            )
        except OSError as error:
            raise ReconcilerError(f"daemon.listen: {host}:{port}: {error.strerror or error}") from None
        self._thread = threading.Thread(target=self._server.run, name="web", daemon=True)

    @property
    def port(self) -> int:
        """Where it listens: the one that was asked for, or the one that was free (for 0)."""
        return int(self._server.effective_port)

    def start(self) -> None:
        """Begins to answer."""
        self._thread.start()

    def stop(self) -> None:
        """Answers what is being asked, then no more."""
        from waitress.wasyncore import close_all

        self._server.task_dispatcher.shutdown()
        # Its sockets are closed by the thread that waits for them, which ends when there is none any more.
        self._server.trigger.pull_trigger(lambda: close_all(self._server._map, ignore_all=True))
        self._thread.join(5.0)


def _state(good: bool, well: str, ill: str) -> Answer:
    return _said(HTTPStatus.OK, well) if good else _said(HTTPStatus.SERVICE_UNAVAILABLE, ill)


def _said(status: HTTPStatus, text: str, headers: tuple[tuple[str, str], ...] = ()) -> Answer:
    return Answer(status, f"{text}\n".encode(), headers=headers)
