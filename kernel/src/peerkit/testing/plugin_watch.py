"""What plugin code does beside what it returns: what it raises, what it leaves behind, whether it blocks.

For the checks of a plugin's kind; they run under virtual time.

PYTEST_DONT_REWRITE: a broken promise is told by its sentence; to compare megabytes for it would take minutes.
"""

import asyncio
import logging
import os
import sys
import threading
import time
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from types import CodeType
from typing import Any, ParamSpec, SupportsIndex, TypeVar

from .._runtime.plugin_call import call_plugin, call_plugin_async, failure_text
from ..errors import PeerkitError, PluginError
from .virtual_time import current_loop

P = ParamSpec("P")
T = TypeVar("T")
Bed = TypeVar("Bed")
Check = Callable[[Bed], Awaitable[None]]

DEADLINE_S = 86_400.0  # of one check, virtual; a lost wake-up shall not hang the suite
SETTLE_S = 60.0  # virtual; what ends by itself within this time was not left behind
_KERNEL = str(Path(__file__).parents[1])
_LIBRARY = str(Path(asyncio.__file__).parent)
_BLOCKING = ("open", "os.listdir", "os.scandir", "sqlite3.connect", "socket.", "subprocess.Popen")

_watched: ContextVar[object] = ContextVar("peerkit_watched", default=None)


def complete(*checks: Check[Bed]) -> tuple[Check[Bed], ...]:
    """The checks, each under a deadline."""

    def timed(check: Check[Bed]) -> Check[Bed]:
        async def run(bed: Bed) -> None:
            async with asyncio.timeout(DEADLINE_S):
                await check(bed)

        run.__name__ = check.__name__
        run.__doc__ = check.__doc__
        return run

    return tuple(timed(check) for check in checks)


async def call(what: str, fn: Callable[P, Awaitable[T]], *args: P.args, **kwargs: P.kwargs) -> T:
    """Await plugin code as the kernel does.  What is no `PeerkitError` is an `AssertionError` that names it."""
    try:
        return await call_plugin_async("under test", what, fn, *args, **kwargs)
    except PluginError as exc:
        raise AssertionError(f"{what} raised {failure_text(exc)}; it may raise a PeerkitError only") from exc


