"""An asyncio event loop under virtual time.

When no callback is ready the loop does not wait: its clock jumps to the next timer.  An hour of a simulated network
takes as long as its events take to compute, and the same inputs give the same run.

Three things that would break this are refused with a clear sentence: real file descriptors, threads (a real thread
under a virtual clock gives spurious timeouts, measured), and waiting for ever.

Not here: the network (`sim_network`), time and disk of a node (`sim_platform`).

Two processes repeat each other bit for bit only with the same `PYTHONHASHSEED`: the order of a `set` of ids depends on
it.
"""

import asyncio
import contextvars
import random
import selectors
from collections import deque
from collections.abc import Callable, Coroutine, Mapping
from heapq import heapify, heappop, heappush
from typing import Any, NoReturn, TypeVar, TypeVarTuple

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

LONGEST_RUN_S = 4e6  # 46 days; beyond, a float no longer resolves the loop's nanosecond and timers would not fire

RESOLUTION_S = 1e-9  # timers less apart fire together; as the monotonic clock of Linux
MIN_SWEPT = 100  # cancelled timers; as asyncio's own loop
MAX_LISTED_TASKS = 12  # of a stalled simulation; enough to find the cause


class SimulationStalled(RuntimeError):
    """Nothing is left to do and the main task is not done: on a real clock it would wait for ever."""


class SimulationTooLong(RuntimeError):
    """The virtual time limit of the run was reached."""


class VirtualTimeLoop(asyncio.SelectorEventLoop):
    """A selector loop whose `time()` starts at 0 and jumps from timer to timer.  Timers of one moment fire in the order
    in which they were set.

    Args:
        seed: seeds `rng`, from which simulated networks draw.
        max_virtual_s: `SimulationTooLong` is raised when the clock passes this; stops a run whose routines go on for
            ever.

    Attributes:
        at_close: called when the loop has closed, last first: what a simulation holds outside of it is let go there.
    """

    # What a stock loop does for each callback and timer costs a simulation a quarter of its function calls (measured):
    # comparing timers in Python, asking the selector, rounding time-outs, asking at each handle for debug mode.  So the
    # loop's turn, its timers and handles are ours; tasks and futures are asyncio's.

    _ready: deque[Any]  # the base class's: this turn's handles, of whose callback and context the stubs do not know
    _stopping: bool
    _closed: bool

    def __init__(self, seed: int = 0, max_virtual_s: float = LONGEST_RUN_S) -> None:
        self.seed = seed
        self.rng = random.Random(seed)
        self.at_close: list[Callable[[], None]] = []
        self._now = 0.0
        self._limit = min(max_virtual_s, LONGEST_RUN_S)
        self._timers: list[tuple[float, int, asyncio.TimerHandle]] = []  # a heap, by time and number
        self._timers_set = 0
        self._cancels = 0  # since cancelled timers were swept out of the heap
        selector = _NoSelector()
        super().__init__(selector)
        selector.stay_out = True

    def time(self) -> float:
        return self._now

    def run_in_executor(self, executor: object, func: object, *args: object) -> NoReturn:
        """Always raises: use `Platform.run_blocking`, which runs inline here."""
        raise RuntimeError("no threads under virtual time; blocking work goes through the platform's run_blocking")

    def close(self) -> None:
        super().close()
        self._timers.clear()
        while self.at_close:
            self.at_close.pop()()

    # -- timers and turns ----------------------------------------------------------------------------------------

    def call_soon(
        self, callback: Callable[[*Ts], object], *args: *Ts, context: contextvars.Context | None = None
    ) -> asyncio.Handle:
        if self._closed:
            raise RuntimeError("the event loop is closed")
        handle = _Handle(callback, args, self, context)
        self._ready.append(handle)
        return handle

    def call_later(
        self, delay: float, callback: Callable[[*Ts], object], *args: *Ts, context: contextvars.Context | None = None
    ) -> asyncio.TimerHandle:
        return self.call_at(self._now + delay, callback, *args, context=context)

    def call_at(
        self, when: float, callback: Callable[[*Ts], object], *args: *Ts, context: contextvars.Context | None = None
    ) -> asyncio.TimerHandle:
        if self._closed:
            raise RuntimeError("the event loop is closed")
        timer = _Timer(when, callback, args, self, context)
        self._timers_set += 1
        heappush(self._timers, (when, self._timers_set, timer))
        return timer

    def _timer_handle_cancelled(self, handle: asyncio.TimerHandle) -> None:
        """Called by `TimerHandle.cancel`.  What nobody waits for any more is at most half of the heap."""
        self._cancels += 1
        if self._cancels > MIN_SWEPT and 2 * self._cancels > len(self._timers):
            self._timers = [timer for timer in self._timers if not timer[2]._cancelled and timer[2] is not handle]
            heapify(self._timers)
            self._cancels = 0

    def _run_once(self) -> None:
        """One turn: what is ready now.  When nothing is, the clock jumps to the next timer first."""
        ready, timers = self._ready, self._timers
        if not ready and not self._stopping:
            while timers and timers[0][2]._cancelled:
                heappop(timers)
            if not timers:
                raise SimulationStalled(_stall_report(self, self._now))
            self._now = max(self._now, timers[0][0])
            if self._now > self._limit:
                raise SimulationTooLong(f"the simulation did not end within {self._limit:g} virtual seconds")
        due = self._now + RESOLUTION_S
        while timers and timers[0][0] < due:
            ready.append(heappop(timers)[2])
        for _ in range(len(ready)):  # what they make ready is for the next turn
            handle = ready.popleft()
            if handle._cancelled:
                continue
            try:
                handle._context.run(handle._callback, *handle._args)
            except (SystemExit, KeyboardInterrupt):
                raise
            except BaseException as exc:
                told = {"message": f"Exception in callback {handle}", "exception": exc, "handle": handle}
                self.call_exception_handler(told)


