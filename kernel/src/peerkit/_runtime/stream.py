"""The application's end of one stream: waiting around a `StreamState`.  The promises are `peerkit.session.Stream`'s."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from .._session.stream_state import StreamState, closed_error
from ..errors import EndpointClosed, LocalProtocolError, RemoteProtocolError
from ..session import Code, Session, Stream
from ..transport import Buffer

if TYPE_CHECKING:
    from .session import RuntimeSession


class RuntimeStream:
    """One stream, one side."""

    __slots__ = ("_protocol", "_reader", "_session", "_state", "_writer")

    def __init__(self, session: RuntimeSession, state: StreamState, protocol: str) -> None:
        self._session = session
        self._state = state
        self._protocol = protocol
        self._reader: asyncio.Future[None] | None = None
        self._writer: asyncio.Future[None] | None = None
        state.answer = self

    def __repr__(self) -> str:
        return f"<Stream {self._state.id} {self._protocol} with {self._session.peer_id.short}>"

    @property
    def id(self) -> int:
        return self._state.id

    @property
    def protocol(self) -> str:
        return self._protocol

    @property
    def session(self) -> Session:
        return self._session

    @property
    def priority(self) -> int:
        return self._state.priority

    @priority.setter
    def priority(self, value: int) -> None:
        if not 0 <= value <= 7:
            raise LocalProtocolError(f"a stream's priority is 0 to 7, not {value}")
        self._state.priority = value

    async def read(self, max_bytes: int = 65_536) -> bytes:
        if not await self._has_more():
            return b""
        data = self._state.read(max_bytes)
        self._session.give_back(self._state, len(data))
        return data

    async def read_into(self, buffer: bytearray | memoryview) -> int:
        if not await self._has_more():
            return 0
        n = self._state.read_into(memoryview(buffer))
        self._session.give_back(self._state, n)
        return n

    async def read_exactly(self, n: int) -> bytes:
        parts: list[bytes] = []
        missing = n
        while missing:
            part = await self.read(missing)
            if not part:
                raise RemoteProtocolError(f"the peer finished {self._protocol} {missing} bytes early")
            parts.append(part)
            missing -= len(part)
        return parts[0] if len(parts) == 1 else b"".join(parts)

    async def write(self, data: Buffer) -> None:
        state = self._state
        self._check_writable()
        self._session.mux_write(state, data if isinstance(data, bytes) else memoryview(data).cast("B"), fin=False)
        while state.pending:
            await self._wait_writable()
            self._check_writable()

    async def finish(self) -> None:
        state = self._state
        if state.fin_queued:
            return
        self._check_writable()
        self._session.mux_write(state, b"", fin=True)

    def reset(self, code: int = Code.CANCELLED) -> None:
        self._session.reset_stream(self._state, code)
        self.wake()

    def stop(self, code: int = Code.CANCELLED) -> None:
        self._session.stop_stream(self._state, code)

    def _check_writable(self) -> None:
        state = self._state
        if state.stopped is not None:
            raise EndpointClosed(f"stream {state.id}", "the peer wants no more of it", state.stopped, True)
        if not self._session.is_open or (state.reset_code is not None and state.fin_queued):
            raise closed_error(state)

    async def _has_more(self) -> bool:
        """Wait until there is something to read; `False` at the end."""
        state = self._state
        while not state.buffered:
            if state.reset_code is not None:
                raise closed_error(state)
            if state.at_end:
                return False
            await self._wait_readable()
        return True

    async def _wait_readable(self) -> None:
        if self._reader is not None:
            raise LocalProtocolError(f"two tasks read stream {self._state.id} at once")
        self._reader = self._session.loop.create_future()
        try:
            await self._reader
        finally:
            self._reader = None

    async def _wait_writable(self) -> None:
        if self._writer is not None:
            raise LocalProtocolError(f"two tasks write stream {self._state.id} at once")
        self._writer = self._session.loop.create_future()
        self._session.await_writable(self)
        try:
            await self._writer
        finally:
            self._writer = None

    # -- called by the session -----------------------------------------------------------------------------------

    @property
    def write_done(self) -> bool:
        return not self._state.pending

    def wake_reader(self) -> None:
        if self._reader is not None and not self._reader.done():
            self._reader.set_result(None)

    def wake_writer(self) -> None:
        if self._writer is not None and not self._writer.done():
            self._writer.set_result(None)

    def wake(self) -> None:
        self.wake_reader()
        self.wake_writer()


if TYPE_CHECKING:
    _fits: type[Stream] = RuntimeStream
