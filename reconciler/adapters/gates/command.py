"""A command that measures: on the target as its user, or on the controller as whoever runs the reconciler."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path

from reconciler.adapters.gates.base import Reporter, is_only_slow
from reconciler.adapters.gates.names import Names, limits_of
from reconciler.model.errors import TargetTimeout
from reconciler.model.measure import GateKind, Measurement, Outcome
from reconciler.model.measured_gates import CommandGate, against_limits, is_number
from reconciler.ports import Clock, Completed, Transport

_CANT_RUN = frozenset({126, 127})
"""What a shell ends with for what isn't executable, or isn't there."""


class _NotRun(Exception):
    """It couldn't be started, or didn't end. The text says which."""


class CommandCheck:
    """Runs to its end, with nothing on its standard input. Its exit status is judged, or the number that it prints.

    Its own trouble is an error: only exit status 1, or a number over its limit, speaks against the app.
    """

    kind = GateKind.COMMANDS

    def __init__(
        self,
        spec: CommandGate,
        transport: Transport,
        names: Names,
        *,
        directory: Path,
        clock: Clock,
        redact: Callable[[str], str],
    ) -> None:
        self.name = spec.name
        self.limits = limits_of(spec, self.kind, names.subject, delay=spec.initial_delay)
        self._spec = spec
        self._transport = transport
        self._names = names
        self._directory = directory
        self._clock = clock
        judged = "number printed" if spec.prints_a_number else "exit status"
        query = f"{judged} by {' '.join(spec.run)} on the {spec.from_}"
        self._report = Reporter(spec.name, self.kind, query, clock, redact)

    def measure(self) -> Measurement:
        """`value` is the number printed, or the exit status. Raises TargetUnreachable."""
        spec, report = self._spec, self._report
        program = spec.run[0]
        try:
            done = self._on_target() if spec.from_ == "target" else self._here()
        except _NotRun as error:
            return report.say(Outcome.ERROR, f"{program}: {error}")
        said = report.quote(done.stderr.decode("utf-8", "replace"))
        if spec.prints_a_number and done.status == 0:
            return self._number(program, done.stdout.decode("utf-8", "replace"))
        said = said or ("" if spec.prints_a_number else report.quote(done.stdout.decode("utf-8", "replace")))
        text = f"{program} ended with {done.status}" + (f": {said}" if said else "")
        if spec.prints_a_number or done.status in _CANT_RUN or done.status > 1:
            return report.say(Outcome.ERROR, text, value=done.status)
        return report.say(Outcome.BREACH if done.status else Outcome.PASS, text, value=done.status)

    def _number(self, program: str, printed: str) -> Measurement:
        report = self._report
        text = printed.strip()
        if not text:
            return report.say(Outcome.NO_DATA, f"{program} printed nothing")
        try:
            number = float(text)
        except ValueError:
            return report.say(Outcome.ERROR, f"{program} printed no number: {report.quote(text)}")
        if not is_number(number):
            return report.say(Outcome.NO_DATA, f"{program} printed {text}")
        if broken := against_limits(number, self._spec.min, self._spec.max):
            return report.say(Outcome.BREACH, f"{program} printed {number:g}, {broken}", value=number)
        return report.say(Outcome.PASS, f"{program} printed {number:g}", value=number)

    def _told(self) -> Mapping[str, str]:
        names = self._names
        since = (self._clock.now() - names.subject.switched_at).total_seconds()
        return {
            "RECONCILER_APP": names.app,
            "RECONCILER_TARGET": names.target,
            "RECONCILER_TAG": names.subject.tag,
            "RECONCILER_SINCE": f"{max(0.0, since):.3f}",
        }

    def _on_target(self) -> Completed:
        try:
            return self._transport.run(self._spec.run, env=self._told(), timeout=self._spec.timeout)
        except TargetTimeout as error:
            is_only_slow(self._transport, error)
            raise _NotRun(f"not done within {self._spec.timeout:g} s") from error

    def _here(self) -> Completed:
        from reconciler.adapters.transport.local_process import kill_group

        try:
            process = subprocess.Popen(
                list(self._spec.run),
                cwd=self._directory,
                env={**os.environ, **self._told()},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                start_new_session=True,
            )
        except OSError as error:
            raise _NotRun(f"can't be run in {self._directory}: {error.strerror}") from error
        try:
            stdout, stderr = process.communicate(timeout=self._spec.timeout)
        except subprocess.TimeoutExpired as error:
            kill_group(process)
            raise _NotRun(f"not done within {self._spec.timeout:g} s, and killed") from error
        except BaseException:
            kill_group(process)
            raise
        status = process.returncode
        return Completed(128 - status if status < 0 else status, stdout, stderr)
