"""What the peer may send: credit for all streams together, and the window of each, which grows with its use."""

from ..errors import RemoteProtocolError
from ..limits import Budget
from . import frames
from .send_queue import SendQueue
from .stream_state import StreamState

MAX_WINDOW = 8 * 1024 * 1024  # what one stream may have unread here after growth; the session's budget bounds the sum


class ReceiveCredit:
    """Credit is an absolute count of bytes and is renewed when half of a window has been read (RFC 9000 §4).

    Args:
        outgoing: where the frames that renew credit go.
        window, session_window: bytes that one stream, and all together, may have unread at first.
        memory: what windows may grow by, a share of the node's.

    Attributes:
        received, consumed: bytes of all streams so far.
        limit: bytes that the peer may send in all.
        is_held: renew nothing for now.
    """

    __slots__ = ("_memory", "_outgoing", "_session_window", "_window", "consumed", "is_held", "limit", "received")

    def __init__(self, outgoing: SendQueue, window: int, session_window: int, memory: Budget) -> None:
        self._outgoing = outgoing
        self._window = window
        self._session_window = session_window
        self._memory = memory
        self.received = 0
        self.consumed = 0
        self.limit = session_window
        self.is_held = False

    def count(self, nbytes: int) -> None:
        """Count bytes that came.  Raises `RemoteProtocolError` beyond the session's credit."""
        self.received += nbytes
        if self.received > self.limit:
            raise RemoteProtocolError("the peer sent more than the session's credit")

    def give_back(self, nbytes: int) -> None:
        """The application took `nbytes`, or they will never be read."""
        self.consumed += nbytes
        if self.limit - self.consumed <= self._session_window // 2 and not self.is_held:
            self.limit = self.consumed + self._session_window
            self._outgoing.control(frames.MAX_SESSION_HEADER.pack(frames.MAX_SESSION, self.limit))

    def renew(self, state: StreamState, now: float, rtt_s: float) -> None:
        """Renew one stream's credit, if it is time.  A window that is used up within two round trips doubles, so that
        it grows to the path's bandwidth-delay product."""
        if state.receive_credit - state.consumed > state.window // 2 or self.is_held:
            return
        if now - state.window_at < 2 * rtt_s and state.window < MAX_WINDOW and self._memory.free >= state.window:
            self._memory.reserve(state.window)
            state.window *= 2
        state.window_at = now
        state.receive_credit = state.consumed + state.window
        self._outgoing.control(frames.MAX_STREAM_HEADER.pack(frames.MAX_STREAM, state.id, state.receive_credit))

    def release(self, nbytes: int) -> None:
        """A stream is over by whose window had grown by `nbytes`."""
        self._memory.release(nbytes)

    def close(self) -> None:
        self._memory.close()