def call_now(what: str, fn: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """As `call`, for a plain function."""
    try:
        return call_plugin("under test", what, lambda: fn(*args, **kwargs))
    except PluginError as exc:
        raise AssertionError(f"{what} raised {failure_text(exc)}; it may raise a PeerkitError only") from exc


async def cancelled_everywhere(what: str, start: Callable[[], Coroutine[Any, Any, object]], turns: int = 12) -> None:
    """Start the work again and again and cancel it after one turn of the loop more each time: it must end as cancelled
    and leave nothing behind."""
    for turn in range(turns):
        left = Leftovers()
        task = left.start(start())
        for _ in range(turn):
            await asyncio.sleep(0)
        was_running = task.cancel()
        _, stuck = await asyncio.wait([task], timeout=SETTLE_S)
        assert not stuck, f"{what} goes on {SETTLE_S:g} s after it was cancelled"
        if was_running and not task.cancelled() and task.exception() is None:
            raise AssertionError(f"{what} must not swallow CancelledError: it returned after it was cancelled")
        if not task.cancelled() and (error := task.exception()) is not None and not isinstance(error, PeerkitError):
            raise AssertionError(f"{what}, cancelled, raised {type(error).__name__}: {error}") from error
        await left.none(f"{what}, cancelled,")


class Leftovers:
    """Tasks and timers of plugin code that a piece of work has begun, and files that it has opened."""

    def __init__(self) -> None:
        self._token = object()
        self._loop = current_loop()
        self._files = _open_files()
        self._main: asyncio.Task[object] | None = None
        self._started: list[asyncio.Task[Any]] = []

    def start(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        """Run it in a task of its own; what it starts is noted."""
        before = self._loop.get_task_factory()

        def note(loop: asyncio.AbstractEventLoop, coro: Any, **options: Any) -> asyncio.Task[Any]:
            task: asyncio.Task[Any] = asyncio.Task(coro, loop=loop, **options)
            if _watched.get() is self._token:
                self._started.append(task)
            return task

        self._loop.set_task_factory(note)
        outer = _watched.set(self._token)
        try:
            task = self._loop.create_task(work, name="work under test")
        finally:
            _watched.reset(outer)
        self._main = task
        task.add_done_callback(lambda _: self._loop.set_task_factory(before))
        return task

    async def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Run it to its end."""
        return await self.start(work)

    async def none(self, what: str) -> None:
        """Raises `AssertionError` when something is still there when all had time to end."""
        left = self._names()
        for _ in range(int(SETTLE_S)):
            if not left:
                return
            await asyncio.sleep(1.0)
            left = self._names()
        if left:
            raise AssertionError(f"{what} left behind: {', '.join(left)}")

    def _names(self) -> list[str]:
        tasks = [t for t in self._started if t is not self._main and not t.done() and _is_plugins(t.get_coro())]
        timers: list[Any] = [timer for _, _, timer in self._loop._timers if self._is_ours(timer)]
        found = [f"the task {task.get_name()!r}" for task in tasks]
        found += [f"a timer that calls {_name(timer._callback)}" for timer in timers]
        return found + [f"the open file {name}" for name in sorted(_open_files() - self._files)]

    def _is_ours(self, timer: Any) -> bool:  # the stubs do not know of its callback and context
        if timer.cancelled() or timer._context.get(_watched) is not self._token:
            return False
        module = getattr(timer._callback, "__module__", None) or ""
        return not module.startswith(("asyncio", "peerkit._runtime", "peerkit._session", "peerkit.testing.sim"))


@contextmanager
def failures() -> Iterator[list[str]]:
    """A list that fills with what plugin code raises, caught by the kernel and hidden from the peer: `where: what`."""
    found: list[str] = []

    class Keep(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            error = record.exc_info[1] if record.exc_info else None
            found.append(f"{record.getMessage()}: {type(error).__name__}: {error}")

    handler, log = Keep(logging.DEBUG), logging.getLogger("peerkit.plugin")
    log.addHandler(handler)
    try:
        yield found
    finally:
        log.removeHandler(handler)


@contextmanager
def blocking_calls() -> Iterator[list[str]]:
    """A list that fills with what this thread asks of the disk, the network, other processes or a sleep."""
    found: list[str] = []
    sleep = time.sleep

    def note_sleep(seconds: SupportsIndex | float) -> None:  # Python tells the audit hook of sleeps from 3.13 on
        found.append(f"time.sleep({seconds!r})")
        sleep(seconds)

    _install_hook()
    _looking.thread, _looking.found = threading.get_ident(), found
    time.sleep = note_sleep
    try:
        yield found
    finally:
        time.sleep = sleep
        _looking.found = None


class _Looking:
    """What the audit hook, which can never be taken away, looks at."""

    is_installed = False
    thread = 0
    found: list[str] | None = None


_looking = _Looking()


def _install_hook() -> None:
    def hook(event: str, args: tuple[object, ...]) -> None:
        found = _looking.found
        if found is not None and event.startswith(_BLOCKING) and threading.get_ident() == _looking.thread:
            found.append(f"{event}({', '.join(map(repr, args[:1]))})")

    if not _looking.is_installed:
        _looking.is_installed = True
        sys.addaudithook(hook)


def _open_files() -> set[str]:
    """Where the system tells them; elsewhere none."""
    folder = "/proc/self/fd"
    found = set()
    for number in os.listdir(folder) if os.path.isdir(folder) else ():
        try:
            found.add(f"{number} {os.readlink(f'{folder}/{number}')}")
        except OSError:  # the one that lists the folder
            continue
    return found


def _is_plugins(coro: Any) -> bool:
    """Whether code that is neither the kernel's nor asyncio's waits in there."""
    while coro is not None:
        code: CodeType | None = getattr(coro, "cr_code", None) or getattr(coro, "ag_code", None)
        if code is not None and not code.co_filename.startswith((_KERNEL, _LIBRARY)):
            return True
        coro = getattr(coro, "cr_await", None) or getattr(coro, "ag_await", None)
    return False


def _name(callback: object) -> str:
    return str(getattr(callback, "__qualname__", callback))
