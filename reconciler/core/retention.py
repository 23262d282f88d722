"""Which releases a target may forget."""

from __future__ import annotations

from collections.abc import Sequence

from reconciler.core.history import protected
from reconciler.model.stored import TargetState


def prunable(state: TargetState, present: Sequence[str], *, keep: int) -> tuple[str, ...]:
    """Releases on the target beyond the newest `keep` (by their last switch), never one that is protected.

    A release on disk that was never switched to (a pass died before its switch) counts as the oldest.
    """
    safe = protected(state)

    def age(release: str) -> tuple[float, str]:
        past = state.releases.get(release)
        return (past.switched_at.timestamp() if past else 0.0, release)

    newest_first = sorted(present, key=age, reverse=True)
    return tuple(release for release in newest_first[keep:] if release not in safe)
