"""What the peer may send: credit for all streams together, and the window of each; both grow with their use."""

from ..errors import RemoteProtocolError
from ..limits import Budget
from . import frames
from .send_queue import SendQueue
from .stream_state import StreamState

MAX_WINDOW = 8 * 1024 * 1024  # what one stream may have unread here after growth
MAX_SESSION_WINDOW = 16 * 1024 * 1024  # what all streams of a session together may; bounds the sum of their windows
FIRST_ROUND_TRIP_S = 0.05  # a guess until one is measured
LEAST_ROUND_TRIP_S = 0.01  # windows grow by; on loopback an application's own pauses are longer than the way


class ReceiveCredit:
    """Credit is an absolute count of bytes and is renewed when half of a window has been read (RFC 9000 §4).  A window
    of which half is used up within two round trips doubles, so that it grows to the path's bandwidth-delay product.

    Args:
        outgoing: where the frames that renew credit go.
        session_window: bytes that all streams together may have unread at first.
        memory: what that window may grow by, a share of the node's; it is closed with the session.

    Attributes:
        received, consumed: bytes of all streams so far.
        limit: bytes that the peer may send in all.
        is_held: renew nothing for now.
        now: the time, as far as windows care; whoever receives or reads sets it.
    """

    __slots__ = (
        "_memory",
        "_outgoing",
        "_renewed_at",
        "_round_trip_s",
        "_session_window",
        "consumed",
        "is_held",
        "limit",
        "now",
        "received",
    )

    def __init__(self, outgoing: SendQueue, session_window: int, memory: Budget) -> None:
        self._outgoing = outgoing
        self._session_window = session_window
        self._memory = memory
        self._renewed_at = 0.0
        self.received = 0
        self.consumed = 0
        self.limit = session_window
        self.is_held = False
        self.now = 0.0
        self._round_trip_s = FIRST_ROUND_TRIP_S

    def measured(self, round_trip_s: float) -> None:
        self._round_trip_s = max(round_trip_s, LEAST_ROUND_TRIP_S)

    def count(self, nbytes: int) -> None:
        """Count bytes that came.  Raises `RemoteProtocolError` beyond the session's credit."""
        self.received += nbytes
        if self.received > self.limit:
            raise RemoteProtocolError("the peer sent more than the session's credit")

    def give_back(self, nbytes: int) -> None:
        """The application took `nbytes`, or they will never be read."""
        self.consumed += nbytes
        window = self._session_window
        if self.limit - self.consumed > window // 2 or self.is_held:
            return
        if self._is_fast(self._renewed_at) and window < MAX_SESSION_WINDOW and self._memory.free >= window:
            self._memory.reserve(window)
            self._session_window = 2 * window
        self._renewed_at = self.now
        self.limit = self.consumed + self._session_window
        self._outgoing.control(frames.MAX_SESSION_HEADER.pack(frames.MAX_SESSION, self.limit))

    def renew(self, state: StreamState) -> None:
        """Renew one stream's credit, if it is time.  Its window needs no memory of its own: the session's bounds it."""
        if state.receive_credit - state.consumed > state.window // 2 or self.is_held:
            return
        if self._is_fast(state.window_at) and state.window < MAX_WINDOW:
            state.window *= 2
        state.window_at = self.now
        state.receive_credit = state.consumed + state.window
        self._outgoing.control(frames.MAX_STREAM_HEADER.pack(frames.MAX_STREAM, state.id, state.receive_credit))

    def _is_fast(self, renewed_at: float) -> bool:
        return self.now - renewed_at < 2 * self._round_trip_s

    def close(self) -> None:
        self._memory.close()
