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


class Waiting:
    """One request; its answer comes into `future`."""

    __slots__ = ("deadline", "future", "incoming", "protocol", "timeout_s")

    def __init__(self, future: asyncio.Future[bytes], protocol: str, deadline: float, timeout_s: float) -> None:
        self.future = future
        self.protocol = protocol
        self.deadline = deadline
        self.timeout_s = timeout_s
        self.incoming: Incoming | None = None  # of an answer that does not come in one frame


class Requests:
    """Those of one session that wait."""

    def __init__(self, session: RuntimeSession, mux: Mux, context: SessionContext) -> None:
        self._session = session
        self._mux = mux
        self._context = context
        self._waiting: dict[StreamState, Waiting] = {}  # ordered: a simulation repeats
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = math.inf

    def add(self, state: StreamState, protocol: str, now: float, timeout_s: float) -> asyncio.Future[bytes]:
        """What the answer on a stream of ours will come into."""
        future: asyncio.Future[bytes] = self._context.loop.create_future()
        deadline = now + timeout_s
        state.answer = self._waiting[state] = Waiting(future, protocol, deadline, timeout_s)
        if deadline < self._timer_at:
            self._arm(deadline)
        return future

    def discard(self, state: StreamState) -> None:
        self._waiting.pop(state, None)

    def answered(self, state: StreamState, waiting: Waiting) -> None:
        """Something of the answer came, or the end of all hope for it."""
        future = waiting.future
        if future.done():
            return
        if state.reset_code is not None:
            future.set_exception(_failure(state, waiting.protocol))
            return
        whole = self._mux.take_whole(state, MAX_ANSWER_BYTES)
        if whole is not None:
            future.set_result(whole)
            return
        incoming = waiting.incoming = waiting.incoming or Incoming(state, MAX_ANSWER_BYTES)
        try:
            self._session.give_back(state, incoming.take())
        except LimitExceeded as exc:
            future.set_exception(exc)
            self._session.reset_stream(state, Code.LIMIT)
            return
        if state.at_end:
            future.set_result(incoming.body)

    def end(self, error: EndpointClosed) -> None:
        """The session is over."""
        if self._timer is not None:
            self._timer.cancel()
        for waiting in self._waiting.values():
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
        for state, waiting in [(s, w) for s, w in self._waiting.items() if w.deadline <= now]:
            del self._waiting[state]
            if not waiting.future.done():
                what = f"a request for {waiting.protocol}"
                waiting.future.set_exception(DeadlineExceeded(what, waiting.timeout_s))
            self._session.reset_stream(state, Code.TIMEOUT)
        if self._waiting:
            self._arm(min(w.deadline for w in self._waiting.values()))


def _failure(state: StreamState, protocol: str) -> PeerkitError:
    if state.reset_code == Code.FAILURE:
        code, _, sentence = state.reset_reason.partition("\0")
        return RemoteFailure(protocol, code[:32], sentence)
    return closed_error(state)
