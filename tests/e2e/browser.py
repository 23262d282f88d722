"""A real Chromium (Debian's) that looks at the status page, and what it says of what it saw."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast
from urllib.parse import urlsplit

from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

SHOTS = "STATUS_PAGE_SCREENSHOTS"
"""Environment variable: set, screenshots are written to docs/images/."""
IMAGES = Path(__file__).resolve().parents[2] / "docs" / "images"
DESK, PHONE = (1280, 800), (360, 740)

# Every element that has text of its own: its colour, and the colours behind it, from the nearest to the page's own.
_TEXT_COLOURS = """
() => {
  const found = [];
  for (const element of document.querySelectorAll('body *')) {
    const own = [...element.childNodes].some(n => n.nodeType === 3 && n.textContent.trim());
    const box = element.getBoundingClientRect();
    if (!own || box.width < 2 || box.height < 2 || element.closest('svg')) continue;
    const behind = [];
    for (let at = element; at; at = at.parentElement) behind.push(getComputedStyle(at).backgroundColor);
    found.push({text: element.textContent.trim().slice(0, 40), colour: getComputedStyle(element).color, behind});
  }
  return found;
}
"""
_FOCUSED = """
() => {
  const at = document.activeElement, style = getComputedStyle(at), box = at.getBoundingClientRect();
  return {href: at.getAttribute('href'), tag: at.tagName, outline: style.outlineStyle,
          width: parseFloat(style.outlineWidth), shown: box.width > 0 && box.right > 0 && box.left < innerWidth};
}
"""


@dataclass
class Visit:
    """One tab. `trouble` is whatever the browser complained of; `hosts` are those it asked for something."""

    page: Page
    trouble: list[str] = field(default_factory=list)
    hosts: set[str] = field(default_factory=set)

    def go(self, url: str) -> Visit:
        """Opens an address; it has to be answered."""
        answer = self.page.goto(url)
        assert answer is not None
        assert answer.status == 200, f"{url}: {answer.status}"
        return self

    @property
    def words(self) -> str:
        """What a reader reads, in one line."""
        return " ".join(self.page.inner_text("body").split())

    def row(self, target: str) -> str:
        """What the overview says of one target."""
        body = self.page.locator("tbody", has=self.page.get_by_role("rowheader", name=target, exact=True))
        return " ".join(body.inner_text().split())

    def section(self, heading: str) -> str:
        """What stands in a section of a target's page."""
        return " ".join(self.page.get_by_role("region", name=heading, exact=True).inner_text().split())

    def contrasts(self) -> list[tuple[float, str]]:
        """The contrast of every text with what is behind it, lowest first, and the text."""
        found = cast("list[dict[str, Any]]", self.page.evaluate(_TEXT_COLOURS))
        assert len(found) > 4
        return sorted((contrast(each["colour"], each["behind"]), each["text"]) for each in found)

    def tabbed(self) -> list[str | None]:
        """The addresses that Tab leads to, in order; each has to be seen where it is."""
        found: list[str | None] = []
        for _ in range(self.page.locator("a").count()):
            self.page.keyboard.press("Tab")
            at = cast("dict[str, Any]", self.page.evaluate(_FOCUSED))
            assert at["tag"] == "A", at
            assert at["shown"], f"the focus is on something that isn't seen: {at}"
            assert at["outline"] != "none", f"the focus isn't seen: {at}"
            assert at["width"] >= 2, f"the focus isn't seen: {at}"
            found.append(at["href"])
        return found

    def overflow(self) -> int:
        """Pixels that one would have to scroll sideways."""
        return int(self.page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth"))

    def shoot(self, name: str) -> None:
        """A screenshot for the docs, where somebody asks for them."""
        if os.environ.get(SHOTS):
            IMAGES.mkdir(parents=True, exist_ok=True)
            self.page.screenshot(path=IMAGES / f"{name}.png")


@contextmanager
def chromium() -> Iterator[Browser]:
    """Debian's Chromium, headless."""
    program = shutil.which("chromium")
    assert program, "no chromium: sh ops/setup/packages.sh"
    with sync_playwright() as playwright:
        # Root has no sandbox to be had, and a small /dev/shm is what containers have.
        browser = playwright.chromium.launch(
            executable_path=program, args=["--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu"]
        )
        try:
            yield browser
        finally:
            browser.close()


@contextmanager
def visit(browser: Browser, *, size: tuple[int, int] = DESK, scheme: Any = "light", **settings: Any) -> Iterator[Visit]:
    """A tab of its own, JavaScript off as the page needs none: what we evaluate in it is the debugger's."""
    context: BrowserContext = browser.new_context(
        viewport={"width": size[0], "height": size[1]}, color_scheme=scheme, java_script_enabled=False, **settings
    )
    try:
        page = context.new_page()
        tab = Visit(page)
        page.on("console", lambda message: tab.trouble.append(f"{message.type}: {message.text}"))
        page.on("pageerror", lambda error: tab.trouble.append(str(error)))
        page.on("requestfailed", lambda request: tab.trouble.append(f"{request.url}: {request.failure}"))
        page.on("request", lambda request: tab.hosts.add(urlsplit(request.url).netloc))
        yield tab
    finally:
        context.close()


def contrast(colour: str, behind: list[str]) -> float:
    """Source: WCAG 2.2, "contrast ratio" and "relative luminance". Colours as `rgb(…)` of getComputedStyle."""
    under = next(found[:3] for each in behind if (found := _rgba(each))[3] == 1.0)
    text = _rgba(colour)
    assert text[3] == 1.0, f"{colour} is translucent: what is behind it shines through"
    light, dark = sorted((_luminance(text[:3]), _luminance(under)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def _rgba(colour: str) -> tuple[float, float, float, float]:
    numbers = [float(found) for found in re.findall(r"[\d.]+", colour)]
    red, green, blue = numbers[:3]
    alpha = numbers[3] if len(numbers) > 3 else 1.0
    assert alpha in {0.0, 1.0}, f"{colour}: half-translucent colours aren't computed here"
    return red, green, blue, alpha


def _luminance(colour: tuple[float, ...]) -> float:
    linear = [
        part / 12.92 if (part := channel / 255) <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for channel in colour
    ]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
