import asyncio
import contextlib
import itertools

import pytest

from kernel.tests.runtime.nodeless import Parts, forever, parts
from peerkit._runtime.supervisor import HEALTHY_AFTER_S, LAST_RESTART_S
from peerkit.errors import EndpointClosed
from peerkit.event import PluginFailed
from peerkit.testing import run


def failures(it: Parts) -> list[PluginFailed]:
    return [e.event for e in it.events.recent() if isinstance(e.event, PluginFailed)]


def test_failing_task_is_told_and_the_others_go_on() -> None:
    async def main() -> None:
        it = parts()
        ticks = []

        async def tick() -> None:
            for _ in range(5):
                await asyncio.sleep(1)
                ticks.append(it.clock.now())

        async def fail() -> None:
            await asyncio.sleep(2.5)
            raise KeyError("lost")

        it.supervisor.spawn("good", "ticks", tick())
        it.supervisor.spawn("bad", "work", fail())
        await asyncio.sleep(10)
        assert len(ticks) == 5
        assert failures(it) == [PluginFailed("bad", "work", "KeyError: 'lost'", -1)]
        assert it.supervisor.counts() == {}

    run(main())


def test_kept_run_is_restarted_with_growing_pauses_until_it_returns() -> None:
    async def main() -> None:
        it = parts()
        starts: list[float] = []

        async def work() -> None:
            starts.append(it.clock.now())
            if len(starts) < 9:
                raise OSError("no disk")

        kept = it.supervisor.keep("p", "run", work)
        await asyncio.sleep(1000)
        pauses = [b - a for a, b in itertools.pairwise(starts)]
        assert len(pauses) == 8
        for n, pause in enumerate(pauses):
            nominal = min(LAST_RESTART_S, 2.0**n)
            assert 0.75 * nominal <= pause <= 1.25 * nominal
        assert (kept.ended, kept.is_down, kept.failures) == (True, False, 8)
        assert [round(f.restart_in_s, 3) for f in failures(it)] == [round(p, 3) for p in pauses]

    run(main())


def test_run_that_was_healthy_for_long_starts_a_new_series() -> None:
    async def main() -> None:
        it = parts()
        starts: list[float] = []

        async def work() -> None:
            starts.append(it.clock.now())
            if len(starts) == 5:
                await asyncio.sleep(HEALTHY_AFTER_S + 1)
            raise OSError

        it.supervisor.keep("p", "run", work)
        await asyncio.sleep(200)
        assert starts[5] - starts[4] - HEALTHY_AFTER_S - 1 <= 1.25
        await it.supervisor.stop()

    run(main())


def test_run_is_down_between_failure_and_restart() -> None:
    async def main() -> None:
        it = parts()
        first = True

        async def work() -> None:
            nonlocal first
            if first:
                first = False
                raise OSError("no disk")
            await forever()

        kept = it.supervisor.keep("p", "run", work)
        await asyncio.sleep(0.1)
        assert kept.is_down
        assert kept.error == "OSError: no disk"
        await asyncio.sleep(5)
        assert kept.is_running
        await it.supervisor.end(kept)
        assert (kept.is_running, kept.is_down, kept.ended) == (False, False, True)

    run(main())


def test_cancelling_one_owner_leaves_the_rest_alone() -> None:
    async def main() -> None:
        it = parts()
        cleaned = []

        async def work(name: str) -> None:
            try:
                await forever()
            finally:
                await asyncio.sleep(1)
                cleaned.append(name)

        for name in ("a", "a", "b"):
            it.supervisor.spawn(name, "work", work(name))
        await asyncio.sleep(0)
        await it.supervisor.cancel("a")
        assert cleaned == ["a", "a"]
        assert it.supervisor.counts() == {"b": 1}
        await it.supervisor.stop()
        assert cleaned == ["a", "a", "b"]
        assert failures(it) == []

    run(main())


def test_nothing_starts_after_the_stop() -> None:
    async def main() -> None:
        it = parts()
        await it.supervisor.stop()
        await it.supervisor.stop()
        it.supervisor.spawn("p", "late", forever())()
        with pytest.raises(EndpointClosed):
            it.supervisor.task("p", "late", forever())

    run(main())


def test_task_that_refuses_to_end_does_not_hold_up_the_stop() -> None:
    async def main() -> None:
        it = parts()

        async def stubborn() -> None:
            while it.clock.now() < 100:
                with contextlib.suppress(asyncio.CancelledError):
                    await asyncio.sleep(100)

        it.supervisor.spawn("p", "stubborn", stubborn())
        await asyncio.sleep(0)
        before = it.clock.now()
        await it.supervisor.stop()
        assert it.clock.now() - before == pytest.approx(5)
        await asyncio.sleep(200)

    run(main())


def test_cancel_before_the_first_step_leaves_no_warning() -> None:
    async def main() -> None:
        it = parts()
        it.supervisor.spawn("p", "never", forever())()
        await asyncio.sleep(1)
        assert it.supervisor.counts() == {}

    run(main())


def test_task_gives_its_result_and_its_exception_to_the_caller_alone() -> None:
    async def main() -> None:
        it = parts()

        async def fail() -> int:
            raise OSError

        assert await it.supervisor.task("p", "sum", asyncio.sleep(1, 42)) == 42
        with pytest.raises(OSError):
            await it.supervisor.task("p", "fail", fail())
        assert failures(it) == []

    run(main())
