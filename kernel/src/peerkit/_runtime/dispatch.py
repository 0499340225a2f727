"""Brings a peer's streams, requests, messages and datagrams to the protocols' handlers.

A plain `on_request` runs in the callback that received the request, without a task; everything else runs as a task of
the protocol's owner, `max_concurrent` at a time for each peer and protocol, the rest in order.
"""

from __future__ import annotations

import asyncio
import inspect
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine
from functools import partial
from typing import TYPE_CHECKING, cast

from .._session.frames import Kind
from .._session.mux import Mux
from .._session.stream_state import StreamState
from ..errors import DeadlineExceeded, LimitExceeded, PeerkitError, RemoteProtocolError
from ..limits import Budget
from ..protocol import ProtocolSpec, Request
from ..session import Code
from ..trust import Action, Question
from .incoming import Incoming
from .plugin_call import call_plugin, call_plugin_async
from .requests import Waiting
from .session_context import SessionContext
from .stream import RuntimeStream

if TYPE_CHECKING:
    from .session import RuntimeSession

_REQUEST, _MESSAGE = Kind.REQUEST, Kind.MESSAGE  # before Python 3.12 each search for a member costs 70 ns
_TRUST_LIFE_S = 1.0  # a protocol that the gate allowed is not asked about again for so long (a question costs 4 µs)


Start = Callable[[], Coroutine[object, object, None]]


