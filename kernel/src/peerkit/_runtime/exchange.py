"""Whole messages on a stream: our request waiting for its answer, and the peer's request on its way in.

Neither makes a task: a request that comes whole is answered in the callback that received it.  One timer serves all
waiting requests of a session.
"""

from __future__ import annotations

import asyncio

from .._session.stream_state import StreamState
from ..errors import LimitExceeded


class Incoming:
    """A message that is being received.

    Args:
        max_bytes: longest body that is taken.
    """

    __slots__ = ("_max_bytes", "_parts", "_size", "state")

    def __init__(self, state: StreamState, max_bytes: int) -> None:
        self.state = state
        self._max_bytes = max_bytes
        self._parts: list[bytes] = []
        self._size = 0
        state.answer = self

    def take(self) -> int:
        """Move what is buffered out of the stream; returns how much.  Raises `LimitExceeded` when the body is too long."""
        n = self.state.buffered
        if n:
            self._size += n
            if self._size > self._max_bytes:
                raise LimitExceeded(f"a message of more than {self._max_bytes} bytes was refused")
            self._parts.append(self.state.read(n))
        return n

    @property
    def body(self) -> bytes:
        return self._parts[0] if len(self._parts) == 1 else b"".join(self._parts)


class Waiting(Incoming):
    """Our own request: its answer comes into `future`."""

    __slots__ = ("deadline", "future", "protocol", "timeout_s")

    def __init__(
        self,
        state: StreamState,
        max_bytes: int,
        future: asyncio.Future[bytes],
        protocol: str,
        deadline: float,
        timeout_s: float,
    ) -> None:
        super().__init__(state, max_bytes)
        self.future = future
        self.protocol = protocol
        self.deadline = deadline
        self.timeout_s = timeout_s
