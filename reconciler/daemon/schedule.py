"""What is due when: APScheduler decides the times, and nothing runs twice at once.

A job that was missed (the machine slept, a pass took long) runs once when it can, not once for each time it missed.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from apscheduler.executors.pool import ThreadPoolExecutor
from apscheduler.schedulers.background import BackgroundScheduler

JITTER = 0.1
"""Part of an interval by which each run is varied: targets of a fleet spread over it."""
WORKERS = 4
"""Jobs that run at the same time; those that wait for a target only ask its agent."""


class Schedule:
    """Jobs by name; adding one under a name that is taken replaces it. Thread-safe."""

    def __init__(self) -> None:
        self._workers: Any = ThreadPoolExecutor(WORKERS)
        self._scheduler: Any = BackgroundScheduler(
            timezone=UTC,
            executors={"default": self._workers},
            job_defaults={"coalesce": True, "max_instances": 1, "misfire_grace_time": None},
        )

    def start(self) -> None:
        """From now on jobs run, each in a thread of the scheduler's."""
        self._scheduler.start()

    def stop(self) -> None:
        """Starts no job any more, and waits for those that run."""
        if not self._scheduler.running:
            return
        # Paused and emptied first: a round that is under way in the library's thread doesn't survive its shutdown.
        self._scheduler.pause()
        self._scheduler.remove_all_jobs()
        # With `wait` the library would wait under a lock that a job needs which adds another one.
        self._scheduler.shutdown(wait=False)
        self._workers.shutdown(wait=True)

    def every(self, name: str, seconds: float, job: Callable[[], None], *, at_once: bool = False) -> None:
        """Runs `job` every `seconds`, varied by a tenth."""
        now: dict[str, datetime] = {"next_run_time": datetime.now(UTC)} if at_once else {}
        self._scheduler.add_job(
            job, "interval", seconds=seconds, jitter=JITTER * seconds, id=name, replace_existing=True, **now
        )

    def once(self, name: str, seconds: float, job: Callable[[], None]) -> None:
        """Runs `job` after `seconds`."""
        at = datetime.now(UTC) + timedelta(seconds=seconds)
        self._scheduler.add_job(job, "date", run_date=at, id=name, replace_existing=True)

    def drop(self, prefix: str) -> None:
        """Forgets every job whose name begins with `prefix`."""
        for job in self._scheduler.get_jobs():
            if job.id.startswith(prefix):
                job.remove()