class Dispatch:
    """The handlers' side of one session.

    Args:
        protocols: agreed ids by index.
    """

    def __init__(self, session: RuntimeSession, mux: Mux, context: SessionContext, protocols: tuple[str, ...]) -> None:
        self._session = session
        self._mux = mux
        self._context = context
        self._protocols = protocols
        # `None`: the plugin that spoke it has gone
        self._specs: list[ProtocolSpec | None] = [context.specs.get(protocol) for protocol in protocols]
        self._tallies = [context.tally(protocol) for protocol in protocols]
        self._queued: dict[int, deque[tuple[StreamState, Start]]] = {}  # by protocol
        self._handlers: dict[int, Budget] = {}  # those that run, by protocol, from the first one on
        self._allowed_until = [-1.0] * len(protocols)
        self._cancels: dict[Callable[[], None], int] = {}  # of each its protocol; ordered: a simulation repeats
        self._is_async = [_is_async(context, spec) for spec in self._specs]

    def opened(self, state: StreamState) -> None:
        """The peer opened a stream."""
        spec = self._specs[state.protocol]
        if spec is None:
            self._session.reset_stream(state, Code.REFUSED, _switched_off(self._protocols[state.protocol]))
            return
        if not self._is_allowed(state.protocol, spec.id):
            self._session.reset_stream(state, Code.DENIED, "denied")
            return
        kind = state.kind
        if kind is _MESSAGE:
            is_whole = spec.on_message is not None
        else:
            is_whole = spec.on_request is not None and (kind is _REQUEST or spec.on_stream is None)
        if is_whole:
            body = self._mux.take_whole(state, spec.max_request_bytes)
            if body is None:
                state.answer = Incoming(state, spec.max_request_bytes)
                self.readable(state)
            else:
                self._handle(state, spec, body)
        elif spec.on_stream is not None:
            self._start_stream(RuntimeStream(self._session, state, spec.id), spec)
        else:
            self._session.reset_stream(state, Code.REFUSED, f"{spec.id} takes no {kind.name.lower()}")

    def _is_allowed(self, index: int, protocol: str) -> bool:
        session = self._session
        now = session.last_received_at
        if now < self._allowed_until[index]:
            return True
        question = Question(Action.OPEN_PROTOCOL, session.peer_id, session.remote, protocol)
        allowed = self._context.gate.check(question).allow
        if allowed:
            self._allowed_until[index] = now + _TRUST_LIFE_S
        return allowed

    # -- whole messages ------------------------------------------------------------------------------------------

    def readable(self, state: StreamState) -> None:
        """More of a request or message came."""
        incoming = state.answer
        if not isinstance(incoming, Incoming):
            return
        if state.reset_code is not None:
            state.answer = None
            return
        try:
            self._session.give_back(state, incoming.take())
        except LimitExceeded as exc:
            self._fail(state, exc)
            return
        if state.at_end:
            state.answer = None
            spec = self._specs[state.protocol]
            if spec is not None:
                self._handle(state, spec, incoming.body)

    def _handle(self, state: StreamState, spec: ProtocolSpec, body: bytes) -> None:
        request = Request(self._session, spec.id, body)
        is_message = state.kind is _MESSAGE
        handler = spec.on_message if is_message else spec.on_request
        assert handler is not None
        if self._is_async[state.protocol][is_message]:
            work = cast(Callable[[Request], Awaitable[bytes | None]], handler)
            self._start_handler(state, spec, partial(work, request))
            return
        try:
            answer = call_plugin(self._tallies[state.protocol], spec.id, handler, request)
        except PeerkitError as exc:
            self._fail(state, exc)
            return
        if isinstance(answer, bytes):
            if not is_message:
                self._session.mux_write(state, answer, fin=True)
        elif inspect.isawaitable(answer):
            self._start_handler(state, spec, lambda: answer)
        else:
            self._answer(state, answer)

    def _answer(self, state: StreamState, answer: object) -> None:
        if state.kind is _MESSAGE or state.fin_queued:
            return  # nobody waits for it any more
        if not isinstance(answer, bytes | bytearray | memoryview):
            protocol, kind = self._protocols[state.protocol], type(answer).__name__
            self._context.log.error("a handler must return bytes", protocol=protocol, returned=kind)
            self._tallies[state.protocol].failed(protocol, f"it answered with {kind} instead of bytes")
            self._session.reset_stream(state, Code.FAILURE, "internal\0the handler returned no bytes")
            return
        data = answer if isinstance(answer, bytes) else memoryview(answer).cast("B")
        self._session.mux_write(state, data, fin=True)

    def _start_handler(
        self, state: StreamState, spec: ProtocolSpec, work: Callable[[], Awaitable[bytes | None]]
    ) -> None:
        self._enqueue(state, lambda: self._answer_later(state, spec, work))

    async def _answer_later(
        self, state: StreamState, spec: ProtocolSpec, work: Callable[[], Awaitable[bytes | None]]
    ) -> None:
        tally = self._tallies[state.protocol]
        try:
            async with asyncio.timeout(spec.timeout_s):
                answer = await call_plugin_async(tally, spec.id, work)
        except TimeoutError:
            tally.failed(spec.id, f"a handler took longer than {spec.timeout_s:g} s and was cancelled")
            self._fail(state, DeadlineExceeded(f"the handler of {spec.id}", spec.timeout_s))
        except PeerkitError as exc:
            self._fail(state, exc)
        else:
            if self._session.is_open:
                self._answer(state, answer)

    def _fail(self, state: StreamState, error: PeerkitError) -> None:
        """Answer with an error: its code and sentence."""
        self._session.reset_stream(state, Code.FAILURE, f"{error.code}\0{error}")

    # -- streams, tasks, datagrams -------------------------------------------------------------------------------

    def _start_stream(self, stream: RuntimeStream, spec: ProtocolSpec) -> None:
        self._enqueue(stream._state, lambda: self._serve(stream, spec))

    async def _serve(self, stream: RuntimeStream, spec: ProtocolSpec) -> None:
        assert spec.on_stream is not None
        try:
            await call_plugin_async(self._tallies[stream._state.protocol], spec.id, spec.on_stream, stream)
            if self._session.is_open and stream._state.reset_code is None:
                await stream.finish()
                stream.stop(Code.NONE)
        except PeerkitError as exc:
            if isinstance(exc, RemoteProtocolError):
                self._context.counters.broken_rules += 1
            self._context.log.debug("a stream's handler ended", protocol=spec.id, error=str(exc))
            self._session.reset_stream(stream._state, Code.FAILURE, f"{exc.code}\0{exc}")

    def _enqueue(self, state: StreamState, start: Start) -> None:
        """Run as a task now, or when an earlier one of this peer and protocol has ended.  The queue is bounded by the
        number of streams that the peer may have open; with too many handlers of all peers the stream is refused."""
        index = state.protocol
        spec = self._specs[index]
        if spec is None:
            return
        running = self._handlers.get(index)
        if running is None:
            running = self._handlers[index] = self._context.handlers.open(spec.id, spec.max_concurrent)
        if running.used >= running.limit:
            self._queued.setdefault(index, deque()).append((state, start))
            return
        try:
            running.reserve(1)
        except LimitExceeded as exc:
            self._fail(state, exc)
            return
        cancel: Callable[[], None] | None = None

        async def run() -> None:
            try:
                await start()
            finally:
                running.release(1)
                if cancel is not None:
                    self._cancels.pop(cancel, None)
                queued = self._queued.get(index)
                while queued and running.used < running.limit and self._session.is_open:
                    self._enqueue(*queued.popleft())

        owner = self._context.owners.get(spec.id, "")
        cancel = self._context.supervisor.spawn(owner, spec.id, run())
        self._cancels[cancel] = index

    def datagram(self, index: int, body: bytes) -> None:
        protocol = self._protocols[index]
        spec = self._specs[index]
        if spec is None or spec.on_datagram is None or not self._is_allowed(index, protocol):
            return
        try:
            call_plugin(self._tallies[index], protocol, spec.on_datagram, self._session, body)
        except PeerkitError as exc:
            self._context.log.debug("a datagram's handler failed", protocol=protocol, error=str(exc))

    # -- protocols that come and go ------------------------------------------------------------------------------

    def withdraw(self, index: int) -> None:
        """Nobody here speaks this protocol any more: what runs and waits of it is refused."""
        protocol = self._protocols[index]
        self._specs[index] = None
        self._queued.pop(index, None)
        for cancel in [cancel for cancel, of in self._cancels.items() if of == index]:
            cancel()
        for state in [state for state in self._mux.streams.values() if state.protocol == index]:
            if not isinstance(state.answer, Waiting):  # the peer's answer may come all the same
                self._session.reset_stream(state, Code.REFUSED, _switched_off(protocol))
                if isinstance(state.answer, RuntimeStream):
                    state.answer.wake()

    def restore(self, index: int) -> None:
        """It is spoken again, maybe by another plugin."""
        protocol = self._protocols[index]
        spec = self._specs[index] = self._context.specs[protocol]
        self._tallies[index] = self._context.tally(protocol)
        self._is_async[index] = _is_async(self._context, spec)
        running = self._handlers.pop(index, None)
        if running is not None:
            running.close()

    def end(self) -> None:
        """The session is over: stop its handlers."""
        self._queued.clear()
        for running in self._handlers.values():
            running.close()
        for cancel in tuple(self._cancels):
            cancel()


def _switched_off(protocol: str) -> str:
    return f"{protocol} is not spoken here any more"


def _is_async(context: SessionContext, spec: ProtocolSpec | None) -> tuple[bool, bool]:
    """Of a protocol's (on_request, on_message).  Asked once for a node: it costs as much as a small handler."""
    if spec is None:
        return False, False
    known = context.async_handlers.get(spec.id)
    if known is None:
        known = inspect.iscoroutinefunction(spec.on_request), inspect.iscoroutinefunction(spec.on_message)
        context.async_handlers[spec.id] = known
    return known
