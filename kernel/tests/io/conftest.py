"""Tests of the system platform run on asyncio's loop and, where it is installed, on uvloop."""

import asyncio
from collections.abc import Callable, Coroutine
from importlib.util import find_spec
from typing import Any, Protocol

import pytest

LoopFactory = Callable[[], asyncio.AbstractEventLoop]


class OnLoop(Protocol):
    """Runs a coroutine to its end on the loop under test, within 20 s."""

    def __call__(self, main: Coroutine[Any, Any, None]) -> None: ...


@pytest.fixture(params=["asyncio", "uvloop"])
def on_loop(request: pytest.FixtureRequest) -> OnLoop:
    if request.param == "uvloop" and find_spec("uvloop") is None:
        pytest.skip("uvloop is not installed")

    def factory() -> asyncio.AbstractEventLoop:
        if request.param == "uvloop":
            import uvloop

            loop: asyncio.AbstractEventLoop = uvloop.new_event_loop()
            return loop
        return asyncio.new_event_loop()

    def run(main: Coroutine[Any, Any, None]) -> None:
        problems: list[dict[str, Any]] = []

        async def within_20_s() -> None:
            asyncio.get_running_loop().set_exception_handler(lambda _, context: problems.append(context))
            async with asyncio.timeout(100):
                await main

        with asyncio.Runner(loop_factory=factory) as runner:
            runner.run(within_20_s())
        assert problems == [], "the loop reported errors that nobody saw"

    return run
