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
import random
import selectors
from collections.abc import Callable, Coroutine, Mapping
from typing import Any, NoReturn, TypeVar

T = TypeVar("T")

LONGEST_RUN_S = 4e6  # 46 days; beyond, a float no longer resolves the loop's nanosecond and timers would not fire

MAX_LISTED_TASKS = 12  # of a stalled simulation; enough to find the cause


class SimulationStalled(RuntimeError):
    """Nothing is left to do and the main task is not done: on a real clock it would wait for ever."""


class SimulationTooLong(RuntimeError):
    """The virtual time limit of the run was reached."""


class VirtualTimeLoop(asyncio.SelectorEventLoop):
    """A selector loop whose `time()` starts at 0 and jumps from timer to timer.

    Args:
        seed: seeds `rng`, from which simulated networks draw.
        max_virtual_s: `SimulationTooLong` is raised when the clock passes this; stops a run whose routines go on for
            ever.

    Attributes:
        at_close: called when the loop has closed, last first: what a simulation holds outside of it is let go there.
    """

    def __init__(self, seed: int = 0, max_virtual_s: float = LONGEST_RUN_S) -> None:
        self.seed = seed
        self.rng = random.Random(seed)
        self.at_close: list[Callable[[], None]] = []
        self._clock = _JumpingClock(self, max_virtual_s)
        super().__init__(self._clock)
        self._clock.stay_out = True
        self._clock_resolution = 1e-9  # as the monotonic clock of Linux

    def time(self) -> float:
        return self._clock.now

    def run_in_executor(self, executor: object, func: object, *args: object) -> NoReturn:
        """Always raises: use `Platform.run_blocking`, which runs inline here."""
        raise RuntimeError("no threads under virtual time; blocking work goes through the platform's run_blocking")

    def close(self) -> None:
        super().close()
        while self.at_close:
            self.at_close.pop()()

    def next_timer_at(self) -> float | None:
        """When the earliest timer is due, cancelled ones included."""
        scheduled: list[asyncio.TimerHandle] = self._scheduled  # type: ignore[attr-defined]
        return scheduled[0].when() if scheduled else None


class _JumpingClock(selectors.BaseSelector):
    """The loop's selector: watches nothing, and instead of waiting it moves the time forward."""

    def __init__(self, loop: VirtualTimeLoop, max_virtual_s: float) -> None:
        self.now = 0.0
        self.stay_out = False  # set once the loop has registered its own wake-up pipe
        self._loop = loop
        self._limit = min(max_virtual_s, LONGEST_RUN_S)
        self._keys: dict[int, selectors.SelectorKey] = {}

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None:
            raise SimulationStalled(_stall_report(self._loop, self.now))
        if timeout > 0:
            due = self._loop.next_timer_at()
            later = self.now + timeout
            # the sum may miss the timer by a rounding; asyncio also cuts long waits into days
            self.now = due if due is not None and abs(due - later) < 1e-6 else later
            if self.now > self._limit:
                raise SimulationTooLong(f"the simulation did not end within {self._limit:g} virtual seconds")
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
