"""Names what blocks the event loop, and ends a process that stays blocked.

A thread looks whether the loop still turns.  After 1 s without a turn it logs the stack of the loop's thread, and which
plugin was called for what; after 30 s (`[node] hang_exit_s`) it ends the process, so that a service manager starts it
again.  Only for `peerkit up`: embedded, a node does not end its host; under virtual time there are no threads.
"""

import asyncio
import logging
import os
import re
import sys
import threading
import time
import traceback
from collections.abc import Callable
from types import FrameType

from .plugin_call import plugin_on_stack

WARN_S = 1.0
WARN_AT_START_S, EXIT_AT_START_S = 10.0, 120.0  # a node imports and checks its plugins then, maybe beside many others
EXIT_S = 30.0
EXIT_STATUS = 70  # EX_SOFTWARE of sysexits.h
_TURN_S = 0.25

_PLUGIN_MODULE = re.compile(r"peerkit_([a-z0-9_]+)(\.|$)")
_log = logging.getLogger("peerkit.watchdog")


def _end_process() -> None:
    logging.shutdown()
    os._exit(EXIT_STATUS)


class Watchdog:
    """Watches the running loop from `start` to `stop`.

    Args:
        warn_s, exit_s: when to tell and when to end, seconds; they may be changed.
        end: what ends the process; for tests.
    """

    def __init__(self, warn_s: float = WARN_S, exit_s: float = EXIT_S, end: Callable[[], None] = _end_process) -> None:
        self.warn_s = warn_s
        self.exit_s = exit_s
        self._end = end
        self._turn_s = min(_TURN_S, warn_s / 4)
        self._beats = 0
        self._done = threading.Event()
        self._thread: threading.Thread | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    def start(self) -> None:
        """Begin; called on the loop's thread."""
        self._loop = asyncio.get_running_loop()
        self._beat()
        watched = threading.get_ident()
        self._thread = threading.Thread(target=self._watch, args=(watched,), name="peerkit watchdog", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End the thread.  Idempotent."""
        self._done.set()
        if self._timer is not None:
            self._timer.cancel()
        if self._thread is not None:
            self._thread.join(1.0)

    def _beat(self) -> None:
        assert self._loop is not None
        self._beats += 1
        self._timer = self._loop.call_later(self._turn_s, self._beat)

    def _watch(self, watched: int) -> None:
        seen, blocked_s, told = -1, 0.0, False
        before = time.monotonic()
        while not self._done.wait(self._turn_s):
            now = time.monotonic()
            # At most two turns count: a process that was stopped (SIGSTOP, a suspended machine) did not hang.
            passed, before = min(now - before, 2 * self._turn_s), now
            if self._beats != seen:
                if told:
                    _log.warning("the event loop turns again after %.1f s", blocked_s)
                seen, blocked_s, told = self._beats, 0.0, False
                continue
            blocked_s += passed
            if blocked_s >= self.warn_s and not told:
                told = True
                _log.error("the event loop has not turned for %.1f s, %s", blocked_s, _where(watched))
            if blocked_s >= self.exit_s:
                _log.critical(
                    "the event loop has not turned for %.0f s, %s: the process ends", blocked_s, _where(watched)
                )
                self._end()
                return


def _where(thread: int) -> str:
    frame = sys._current_frames().get(thread)
    if frame is None:
        return "its thread is gone"
    stack = "".join(traceback.format_stack(frame))
    return f"blocked by {_owner(frame)} in\n{stack.rstrip()}"


def _owner(frame: FrameType | None) -> str:
    """The innermost plugin on the stack: whom the kernel called, else whose module it is (a callback of its own)."""
    called = plugin_on_stack(frame)
    if called is not None and called[0]:
        return f"plugin {called[0]} ({called[1]})"
    while frame is not None:
        match = _PLUGIN_MODULE.match(str(frame.f_globals.get("__name__", "")))
        if match:
            return f"plugin {match[1]}"
        frame = frame.f_back
    return "the kernel or the application"
