"""What must hold of a target at every step, whoever acts there (DESIGN, "Promises"): judged from files and engine."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from reconciler.core import history
from reconciler.model.measure import VerdictKind
from reconciler.model.record import RecordKind, RunRecord
from reconciler.model.stored import TargetState
from reconciler.model.watchdog import Ended, Mode
from tests.fakes.target import Lease, Target

WATCHDOGS = frozenset({"claim", "back", "gone", "up alone", "outcome"})
"""What the watchdog does."""
ON_RECORD = frozenset({"up", "start", "stop", "remove", "relink"})
"""Scripts that change what runs or where a link points: none of them without an open entry in the state (P11)."""


class Judge:
    """Watches every change of a target before it is made, and says in `violations` what a promise forbids."""

    def __init__(self, target: Target) -> None:
        self.target = target
        self.violations: list[str] = []
        self.opened: set[str] = set()
        self.confirmed: set[str] = set()
        self.left_alone: set[str] = set()
        self._user_data = dict(target.user_data)
        self._read: tuple[bytes | None, TargetState | None] = (None, None)
        target.watchers.append(self.before)

    @property
    def state(self) -> TargetState | None:
        """What the state file says."""
        data = self.target.state
        if self._read[0] is not data:
            self._read = (data, TargetState.model_validate_json(data) if data else None)
        return self._read[1]

    def before(self, name: str, generation: int, words: Sequence[Any]) -> None:
        """A change is about to be made by whoever was given this generation."""
        self.look()
        target, state = self.target, self.state
        self._must(
            generation == target.generation, f"P7: {name} of {generation}, and {target.generation} was given out"
        )
        goes_back = target.reverting is not None and name not in WATCHDOGS
        self._must(not goes_back, f"P7: {name} of {generation} while the target goes back by itself")
        match name:
            case "claim":
                self._claimed(words[0])
            case "confirm" if target.lease is not None and target.lease.about["lease"] == words[0]:
                self.confirmed.add(words[0])
            case "commit":
                self._committed(state, words[0], words[1], generation)
            case "outcome":
                self.left_alone.add(words[0].about["lease"])
            case "acknowledge" if target.outcome is not None and state is not None:
                self._acknowledged(state, target.outcome.about)
            case "relink" if state is not None:
                self._must(words[0] not in state.quarantine, f"P5: linked to {words[0]}: quarantined")
            case "back":
                self._must(state is None or words[0] not in state.quarantine, f"P5: back to {words[0]}: quarantined")
        if name in {"up", "up alone"} and state is not None:
            self._must(target.current not in state.quarantine, f"P5: {target.current} is quarantined, and brought up")
        if name in ON_RECORD:
            mine = state is not None and state.open is not None and state.open.generation == str(generation)
            self._must(mine, f"P11: {name} {words} off the record")
        if name in {"claim", "outcome", "arm"} and target.outcome is not None:
            self._must(target.outcome.about["lease"] in target.records, "P11: what the target did alone is forgotten")

    def _claimed(self, lease: Lease) -> None:
        is_late = lease.boot != self.target.boot or self.target.now >= lease.until
        self._must(is_late, "P8: the watchdog goes back though the pass gives signs of life")
        told = self.target.records.get(lease.about["run"])
        is_good = told is not None and RunRecord.model_validate_json(told).verdict == VerdictKind.GO
        serves = self.state is not None and self.state.serving == lease.about["entering"]
        must_stay = lease.about["mode"] == Mode.SWITCH and is_good and serves
        self._must(not must_stay, "P8: the watchdog leaves a release that its pass has found good")
        was_confirmed = lease.about["mode"] == Mode.SWITCH and lease.about["lease"] in self.confirmed
        self._must(not was_confirmed, "P8: confirmed and claimed")

    def _acknowledged(self, state: TargetState, about: Mapping[str, str]) -> None:
        """What the target did alone is about to be forgotten there."""
        entering = about["entering"]
        self._must(about["lease"] in self.target.records, "P11: acknowledged and not on record")
        is_blamed = about["result"] != Ended.KEPT and bool(about.get("sick")) and not about.get("stuck")
        is_tried_again = is_blamed and entering in state.releases and entering not in state.quarantine
        self._must(not is_tried_again, f"P5: {entering} was left alone as ill, and would be tried again")
        is_left = about["result"] == Ended.KEPT or state.serving == about["back"]
        self._must(is_left, f"P2: the target left {entering} alone, and the state says that {state.serving} serves")

    def _committed(self, before: TargetState | None, after: TargetState, entering: str | None, generation: int) -> None:
        if entering is not None:
            self._must(entering not in after.quarantine, f"P5: {entering} is quarantined, and switched to")
            mine = after.open is not None and after.open.generation == str(generation)
            self._must(mine, f"P11: {entering} is switched to off the record")
        if after.open is not None:
            self.opened.add(after.open.run)
        closed = before.open if before else None
        if closed is not None and (after.open is None or after.open.run != closed.run):
            is_told = closed.run in self.target.records
            goes_on = closed.kind == RecordKind.HEAL and bool(after.episodes)
            self._must(is_told or goes_on, f"P11: {closed.run} is closed without a record")
            if not is_told:
                self.opened.discard(closed.run)

    def look(self) -> None:
        """What must hold between any two steps."""
        target, state = self.target, self.state
        self._must(target.user_data == self._user_data, "P10: user data was touched")
        good = history.last_good(state) if state else None
        if state is not None and good is not None:  # else the link still names what breached: nothing is good here
            for release in {target.last_good or good, good}:
                self._restorable(release, state)

    def saved_itself(self) -> None:
        """What must hold when the target was left alone for long, whoever died there."""
        target, state = self.target, self.state
        died = state.open if state is not None else None
        if state is None or died is None or state.phase is not None or state.serving != died.entering:
            return  # nothing was entered, or a pass went back already
        back = history.way_back(state, leaving=str(state.serving), before=state.previous)
        if back is None or f"{died.run}_alone" in self.confirmed:
            return
        self._must(target.outcome is not None, f"P8: {died.run} died after its switch, and the target did nothing")

    def at_rest(self) -> None:
        """What must hold when no pass is at work and nothing waits to be recovered."""
        target, state = self.target, self.state
        if state is None:
            return
        self._must(state.open is None and target.outcome is None, "P2: something is left open")
        self._must(state.serving == target.current, f"{state.serving} serves in the state, {target.current} is linked")
        missing = sorted((self.opened | self.left_alone) - target.records.keys())
        self._must(not missing, f"P11: no record of {missing}")

    def _restorable(self, release: str, state: TargetState) -> None:
        bundle, past = self.target.releases.get(release), state.releases.get(release)
        self._must(past is not None and past.verified_at is not None, f"P4: last good {release} was never verified")
        self._must(bundle is not None, f"P3: last good {release} is gone")
        if bundle is not None:
            lost = bundle.manifest.image_ids() - self.target.dock.images
            self._must(not lost, f"P3: images of last good {release} are gone")

    def _must(self, holds: bool, otherwise: str) -> None:
        if not holds:
            self.violations.append(otherwise)
