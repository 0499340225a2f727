"""Runs the node's routines: named jobs that can be listed, started, stopped and re-timed at run time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

from ..clock import Clock, Rng
from ..errors import NotFound, PeerkitError, PluginConflictError, UsageError
from ..routine import Routine
from .plugin_call import failure_text, run_plugin
from .supervisor import Supervisor

MIN_INTERVAL_S = 0.01  # a shorter one typed by mistake would keep a core busy


@dataclass(frozen=True, slots=True)
class RoutineStatus:
    """One routine as a person sees it.

    Attributes:
        started: its timer runs (or the job does).
        next_in_s: seconds to the next turn; `None` when stopped or running.
        last_error: of the last failed turn; empty when the last turn went well.
        last_duration_s: of the last turn; `None` before the first.
    """

    name: str
    plugin: str
    started: bool
    running: bool
    interval_s: float
    next_in_s: float | None
    runs: int
    failures: int
    last_error: str
    last_duration_s: float | None


@dataclass(slots=True)
class _Job:
    plugin: str
    routine: Routine
    interval_s: float
    started: bool = False
    runs: int = 0
    failures: int = 0
    last_error: str = ""
    last_duration_s: float | None = None
    due_at: float | None = None
    timer: asyncio.TimerHandle | None = None
    turn: int = 0
    cancel: Callable[[], None] | None = field(default=None, repr=False)


class RoutineScheduler:
    """One timer per routine; a task only while it runs, so a thousand idle nodes hold no sleeping tasks."""

    def __init__(self, supervisor: Supervisor, clock: Clock, rng: Rng) -> None:
        self._supervisor = supervisor
        self._clock = clock
        self._rng = rng
        self._jobs: dict[str, _Job] = {}

    def add(self, plugin: str, routine: Routine) -> None:
        """Know a routine; it starts with `start_all` or `start`.

        Raises:
            PluginConflictError: its name is taken.
        """
        if routine.name in self._jobs:
            raise PluginConflictError(
                f"routine {routine.name} is registered by {self._jobs[routine.name].plugin} and {plugin}"
            )
        self._jobs[routine.name] = _Job(plugin, routine, max(MIN_INTERVAL_S, routine.interval_s))

    def remove(self, plugin: str) -> None:
        """Stop and forget all of a plugin."""
        for name in [name for name, job in self._jobs.items() if job.plugin == plugin]:
            self._stop(self._jobs.pop(name))

    def start_all(self, plugin: str | None = None) -> None:
        """Start those with `autostart`, of one plugin or of all."""
        for job in self._jobs.values():
            if job.routine.autostart and plugin in (None, job.plugin):
                self._start(job, job.routine.first_after_s)

    def start(self, name: str) -> None:
        """Start now (the first turn comes at once).  Idempotent.  Raises `NotFound`."""
        self._start(self._job(name), 0.0)

    def stop(self, name: str) -> None:
        """Stop; a turn that runs is cancelled.  Idempotent.  Raises `NotFound`."""
        self._stop(self._job(name))

    def set_interval(self, name: str, interval_s: float) -> None:
        """Change the interval; the next turn comes one new interval from now.

        Raises:
            NotFound: no such routine.
            UsageError: not ≥ 0.01 s.
        """
        job = self._job(name)
        if not MIN_INTERVAL_S <= interval_s < float("inf"):
            raise UsageError(f"the interval of {name} must be at least {MIN_INTERVAL_S} s, not {interval_s:g}")
        job.interval_s = interval_s
        if job.started and job.cancel is None:
            self._arm(job, None)

    def stop_all(self) -> None:
        for job in self._jobs.values():
            self._stop(job)

    def statuses(self) -> tuple[RoutineStatus, ...]:
        """All routines by name."""
        return tuple(self._status(job) for _, job in sorted(self._jobs.items()))

    def status(self, name: str) -> RoutineStatus:
        """Raises `NotFound`."""
        return self._status(self._job(name))

    def _job(self, name: str) -> _Job:
        job = self._jobs.get(name)
        if job is None:
            raise NotFound(f"there is no routine {name!r}; there are: {', '.join(sorted(self._jobs)) or 'none'}")
        return job

    def _status(self, job: _Job) -> RoutineStatus:
        wait_s = None if job.due_at is None else max(0.0, job.due_at - self._clock.now())
        return RoutineStatus(
            job.routine.name, job.plugin, job.started, job.cancel is not None, job.interval_s, wait_s,
            job.runs, job.failures, job.last_error, job.last_duration_s,
        )  # fmt: skip

    def _start(self, job: _Job, first_after_s: float | None) -> None:
        if not job.started:
            job.started = True
            if job.cancel is None:
                self._arm(job, first_after_s)

    def _stop(self, job: _Job) -> None:
        job.started = False
        self._disarm(job)
        if job.cancel is not None:
            job.cancel()
            job.cancel = None

    def _disarm(self, job: _Job) -> None:
        job.due_at = None
        if job.timer is not None:
            job.timer.cancel()
            job.timer = None

    def _arm(self, job: _Job, delay_s: float | None) -> None:
        self._disarm(job)
        if delay_s is None:
            share = min(1.0, max(0.0, job.routine.jitter))
            delay_s = job.interval_s * self._rng.uniform(1 - share, 1 + share)
        job.due_at = self._clock.now() + delay_s
        job.timer = asyncio.get_running_loop().call_later(delay_s, self._begin, job)

    def _begin(self, job: _Job) -> None:
        self._disarm(job)
        job.turn += 1
        job.cancel = self._supervisor.spawn(job.plugin, f"routine {job.routine.name}", self._turn(job, job.turn))

    async def _turn(self, job: _Job, turn: int) -> None:
        routine, where, tally = job.routine, f"routine {job.routine.name}", self._supervisor.tallies.of(job.plugin)
        began_at = self._clock.now()
        error = ""
        try:
            async with asyncio.timeout(routine.timeout_s):
                await run_plugin(tally, where, routine.run)
        except TimeoutError:
            error = f"it took longer than {routine.timeout_s:g} s and was cancelled"
            tally.failed(where, error, is_told=True)
        except PeerkitError as exc:
            error = failure_text(exc)
        finally:
            if job.turn == turn and job.cancel is not None:  # else it was stopped, and perhaps started again since
                job.cancel = None
                self._arm(job, None)
        job.last_duration_s = self._clock.now() - began_at
        job.runs += 1
        job.last_error = error
        if error:
            job.failures += 1
            self._supervisor.report(job.plugin, where, error, job.interval_s)