class _Handle(asyncio.Handle):
    """asyncio's, without where it was made, which debug mode tells."""

    __slots__ = ()

    def __init__(
        self,
        callback: Callable[..., object],
        args: tuple[object, ...],
        loop: asyncio.AbstractEventLoop,
        context: contextvars.Context | None,
    ) -> None:
        self._context = context if context is not None else contextvars.copy_context()
        self._loop = loop
        self._callback = callback
        self._args = args
        self._cancelled = False
        self._repr = None
        self._source_traceback = None


class _Timer(asyncio.TimerHandle):
    """As `_Handle`."""

    __slots__ = ()

    def __init__(
        self,
        when: float,
        callback: Callable[..., object],
        args: tuple[object, ...],
        loop: "VirtualTimeLoop",
        context: contextvars.Context | None,
    ) -> None:
        self._context = context if context is not None else contextvars.copy_context()
        self._loop = loop
        self._callback = callback
        self._args = args
        self._cancelled = False
        self._repr = None
        self._source_traceback = None
        self._when = when
        self._scheduled = False

    def cancel(self) -> None:
        if not self._cancelled:
            self._cancelled = True
            self._callback, self._args = _nothing, ()  # what they hold is freed
            self._loop._timer_handle_cancelled(self)


def _nothing() -> None:
    """What a cancelled timer would call."""


class _NoSelector(selectors.BaseSelector):
    """The loop's selector: watches nothing, and is never asked."""

    def __init__(self) -> None:
        self.stay_out = False  # set once the loop has registered its own wake-up pipe
        self._keys: dict[int, selectors.SelectorKey] = {}

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        return []

    def register(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        if self.stay_out:
            raise RuntimeError(
                "real sockets and files cannot be watched under virtual time; use the platform's network"
            )
        fd = fileobj if isinstance(fileobj, int) else fileobj.fileno()
        key = self._keys[fd] = selectors.SelectorKey(fileobj, fd, events, data)
        return key

    def unregister(self, fileobj: Any) -> selectors.SelectorKey:
        return self._keys.pop(fileobj if isinstance(fileobj, int) else fileobj.fileno())

    def close(self) -> None:
        self._keys.clear()

    def get_map(self) -> Mapping[Any, selectors.SelectorKey]:
        return self._keys


def _stall_report(loop: VirtualTimeLoop, now: float) -> str:
    tasks = sorted(asyncio.all_tasks(loop), key=lambda task: task.get_name())
    lines = [f"at {now:.6f} s nothing is left to do, and {len(tasks)} tasks would wait for ever:"]
    for task in tasks[:MAX_LISTED_TASKS]:
        stack = task.get_stack(limit=1)
        where = f"{stack[-1].f_code.co_filename}:{stack[-1].f_lineno}" if stack else "an unknown place"
        lines.append(f"  {task.get_name()} waits in {where} ({_innermost(task)})")
    if len(tasks) > MAX_LISTED_TASKS:
        lines.append(f"  and {len(tasks) - MAX_LISTED_TASKS} more")
    return "\n".join(lines)


def _innermost(task: "asyncio.Task[Any]") -> str:
    """The deepest coroutine that the task waits in, as `file:line`."""
    where = "not started"
    coro: Any = task.get_coro()
    while coro is not None:
        frame = getattr(coro, "cr_frame", None)
        if frame is None:
            break
        where = f"{frame.f_code.co_qualname} line {frame.f_lineno}"
        coro = getattr(coro, "cr_await", None)
    return where


def run(main: Coroutine[Any, Any, T], seed: int = 0, max_virtual_s: float = LONGEST_RUN_S) -> T:
    """Run `main` to its end on a fresh `VirtualTimeLoop`, then cancel what is left and close the loop.

    An exception of `main` carries the seed as a note, so that the run can be repeated.

    Raises:
        SimulationStalled: everything waits for ever; the message lists the tasks and where they wait.
        SimulationTooLong: `max_virtual_s` passed.
    """
    with asyncio.Runner(loop_factory=lambda: VirtualTimeLoop(seed, max_virtual_s)) as runner:
        try:
            return runner.run(main)
        except BaseException as exc:
            exc.add_note(f"seed {seed}")
            raise


def current_loop() -> VirtualTimeLoop:
    """The running loop.  Raises `RuntimeError` when it is not a `VirtualTimeLoop`."""
    loop = asyncio.get_running_loop()
    if not isinstance(loop, VirtualTimeLoop):
        raise RuntimeError("the simulated network runs only under virtual time; start it with peerkit.testing.run")
    return loop
