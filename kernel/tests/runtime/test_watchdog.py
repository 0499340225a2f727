"""On a real loop and in a real thread: what it watches cannot happen under virtual time.

The hang is a busy loop that ends as soon as the watchdog has spoken, so nothing here waits for longer than it must.
"""

import asyncio
import logging
import threading
import time
from collections.abc import Callable

import pytest

from peerkit._runtime.watchdog import Watchdog


def block(until: Callable[[], bool]) -> None:
    """Hold the loop's thread as a plugin would, for 10 s at most."""
    give_up_at = time.monotonic() + 10
    while not until() and time.monotonic() < give_up_at:
        pass


plugin_code: dict[str, object] = {"__name__": "peerkit_sleepy.adapter", "block": block}
exec("def hang(until):\n    block(until)", plugin_code)


def test_hang_is_named_with_its_stack_and_plugin_and_ends_the_process(caplog: pytest.LogCaptureFixture) -> None:
    ended = threading.Event()

    async def main() -> None:
        watchdog = Watchdog(warn_s=0.04, exit_s=0.2, end=ended.set)
        watchdog.start()
        hang = plugin_code["hang"]
        assert callable(hang)
        hang(ended.is_set)
        watchdog.stop()
        watchdog.stop()

    with caplog.at_level(logging.WARNING, "peerkit"):
        asyncio.run(main())
    assert ended.is_set()
    told, critical = [r.getMessage() for r in caplog.records]
    assert "blocked by plugin sleepy" in told
    assert "in hang" in told
    assert "the process ends" in critical


def test_loop_that_turns_is_left_alone(caplog: pytest.LogCaptureFixture) -> None:
    ended = threading.Event()

    async def main() -> None:
        watchdog = Watchdog(warn_s=2.0, exit_s=3.0, end=ended.set)
        watchdog.start()
        for _ in range(5):
            await asyncio.sleep(0)
        watchdog.stop()

    with caplog.at_level(logging.WARNING, "peerkit"):
        asyncio.run(main())
    assert not ended.is_set()
    assert caplog.records == []
