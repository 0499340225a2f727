import asyncio
import itertools
from collections.abc import Awaitable, Callable

import pytest

from kernel.tests.runtime.nodeless import Parts, parts
from peerkit._runtime.routines import RoutineScheduler
from peerkit.errors import NotFound, PluginConflictError, UsageError
from peerkit.event import PluginFailed
from peerkit.routine import Routine
from peerkit.testing import run


class Job:
    """Notes when it began; takes `takes_s`."""

    def __init__(self, it: Parts, takes_s: float = 0.0) -> None:
        self.began: list[float] = []
        self.cancelled = 0
        self.takes_s = takes_s
        self._clock = it.clock

    async def __call__(self) -> None:
        self.began.append(self._clock.now())
        try:
            await asyncio.sleep(self.takes_s)
        except asyncio.CancelledError:
            self.cancelled += 1
            raise


def scheduler(it: Parts) -> RoutineScheduler:
    return RoutineScheduler(it.supervisor, it.clock, it.rng)


def pauses(times: list[float]) -> list[float]:
    return [b - a for a, b in itertools.pairwise(times)]


def test_interval_counts_from_the_end_of_a_turn_and_has_jitter() -> None:
    async def main() -> None:
        it = parts()
        routines, job = scheduler(it), Job(it, takes_s=3)
        routines.add("p", Routine("p.sweep", job, interval_s=10, jitter=0.2))
        routines.start_all()
        await asyncio.sleep(1000)
        gaps = pauses(job.began)
        assert 70 <= len(gaps) <= 85
        assert all(3 + 8 <= gap <= 3 + 12 for gap in gaps)
        assert max(gaps) - min(gaps) > 2
        status = routines.status("p.sweep")
        assert (status.started, status.runs, status.failures, status.last_duration_s) == (True, len(job.began), 0, 3)
        await it.supervisor.stop()

    run(main())


def test_routine_without_autostart_waits_to_be_started() -> None:
    async def main() -> None:
        it = parts()
        routines, job = scheduler(it), Job(it)
        routines.add("p", Routine("p.sweep", job, interval_s=10, autostart=False))
        routines.start_all()
        await asyncio.sleep(100)
        assert job.began == []
        routines.start("p.sweep")
        routines.start("p.sweep")
        await asyncio.sleep(1)
        assert len(job.began) == 1, "started by hand it runs at once, and once"
        routines.stop("p.sweep")
        await asyncio.sleep(100)
        assert len(job.began) == 1

    run(main())


def test_stopped_turn_is_cancelled_and_can_be_started_again_at_once() -> None:
    async def main() -> None:
        it = parts()
        routines, job = scheduler(it), Job(it, takes_s=5)
        routines.add("p", Routine("p.sweep", job, interval_s=10, jitter=0, first_after_s=0))
        routines.start_all()
        await asyncio.sleep(1)
        assert routines.status("p.sweep").running
        routines.stop("p.sweep")
        routines.start("p.sweep")
        await asyncio.sleep(30)
        assert job.cancelled == 1
        assert job.began == [0, 1, 16]
        routines.stop_all()

    run(main())


def test_new_interval_counts_from_now() -> None:
    async def main() -> None:
        it = parts()
        routines, job = scheduler(it), Job(it)
        routines.add("p", Routine("p.sweep", job, interval_s=1000, jitter=0))
        routines.start_all()
        await asyncio.sleep(5)
        routines.set_interval("p.sweep", 2)
        await asyncio.sleep(5)
        assert job.began == [7, 9]
        for wrong in (0, -1, float("nan"), float("inf")):
            with pytest.raises(UsageError, match=r"p\.sweep"):
                routines.set_interval("p.sweep", wrong)
        routines.stop_all()

    run(main())


def failing(_: Parts) -> Callable[[], Awaitable[None]]:
    async def job() -> None:
        raise KeyError("lost")

    return job


@pytest.mark.parametrize(
    ("make", "error"),
    [(failing, "KeyError: 'lost'"), (lambda it: Job(it, takes_s=60), "it took longer than 20 s and was cancelled")],
)
def test_failed_turn_is_counted_and_told_and_the_next_comes_as_usual(
    make: Callable[[Parts], Callable[[], Awaitable[None]]], error: str
) -> None:
    async def main() -> None:
        it = parts()
        routines = scheduler(it)
        routines.add("p", Routine("p.sweep", make(it), interval_s=10, jitter=0, timeout_s=20))
        routines.start_all()
        await asyncio.sleep(75)
        status = routines.status("p.sweep")
        assert status.failures == status.runs >= 2
        assert status.last_error == error
        told = [e.event for e in it.events.recent() if isinstance(e.event, PluginFailed)]
        assert len(told) == status.failures
        assert told[0].where == "routine p.sweep"
        routines.stop_all()

    run(main())


def test_unknown_and_doubled_names_are_refused() -> None:
    async def main() -> None:
        it = parts()
        routines = scheduler(it)
        routines.add("first", Routine("x.sweep", Job(it), 1))
        with pytest.raises(PluginConflictError, match=r"x\.sweep .* first and second"):
            routines.add("second", Routine("x.sweep", Job(it), 1))
        with pytest.raises(NotFound, match=r"x\.sweep"):
            routines.start("x.swep")

    run(main())
