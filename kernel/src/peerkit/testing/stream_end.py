"""`StreamEnd`, a pipe handler that keeps what it gets, and `Acceptor`, which makes one for each pipe that comes in.

PYTEST_DONT_REWRITE: a broken promise is told by its sentence; to compare megabytes for it would take minutes.
"""

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING

from ..transport import Pipe

WAIT_S = 60.0  # for what was promised; real sockets of a busy machine may need a few


class StreamEnd:
    """A `PipeHandler` that keeps what it gets and holds the pipe to the order of its calls.

    What the pipe does against its promises is kept, and raised as `AssertionError` where the test waits next: raised at
    once it would end in the transport.

    Args:
        buffer_bytes: how much the pipe may bring at once.
    """

    def __init__(self, pipe: Pipe, buffer_bytes: int = 65_536) -> None:
        self.pipe = pipe
        self.received = bytearray()
        self.lost: str | None = None
        self.is_paused = False
        self.pauses = 0
        self._broken = ""
        self._buffer = bytearray(buffer_bytes)
        self._changed = asyncio.Event()

    def get_buffer(self, size_hint: int) -> bytearray:
        return self._buffer

    def buffer_updated(self, nbytes: int) -> None:
        self._hold(self.lost is None, "bytes came after connection_lost")
        self._hold(0 < nbytes <= len(self._buffer), f"{nbytes} bytes came into a buffer of {len(self._buffer)}")
        self.received += self._buffer[:nbytes]
        self._changed.set()

    def pause_writing(self) -> None:
        self._hold(not self.is_paused, "pause_writing was called twice")
        self.is_paused = True
        self.pauses += 1
        self._changed.set()

    def resume_writing(self) -> None:
        self._hold(self.is_paused, "resume_writing was called without pause_writing")
        self.is_paused = False
        self._changed.set()

    def connection_lost(self, reason: str) -> None:
        self._hold(self.lost is None, "connection_lost was called twice")
        self.lost = reason
        self._changed.set()

    async def until(self, condition: Callable[[], bool], what: str) -> None:
        """Raises `AssertionError` when `what` does not come about for `WAIT_S`."""
        try:
            async with asyncio.timeout(WAIT_S):
                while not condition() and not self._broken:
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError:
            raise AssertionError(f"for {WAIT_S:g} s {what}") from None
        assert not self._broken, self._broken

    async def until_received(self, count: int) -> bytes:
        await self.until(
            lambda: len(self.received) >= count or self.lost is not None,
            f"fewer than {count} bytes came, and no connection_lost",
        )
        return bytes(self.received)

    async def until_lost(self) -> str:
        await self.until(lambda: self.lost is not None, "connection_lost was not called")
        assert self.lost is not None
        return self.lost

    def _hold(self, kept: bool, broken: str) -> None:
        if not kept:
            self._broken = self._broken or broken
            self._changed.set()


class Acceptor:
    """The `PipeAccept` of a listener; keeps the ends that it made."""

    def __init__(self, refuses: bool = False, buffer_bytes: int = 65_536) -> None:
        self.ends: list[StreamEnd] = []
        self._refuses = refuses
        self._buffer_bytes = buffer_bytes
        self._came = asyncio.Event()

    def __call__(self, pipe: Pipe) -> StreamEnd | None:
        if self._refuses:
            return None
        self.ends.append(StreamEnd(pipe, self._buffer_bytes))
        self._came.set()
        return self.ends[-1]

    async def end(self, index: int = 0) -> StreamEnd:
        try:
            async with asyncio.timeout(WAIT_S):
                while len(self.ends) <= index:
                    self._came.clear()
                    await self._came.wait()
        except TimeoutError:
            raise AssertionError(f"for {WAIT_S:g} s the listener told of {len(self.ends)} pipes only") from None
        return self.ends[index]


if TYPE_CHECKING:
    from ..transport import PipeAccept, PipeHandler

    _end_fits: type[PipeHandler] = StreamEnd
    _accepts: PipeAccept = Acceptor()
