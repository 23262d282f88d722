"""What one page is made of: the board at one moment, and how text from elsewhere becomes text of ours."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime

from reconciler.core.health import Health
from reconciler.cycle.status import Status, Sync
from reconciler.daemon.board import SourceView, TargetView
from reconciler.dataclass import dataclass

LONGEST = 600
"""Characters of one text on a page; the record has all of it."""


@dataclass(frozen=True, slots=True)
class Standing:
    """How one target stands. `status` is the look that says so; where nobody knows it is the last one there was, of
    `seen_at`, and `is_current` is False: nothing of it may be shown as if it were so now (P6).

    `sync` and `health` are what is known now, and `since` when. `why_unknown` says why not more.
    """

    view: TargetView
    sync: Sync
    health: Health
    since: datetime | None
    status: Status | None
    seen_at: datetime | None
    is_current: bool
    why_unknown: str
    is_outdated: bool = False
    """What is desired has changed since the look: nothing is known of how the target stands to it."""


@dataclass(frozen=True, slots=True)
class Scene:
    """`mask` hides secrets in text: what is on the board was masked before, and is again."""

    source: SourceView
    targets: Mapping[str, TargetView]
    now: datetime
    mask: Callable[[str], str]

    def text(self, text: str, *, most: int = LONGEST) -> str:
        """One line of foreign text."""
        shown = " ".join(plain(self.mask(text)).split())
        return shown if len(shown) <= most else f"{shown[: most - 1]}…"

    def standing(self, name: str) -> Standing:
        """Raises KeyError where there is no such target."""
        view, source = self.targets[name], self.source
        seen_at, last = (view.seen.at, view.seen.status) if view.seen else (None, None)
        if view.status is None or view.status.sync is Sync.UNKNOWN:
            why = view.trouble or (view.status.reason if view.status else "") or "not looked at yet"
            unknown, ill = Sync.UNKNOWN, Health.UNKNOWN
            return Standing(view, unknown, ill, view.since, last, seen_at, False, self.text(why))
        sync, since, why, is_outdated = view.sync, view.since, "", False
        if source.is_blind:
            sync, since = Sync.UNKNOWN, source.asked_at
            why = "what is desired can't be asked for; what runs there is watched"
        elif source.since is not None and seen_at is not None and seen_at < source.since:
            serving, since, is_outdated = view.status.serving or "", source.since, True
            sync = Sync.UNKNOWN if serving.startswith(f"{source.tag}-") else Sync.OUT_OF_SYNC
            why = "what is desired has changed; the pass that holds it against this target isn't over yet"
        return Standing(view, sync, view.health, since, view.status, seen_at, True, why, is_outdated)

    def standings(self) -> tuple[Standing, ...]:
        """Every target's, in the order of deploy.yaml."""
        return tuple(self.standing(name) for name in self.targets)


def plain(text: str) -> str:
    """`text` with a visible mark for each character that isn't seen, or that moves others (RTL overrides)."""
    if text.isprintable():
        return text
    return "".join(character if character.isprintable() or character in "\n\t" else "�" for character in text)
