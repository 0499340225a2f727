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


async def run_in_daemon_thread(
    fn: Callable[[], T],
    name: str,
    expected: tuple[type[Exception], ...] = (OSError,),
    when_done: Callable[[], None] = lambda: None,
) -> T:
    """Call `fn` there and wait for its result.

    Args:
        expected: what `fn` may raise; it is raised here.
        when_done: called on the loop when `fn` has ended, even if nobody waits any more.
    """
    loop = asyncio.get_running_loop()
    future: asyncio.Future[T] = loop.create_future()

    def finish(result: list[T], error: Exception | None) -> None:
        when_done()
        if future.done():
            return
        if result:
            future.set_result(result[0])
        else:
            future.set_exception(error or RuntimeError(f"{name} failed in a way that nobody expected"))

    def work() -> None:
        result: list[T] = []
        error: Exception | None = None
        try:
            result.append(fn())
        except expected as exc:
            error = exc
        finally:
            with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits
                loop.call_soon_threadsafe(finish, result, error)

    threading.Thread(target=work, name=name, daemon=True).start()
    return await future
