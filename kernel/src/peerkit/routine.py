"""A named job that the node repeats; can be listed, started, stopped and re-timed at run time (`peerkit routines`)."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Routine:
    """One job.

    Attributes:
        name: `<plugin>.<what>`, unique on the node.
        run: called on a supervised task; an exception is logged and counted, and the next turn comes as usual.  It may
            be cancelled at any moment, and however it ends it leaves no task, timer or open file behind.
        interval_s: seconds between the end of one run and the start of the next, > 0.
        jitter: the interval is drawn from ±this share of itself, 0..1.
        autostart: `False` adds the routine without starting it.
        first_after_s: delay before the first run; `None` means one (jittered) interval.
        timeout_s: a run that takes longer is cancelled.
    """

    name: str
    run: Callable[[], Awaitable[None]]
    interval_s: float
    jitter: float = 0.1
    autostart: bool = True
    first_after_s: float | None = None
    timeout_s: float = 300.0
