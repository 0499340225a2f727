"""One blocking call on a thread of its own that the process does not wait for when it exits.

For calls that may hang beyond our control: a name server that does not answer holds `getaddrinfo` for half a minute,
and the threads of `concurrent.futures` are joined at exit.
"""

import asyncio
import contextlib
import threading
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


async def run_in_daemon_thread(fn: Callable[[], T], name: str, when_done: Callable[[], None] = lambda: None) -> T:
    """Call `fn` there and wait for its result.

    Args:
        when_done: called on the loop when `fn` has returned, even if nobody waits any more.
    """
    loop = asyncio.get_running_loop()
    future: asyncio.Future[T] = loop.create_future()

    def finish(result: T | None, error: BaseException | None) -> None:
        when_done()
        if future.done():
            return
        if error is not None:
            future.set_exception(error)
        else:
            future.set_result(result)  # type: ignore[arg-type]

    def work() -> None:
        result: T | None = None
        error: BaseException | None = None
        try:
            result = fn()
        except BaseException as exc:
            error = exc  # raised again where `fn` is awaited
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits
            loop.call_soon_threadsafe(finish, result, error)

    threading.Thread(target=work, name=name, daemon=True).start()
    return await future
