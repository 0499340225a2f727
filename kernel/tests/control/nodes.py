"""A control server with the test operations, in this process or on a thread of its own."""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import TypeVar

import structlog

from kernel.tests.control.operations import Tasks, registry
from peerkit._control.registry import OperationRegistry
from peerkit._control.server import ControlServer

T = TypeVar("T")
PEER_ID = "p" + "a" * 55


async def run_blocking(fn: Callable[[], T]) -> T:
    return await asyncio.to_thread(fn)


@asynccontextmanager
async def serving(
    data_dir: Path, tasks: Tasks | None = None, use_tcp: bool = False, operations: OperationRegistry | None = None
) -> AsyncIterator[ControlServer]:
    """A running server in the current loop."""
    await run_blocking(lambda: data_dir.mkdir(mode=0o700, parents=True, exist_ok=True))
    operations = operations or registry(tasks or Tasks())
    server = ControlServer(operations, PEER_ID, data_dir, run_blocking, structlog.get_logger(), use_tcp=use_tcp)
    await server.start()
    try:
        yield server
    finally:
        await server.close()


@contextmanager
def serving_on_a_thread(data_dir: Path, use_tcp: bool = False) -> Iterator[Tasks]:
    """A running server for blocking clients and other processes."""
    ready = threading.Event()
    stop: asyncio.Event
    loop: asyncio.AbstractEventLoop
    tasks: Tasks

    async def main() -> None:
        nonlocal stop, loop, tasks
        stop, loop, tasks = asyncio.Event(), asyncio.get_running_loop(), Tasks()
        async with serving(data_dir, tasks, use_tcp):
            ready.set()
            await stop.wait()

    thread = threading.Thread(target=asyncio.run, args=(main(),))
    thread.start()
    assert ready.wait(10)
    try:
        yield tasks
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(10)
