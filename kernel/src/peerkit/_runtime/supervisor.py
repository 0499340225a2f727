"""Every task of a node, with its owner: the only place that creates tasks.

A failing task never takes another one with it.  A task that is `keep`t is started again with back-off and jitter.
At the stop all are cancelled and awaited; one that refuses to end is named.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from ..clock import Clock, Rng
from ..errors import EndpointClosed, PeerkitError
from ..event import PluginFailed
from .event_bus import EventBus
from .plugin_call import PluginCode, counted, failure_text, run_plugin
from .tally import Tallies

if TYPE_CHECKING:
    from structlog.typing import FilteringBoundLogger

T = TypeVar("T")

FIRST_RESTART_S = 1.0  # guess; doubles with every failure in a row
LAST_RESTART_S = 60.0  # guess
HEALTHY_AFTER_S = 120.0  # a run that lasted so long begins a new series of failures
STOP_S = 5.0  # how long a cancelled task may clean up before it is named and left


@dataclass(slots=True)
class Kept:
    """A run that is started again after a failure.

    Attributes:
        is_running: `False` between a failure and the restart, and after the end.
        ended: it returned by itself or was cancelled.
        error: the last failure, or empty.
    """

    owner: str
    name: str
    is_running: bool = False
    ended: bool = False
    failures: int = 0
    error: str = ""
    task: asyncio.Task[None] | None = None

    @property
    def is_down(self) -> bool:
        """Between a failure and the restart."""
        return not self.is_running and not self.ended and self.failures > 0


class Supervisor:
    """Args:
        events: told of failures (`PluginFailed`).

    Attributes:
        tallies: what is counted of each owner's code.
    """

    def __init__(self, clock: Clock, rng: Rng, events: EventBus, log: FilteringBoundLogger) -> None:
        self.tallies = Tallies(clock, events)
        self._clock = clock
        self._rng = rng
        self._events = events
        self._log = log
        self._tasks: defaultdict[str, set[asyncio.Task[object]]] = defaultdict(set)
        self._stopped = False

    def task(self, owner: str, name: str, coro: Coroutine[object, object, T]) -> asyncio.Task[T]:
        """A task whose result or exception belongs to the caller.

        Raises:
            EndpointClosed: the node has stopped; `coro` is closed, not run.
        """
        if self._stopped:
            coro.close()
            raise EndpointClosed("the node", "it has stopped")
        return self._task(owner, name, coro, coro)

    def spawn(
        self, owner: str, name: str, coro: Coroutine[object, object, object], is_counted: bool = False
    ) -> Callable[[], None]:
        """A background task; a failure is logged and told.  Returns its cancel.  After the stop nothing runs.

        Args:
            is_counted: in the owner's tally; not for work of the kernel's in which the owner is called and counted.
        """
        if self._stopped:
            coro.close()
            return lambda: None
        task = self._task(owner, name, self._watched(owner, name, coro, is_counted), coro)
        return lambda: None if task.done() else _cancel(task)

    def keep(self, owner: str, name: str, run: Callable[[], Awaitable[None]]) -> Kept:
        """Call `run` until it returns; after a failure again, with back-off and jitter."""
        kept = Kept(owner, name)
        kept.task = self.task(owner, name, self._keep(kept, run))
        return kept

    async def end(self, kept: Kept) -> None:
        """Cancel one kept run and wait for it.  Idempotent."""
        if kept.task is not None:
            await self._end((kept.task,))

    async def cancel(self, owner: str) -> None:
        """Cancel all tasks of `owner` (but the caller) and wait until they have ended."""
        await self._end(tuple(self._tasks.get(owner, ())))

    async def stop(self) -> None:
        """Cancel everything and wait; nothing starts any more.  Idempotent."""
        self._stopped = True
        await self._end(tuple(task for tasks in self._tasks.values() for task in tasks))

    def count(self, owner: str) -> int:
        """Its tasks alive."""
        return len(self._tasks.get(owner, ()))

    def counts(self) -> dict[str, int]:
        """Owner → tasks alive."""
        return {owner: len(tasks) for owner, tasks in sorted(self._tasks.items()) if tasks}

    async def _watched(self, owner: str, name: str, coro: Coroutine[object, object, object], is_counted: bool) -> None:
        tally = self.tallies.of(owner)
        try:
            with PluginCode(tally, name, asyncio.current_task(), is_told=True):
                await (counted(tally, name, coro) if is_counted else coro)
        except PeerkitError as exc:
            self.report(owner, name, failure_text(exc), -1)

    async def _keep(self, kept: Kept, run: Callable[[], Awaitable[None]]) -> None:
        row = 0
        try:
            while True:
                began_at = self._clock.now()
                kept.is_running = True
                try:
                    await run_plugin(self.tallies.of(kept.owner), kept.name, run)
                    return
                except PeerkitError as exc:
                    kept.is_running = False
                    row = 1 if self._clock.now() - began_at >= HEALTHY_AFTER_S else row + 1
                    delay_s = min(LAST_RESTART_S, FIRST_RESTART_S * 2.0 ** min(row - 1, 16)) * self._rng.uniform(
                        0.75, 1.25
                    )
                    kept.failures += 1
                    kept.error = failure_text(exc)
                    self.report(kept.owner, kept.name, kept.error, delay_s)
                await asyncio.sleep(delay_s)
        finally:
            kept.is_running = False
            kept.ended = True

    def report(self, owner: str, name: str, error: str, restart_in_s: float) -> None:
        """Log and tell that work of `owner` failed; -1: it will not be tried again."""
        self._log.warning("task failed", plugin=owner, task=name, error=error, restart_in_s=round(restart_in_s, 1))
        self._events.emit(PluginFailed(owner, name, error, restart_in_s))

    def _task(
        self, owner: str, name: str, coro: Coroutine[object, object, T], work: Coroutine[object, object, object]
    ) -> asyncio.Task[T]:
        task = asyncio.get_running_loop().create_task(coro, name=f"{owner}: {name}")
        self._tasks[owner].add(task)
        task.add_done_callback(partial(self._forget, owner, work))
        return task

    def _forget(self, owner: str, work: Coroutine[object, object, object], task: asyncio.Task[object]) -> None:
        work.close()  # cancelled before its first step, it would never be awaited
        tasks = self._tasks[owner]
        tasks.discard(task)
        if not tasks:
            del self._tasks[owner]
        if not task.cancelled():
            task.exception()  # retrieved: the caller of `task` may have given up waiting

    async def _end(self, tasks: tuple[asyncio.Task[object], ...]) -> None:
        me = asyncio.current_task()
        waiting = [task for task in tasks if task is not me and not task.done()]
        for task in waiting:
            task.cancel()
        if not waiting:
            return
        _, stuck = await asyncio.wait(waiting, timeout=STOP_S)
        for task in stuck:
            self._log.error("task does not end", task=task.get_name(), after_s=STOP_S)


def _cancel(task: asyncio.Task[object]) -> None:
    task.cancel()
