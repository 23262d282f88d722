"""Which address is which page."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Final
from urllib.parse import parse_qs

from reconciler.daemon.board import Board
from reconciler.daemon.pages.as_json import as_json
from reconciler.daemon.pages.overview import desired, overview
from reconciler.daemon.pages.render import ICON, STYLE, Renderer
from reconciler.daemon.pages.scene import Scene, plain
from reconciler.daemon.pages.target import Shelf, target_page
from reconciler.daemon.pages.words import moment
from reconciler.daemon.web import Answer

REFRESH = 5
"""Seconds after which a page asks for itself again."""
HTML: Final = "text/html; charset=utf-8"
# Source: Content Security Policy Level 3; WHATWG HTML, "frame-ancestors" and "base-uri".
HEADERS: Final = (
    (
        "Content-Security-Policy",
        "default-src 'none'; style-src 'self'; img-src 'self'; base-uri 'none'; form-action 'none';"
        " frame-ancestors 'none'",
    ),
    ("Referrer-Policy", "no-referrer"),
    ("X-Frame-Options", "DENY"),
    ("Cross-Origin-Resource-Policy", "same-origin"),
)
_STATIC: Final = {f"/{STYLE}": "text/css; charset=utf-8", f"/{ICON}": "image/svg+xml"}


class Pages:
    """Thread-safe, and read-only. `mask` hides secrets in text; `clock` gives the time with its zone."""

    def __init__(
        self,
        board: Board,
        shelf: Shelf,
        mask: Callable[[str], str],
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._board = board
        self._shelf = shelf
        self._mask = mask
        self._clock = clock
        self._renderer = Renderer()

    def answer(self, path: str, query: str = "") -> Answer:
        """The page at `path`; for an address that there isn't, a page that says so. `query` may say `refresh=off`."""
        if path in _STATIC:  # its address holds a digest of it
            data = self._renderer.static[path.removeprefix("/")]
            return Answer(HTTPStatus.OK, data, _STATIC[path], HEADERS, cache="private, max-age=86400, immutable")
        scene = Scene(self._board.source, self._board.targets(), self._clock(), self._mask)
        if path == "/api/status":
            return Answer(HTTPStatus.OK, as_json(scene), "application/json", HEADERS)
        paused = parse_qs(query).get("refresh") == ["off"]
        kind, _, name = path.removeprefix("/").partition("/")
        match kind:
            case "" if path == "/":
                return self._page(scene, path, "overview", paused=paused, page=overview(scene))
            case "targets" if name in scene.targets:
                page = target_page(scene, name, self._shelf)
                return self._page(scene, page.row.href, "target", paused=paused, page=page)
            case "records" if name:
                text = self._shelf.text(name)
                if text is not None:
                    shown = plain(self._mask(text))
                    return self._page(scene, path, "record", paused=paused, refreshes=False, name=name, text=shown)
        return self._page(scene, path, "missing", HTTPStatus.NOT_FOUND, paused=paused, refreshes=False)

    def _page(
        self,
        scene: Scene,
        here: str,
        template: str,
        status: HTTPStatus = HTTPStatus.OK,
        *,
        paused: bool,
        refreshes: bool = True,
        **given: object,
    ) -> Answer:
        body = self._renderer.html(
            template,
            here=here,
            desired=desired(scene),
            made=moment(scene.now, scene.now),
            refresh=REFRESH if refreshes and not paused else 0,
            refreshes=refreshes,
            q="?refresh=off" if paused else "",
            **given,
        )
        return Answer(status, body, HTML, HEADERS)
