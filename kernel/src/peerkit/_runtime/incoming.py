"""A message on its way in that did not come in one frame: the peer's request, or the answer to ours."""

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

    def take(self) -> int:
        """Move what is buffered out of the stream; returns how much.  Raises `LimitExceeded` when it is too long."""
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
