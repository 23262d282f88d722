"""What is done about a difference that no commit asked for: the policy of its vector, and the pace of its episode."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from reconciler.core.episodes import waits_until
from reconciler.core.planner import Treatment
from reconciler.model.drift import Drift, DriftPolicy
from reconciler.model.policy import Drift as DriftSpec
from reconciler.model.stored import Episode

BY_POLICY = "left alone by policy"


def treatment(spec: DriftSpec, episodes: Mapping[str, Episode], now: datetime) -> Treatment:
    """The treatment that deploy.yaml's `drift:` asks for, while these episodes go on."""

    def of(drift: Drift) -> str | None:
        policy = spec.policy_of(drift.vector)
        if policy is DriftPolicy.IGNORE:
            return None
        if policy is DriftPolicy.ALERT:
            return BY_POLICY
        episode = episodes.get(drift.key)
        until = waits_until(episode, now)
        if episode is None or until is None:
            return ""
        return (
            f"put back {episode.repairs} times since {episode.opened_at:%Y-%m-%d %H:%M:%S} UTC, and it comes again:"
            f" the next repair waits until {until:%H:%M:%S} UTC"
        )

    return of
