"""Our own requests of one session: their answers, and their deadlines on one timer.

A timer or a task for each request would cost a third of the speed (measured on the prototype); so one timer serves all,
and is set again only when it fires or an earlier deadline comes.
"""

from __future__ import annotations

import asyncio
import math
from typing import TYPE_CHECKING

from .._session.mux import Mux
from .._session.stream_state import StreamState, closed_error
from ..errors import DeadlineExceeded, EndpointClosed, LimitExceeded, PeerkitError
from ..session import Code, RemoteFailure
from .incoming import Incoming
from .session_context import SessionContext

if TYPE_CHECKING:
    from .session import RuntimeSession

MAX_ANSWER_BYTES = 16 * 1024 * 1024  # stops a peer from filling our memory with one answer


class Waiting(Incoming):
    """One request; its answer comes into `future`."""

    __slots__ = ("deadline", "future", "protocol", "timeout_s")

    def __init__(
        self, state: StreamState, future: asyncio.Future[bytes], protocol: str, deadline: float, timeout_s: float
    ) -> None:
        self.state = state
        self._max_bytes = MAX_ANSWER_BYTES
        self._parts = []
        self._size = 0
        state.answer = self
        self.future = future
        self.protocol = protocol
        self.deadline = deadline
        self.timeout_s = timeout_s


class Requests:
    """Those of one session that wait."""

    def __init__(self, session: RuntimeSession, mux: Mux, context: SessionContext) -> None:
        self._session = session
        self._mux = mux
        self._context = context
        self._waiting: dict[Waiting, None] = {}  # ordered: a simulation repeats
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = math.inf

    def add(self, state: StreamState, protocol: str, deadline: float, timeout_s: float) -> Waiting:
        waiting = Waiting(state, self._context.loop.create_future(), protocol, deadline, timeout_s)
        self._waiting[waiting] = None
        if deadline < self._timer_at:
            self._arm(deadline)
        return waiting

    def discard(self, waiting: Waiting) -> None:
        self._waiting.pop(waiting, None)
        waiting.state.answer = None  # or the two would hold each other until the garbage collector comes

    def answered(self, waiting: Waiting) -> None:
        """Something of the answer came, or the end of all hope for it."""
        state, future = waiting.state, waiting.future
        if future.done():
            return
        if state.reset_code is not None:
            future.set_exception(_failure(waiting))
            return
        whole = self._mux.take_whole(state, MAX_ANSWER_BYTES)
        if whole is not None:
            future.set_result(whole)
            return
        try:
            self._session.give_back(state, waiting.take())
        except LimitExceeded as exc:
            future.set_exception(exc)
            self._session.reset_stream(state, Code.LIMIT)
            return
        if state.at_end:
            future.set_result(waiting.body)

    def end(self, error: EndpointClosed) -> None:
        """The session is over."""
        if self._timer is not None:
            self._timer.cancel()
        for waiting in self._waiting:
            if not waiting.future.done():
                waiting.future.set_exception(error)

    def _arm(self, deadline: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer_at = deadline
        delay_s = max(0.0, deadline - self._context.clock.now())
        self._timer = self._context.loop.call_later(delay_s, self._expire)

    def _expire(self) -> None:
        self._timer, self._timer_at = None, math.inf
        now = self._context.clock.now()
        for waiting in [w for w in self._waiting if w.deadline <= now]:
            self._waiting.pop(waiting, None)
            if not waiting.future.done():
                what = f"a request for {waiting.protocol}"
                waiting.future.set_exception(DeadlineExceeded(what, waiting.timeout_s))
            self._session.reset_stream(waiting.state, Code.TIMEOUT)
        if self._waiting:
            self._arm(min(w.deadline for w in self._waiting))


def _failure(waiting: Waiting) -> PeerkitError:
    state = waiting.state
    if state.reset_code == Code.FAILURE:
        code, _, sentence = state.reset_reason.partition("\0")
        return RemoteFailure(waiting.protocol, code[:32], sentence)
    return closed_error(state)
