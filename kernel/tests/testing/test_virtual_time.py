"""The virtual-time loop: time jumps, order is kept, and what would break it is refused."""

import asyncio
import socket
import time

import pytest

from peerkit.testing import SimulationStalled, SimulationTooLong, run
from peerkit.testing.virtual_time import current_loop


def test_an_hour_of_sleep_takes_no_real_time() -> None:
    async def main() -> float:
        await asyncio.sleep(3_600)
        return asyncio.get_running_loop().time()

    before = time.monotonic()
    assert run(main()) == 3_600
    assert time.monotonic() - before < 1


def test_timers_fire_in_order_and_exactly_when_due() -> None:
    async def main() -> list[tuple[str, float]]:
        loop = asyncio.get_running_loop()
        seen: list[tuple[str, float]] = []

        def note(name: str) -> None:
            seen.append((name, loop.time()))

        for name, at in (("c", 0.3), ("a", 0.1), ("b", 0.2), ("b2", 0.2)):
            loop.call_at(at, note, name)
        await asyncio.sleep(1)
        return seen

    assert run(main()) == [("a", 0.1), ("b", 0.2), ("b2", 0.2), ("c", 0.3)]


def test_timers_of_one_moment_fire_in_the_order_in_which_they_were_set() -> None:
    async def main() -> list[int]:
        loop = asyncio.get_running_loop()
        seen: list[int] = []
        for number in range(100):
            loop.call_at(5.0, seen.append, number)
            loop.call_at(float(number), lambda: None)
        await asyncio.sleep(200)
        return seen

    assert run(main()) == list(range(100))


def test_cancelled_timers_are_let_go_before_they_are_due() -> None:
    async def main() -> int:
        loop = current_loop()
        for number in range(10_000):  # a deadline for each of many requests that are answered at once
            loop.call_later(60.0 + number, lambda: None).cancel()
        await asyncio.sleep(1)
        fired: list[int] = []
        loop.call_later(0.5, fired.append, 1)
        await asyncio.sleep(1)
        assert fired
        return len(loop._timers)

    assert run(main()) < 500


def test_a_timer_is_exact_after_days_of_virtual_time() -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        for at in (1e6 + 0.1, 1e6 + 0.3, 3e6 + 1e-3):  # beyond a day, where asyncio cuts its waits
            future = loop.create_future()
            loop.call_at(at, future.set_result, None)
            await future
            assert loop.time() == at

    run(main())


def test_deadlines_follow_virtual_time() -> None:
    async def main() -> None:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(30):
                await asyncio.sleep(31)
        assert asyncio.get_running_loop().time() == 30

    run(main())


def test_waiting_for_ever_is_an_error_that_names_task_and_place() -> None:
    async def waits_for_nobody() -> None:
        await asyncio.Event().wait()

    async def main() -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(waits_for_nobody(), name="the-sleeper")

    with pytest.raises(
        SimulationStalled, match=r"the-sleeper[^\n]*waits_for_nobody|the-sleeper[^\n]*Event\.wait"
    ) as caught:
        run(main(), seed=99)
    assert caught.value.__notes__ == ["seed 99"]


def test_a_run_beyond_its_virtual_limit_is_an_error() -> None:
    async def main() -> None:
        for _ in range(1_000):
            await asyncio.sleep(1)

    with pytest.raises(SimulationTooLong, match="100 virtual seconds"):
        run(main(), max_virtual_s=100)


def test_threads_are_refused() -> None:
    async def main() -> None:
        with pytest.raises(RuntimeError, match="no threads under virtual time"):
            await asyncio.to_thread(time.monotonic)
        with pytest.raises(RuntimeError, match="no threads under virtual time"):
            await asyncio.get_running_loop().getaddrinfo("localhost", 1)

    run(main())


def test_real_sockets_are_refused() -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        with socket.socket() as one, pytest.raises(RuntimeError, match="platform's network"):
            loop.add_reader(one, print)

    run(main())


def test_the_loop_draws_from_its_seed() -> None:
    async def main() -> float:
        return current_loop().rng.random()

    assert run(main(), seed=1) == run(main(), seed=1) != run(main(), seed=2)


def test_tasks_left_over_are_cancelled_at_the_end() -> None:
    ended: list[str] = []

    async def background() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.append("background")

    async def main() -> None:
        task = asyncio.create_task(background())
        await asyncio.sleep(1)
        assert not task.done()

    run(main())
    assert ended == ["background"]
