"""Many streams, datagrams and credit on one secured connection.  A state machine without I/O.

In:   frames of the peer (`receive_frames`), writes of the application, credit it gives back (`consumed`).
Out:  frames to send (`frames_to_send`), events (`What`, subject) returned by `receive_frames`.
Not here: waiting, sealing, sockets, which protocol a stream belongs to.

A carrier may deliver a frame twice or out of order (see `frames`).  Flow control is QUIC's (RFC 9000 §4): absolute
offsets per stream and for the session, counts of streams; credit is renewed when half of a window has been read.
"""

import struct
from typing import assert_never

from ..errors import LimitExceeded, LocalProtocolError, RemoteProtocolError
from ..limits import Budget
from ..transport import Buffer
from . import control_frames as control
from . import frames
from .control_frames import CUT_SHORT, read_control
from .events import Event, What
from .frames import Kind
from .receive_credit import ReceiveCredit
from .remote_streams import RemoteStreams
from .send_queue import SendQueue
from .stream_state import COPY_BELOW, StreamState

MIN_WINDOW = 65_536
STREAM_BYTES, OPEN_BYTES = frames.STREAM_HEADER.size, frames.OPEN_HEADER.size

# Before Python 3.12 a member of an enum costs a search each time it is named (measured: 70 ns).
OPENED, READABLE, MESSAGE = What.OPENED, What.READABLE, Kind.MESSAGE


class Mux:
    """One end of a session.

    Args:
        is_dialer: the dialer's streams have odd ids.
        window, session_window: bytes that one stream, and all together, may have unread here.
        max_streams: streams the peer may have open at once.
        peer_*: the same from the peer's Hello.
        memory: what windows may grow by, a share of the node's; it is closed with the session.

    Attributes:
        outgoing: what waits to be sent.
        credit: what the peer may send.
        may_open: streams that the peer allows to open now.
    """

    def __init__(
        self,
        is_dialer: bool,
        window: int,
        session_window: int,
        max_streams: int,
        peer_window: int,
        peer_session_window: int,
        peer_max_streams: int,
        memory: Budget,
    ) -> None:
        self.streams: dict[int, StreamState] = {}
        self.unknown_frames = 0
        self.streams_opened = 0
        self.protocols = 0  # number of agreed protocols; indexes beyond are refused
        self._next_id = 1 if is_dialer else 2
        self._window = window
        self._peer_window = peer_window
        self.outgoing = SendQueue(peer_session_window)
        self.credit = ReceiveCredit(self.outgoing, session_window, memory)
        self._may_open = peer_max_streams  # cumulative, as the peer tells it
        self.may_open = peer_max_streams
        self._remote = RemoteStreams(is_dialer, max_streams)

    # -- sending -------------------------------------------------------------------------------------------------

    @property
    def wants_to_send(self) -> bool:
        return self.outgoing.wants_to_send

    def open(self, kind: Kind, protocol: int) -> StreamState:
        """A new stream; its opening frame goes out with the first bytes, the end, or `announce`.

        Raises:
            LimitExceeded: the peer allows no further stream now.
        """
        if not self.may_open:
            raise LimitExceeded(f"the peer allows no more than {self._may_open} streams so far; wait for some to end")
        state = StreamState(self._next_id, kind, protocol, True, self._peer_window, self._window)
        self._next_id += 2
        self.may_open -= 1
        self.streams_opened += 1
        self.streams[state.id] = state
        return state

    def write(self, state: StreamState, data: bytes | memoryview, fin: bool = False) -> None:
        """Queue bytes, and the end with `fin`.  Raises `LocalProtocolError` after the end."""
        if state.fin_queued:
            if data or not fin:
                raise LocalProtocolError(f"stream {state.id} is finished: nothing can be written any more")
            return
        if state.stopped is not None:
            return  # the peer does not want it; nothing is lost but what it refused
        if fin and self.outgoing.at_once(state, data):
            if not state.buffered and state.receive_done:
                self._forget(state)
            return
        state.queue(data)
        state.fin_queued = fin
        self.outgoing.stream(state)

    def announce(self, state: StreamState) -> None:
        """Let the peer know of a stream that has no bytes yet."""
        self.outgoing.stream(state)

    def reset(self, state: StreamState, code: int, reason: str = "") -> None:
        """End both directions at once.  Idempotent."""
        if state.id not in self.streams:
            return
        if not state.opened:
            self.outgoing.announce(state)  # the peer must learn of the id, or its count of streams would be wrong
        if not state.fin_sent:
            self.outgoing.control(frames.reset(state.id, code, state.send_offset, reason))
        if not state.receive_done:
            self.outgoing.control(frames.STOP_HEADER.pack(frames.STOP, state.id, code & 0xFFFF))
        state.end_sending()
        if state.reset_code is None and not state.at_end:
            state.reset_code, state.reset_reason = code, reason
        self.credit.give_back(state.buffered)
        state.discard()
        self._forget(state)

    def stop(self, state: StreamState, code: int) -> None:
        """Ask the peer to send no more."""
        if not state.receive_done:
            self.outgoing.control(frames.STOP_HEADER.pack(frames.STOP, state.id, code & 0xFFFF))

    def ping(self, nonce: bytes) -> None:
        self.outgoing.unreliable(frames.PING_HEADER.pack(frames.PING, nonce))

    def send_datagram(self, protocol: int, data: Buffer) -> bool:
        """Queue a datagram; `False` when the queue was full and the oldest had to go."""
        return self.outgoing.unreliable(frames.DATAGRAM_HEADER.pack(frames.DATAGRAM, protocol, len(data)), data)

    def frames_to_send(self, max_bytes: int) -> list[Buffer]:
        """Whole frames, at most `max_bytes` together; control first, then datagrams, then streams by priority."""
        sent_all: list[StreamState] = []
        out = self.outgoing.take(max_bytes, sent_all)
        if sent_all:
            self.ends_sent(sent_all)
        return out

    def ends_sent(self, states: list[StreamState]) -> None:
        """The last frames of these streams are on their way."""
        for state in states:
            if state.receive_done and not state.buffered:
                self._forget(state)

    # -- receiving -----------------------------------------------------------------------------------------------

    def receive_frames(self, data: bytes | memoryview) -> list[Event]:
        """Take the plaintext of one record or packet.

        Raises:
            RemoteProtocolError: a malformed frame or a broken rule; the session must be closed.
        """
        events: list[Event] = []
        at, end = 0, len(data)
        if end >= COPY_BELOW:
            data = memoryview(data)  # pieces of it are not copied; small ones are, in one step, by cutting `bytes`
        try:
            while at < end:
                kind = data[at]
                if kind & 0xFE == frames.STREAM:
                    _, id, offset, length = frames.STREAM_HEADER.unpack_from(data, at)
                    start, at = at + STREAM_BYTES, at + STREAM_BYTES + length
                    if at > end:
                        raise RemoteProtocolError(CUT_SHORT)
                    self._on_stream(id, offset, data[start:at], kind & frames.FIN, events)
                elif kind & 0xFE == frames.STREAM_OPEN:
                    _, what, protocol, id, length = frames.OPEN_HEADER.unpack_from(data, at)
                    start, at = at + OPEN_BYTES, at + OPEN_BYTES + length
                    if at > end:
                        raise RemoteProtocolError(CUT_SHORT)
                    self._on_open(id, what, protocol, data[start:at], kind & frames.FIN, events)
                else:
                    at = self._on_control(data, at, events)
        except struct.error:
            raise RemoteProtocolError(CUT_SHORT) from None
        return events

    def _on_open(
        self, id: int, what: int, protocol: int, data: bytes | memoryview, fin: int, events: list[Event]
    ) -> None:
        if what > MESSAGE or protocol >= self.protocols:
            raise RemoteProtocolError("a stream was opened for a protocol that was not agreed")
        if not self._remote.opening(id):
            return  # a copy of an opening that we had
        state = self.streams.get(id) or self._new_remote(id)
        state.kind = frames.KINDS[what]
        state.protocol = protocol
        state.opened = True
        if what == MESSAGE:
            state.fin_queued = state.fin_sent = True
        if state.reset_code is None:
            self.credit.count(state.receive(0, data, fin))
        events.append((OPENED, state))

    def _new_remote(self, id: int) -> StreamState:
        state = self.streams[id] = StreamState(id, Kind.STREAM, 0, False, self._peer_window, self._window)
        state.opened = False
        self.streams_opened += 1
        return state

    def _known_or_expected(self, id: int) -> StreamState | None:
        """`None`: of a stream that has ended, so the frame is late or repeated."""
        return self.streams.get(id) or (self._new_remote(id) if self._remote.expects(id) else None)

    def _on_stream(self, id: int, offset: int, data: bytes | memoryview, fin: int, events: list[Event]) -> None:
        state = self.streams.get(id) or self._known_or_expected(id)
        if state is None or state.reset_code is not None:
            return
        self.credit.count(state.receive(offset, data, fin))
        if state.opened:
            events.append((READABLE, state))
        if not state.buffered and state.fin_sent and state.receive_done:
            self._forget(state)  # the end came by itself, after everything was read

    def _on_control(self, data: bytes | memoryview, at: int, events: list[Event]) -> int:
        """One frame that carries no stream data; returns where the next begins."""
        frame, at = read_control(data, at)
        match frame:
            case control.MaxStream(id, offset):
                state = self.streams.get(id)
                if state is not None and offset > state.send_credit:
                    state.send_credit = offset
                    self.outgoing.stream(state)
            case control.MaxSession(offset):
                if offset > self.outgoing.credit:
                    self.outgoing.credit = offset
                    for state in self.streams.values():
                        self.outgoing.stream(state)
            case control.MaxStreams(count):
                if count > self._may_open:
                    self.may_open += count - self._may_open
                    self._may_open = count
                    events.append((What.STREAMS, None))
            case control.Reset(id, code, offset, reason):
                self._on_reset(id, code, offset, reason, events)
            case control.Stop(id, code):
                self._on_stop(id, code, events)
            case control.Ping(nonce):
                self.outgoing.unreliable(frames.PING_HEADER.pack(frames.PONG, nonce))
            case control.Pong(nonce):
                events.append((What.PONG, nonce))
            case control.Datagram(protocol, body):
                if protocol < self.protocols:
                    events.append((What.DATAGRAM, (protocol, body)))
                else:
                    self.unknown_frames += 1
            case control.Close(code, reason):
                events.append((What.CLOSED, (code, reason)))
                return len(data)
            case control.Record(signed):
                events.append((What.RECORD, signed))
            case control.Join():
                events.append((What.JOIN, None))
            case control.Joined(code, reason):
                events.append((What.JOINED, (code, reason)))
            case control.Unknown():
                self.unknown_frames += 1
            case _:
                assert_never(frame)
        return at

    def _on_stop(self, id: int, code: int, events: list[Event]) -> None:
        state = self._known_or_expected(id)
        if state is None or state.stopped is not None or state.fin_sent:
            return
        state.stopped = code
        state.end_sending()
        self.outgoing.control(frames.reset(id, code, state.send_offset))
        events.append((What.STOPPED, state))
        if state.receive_done and not state.buffered:
            self._forget(state)

    def _on_reset(self, id: int, code: int, offset: int, reason: str, events: list[Event]) -> None:
        state = self._known_or_expected(id)
        if state is None or state.receive_done:
            return
        if offset < state.highest or (state.final_offset is not None and state.final_offset != offset):
            raise RemoteProtocolError(f"stream {id} was reset at an impossible offset")
        if offset > state.receive_credit:
            raise RemoteProtocolError(f"stream {id} was reset beyond its credit")
        self.credit.count(offset - state.highest)
        state.reset_code, state.reset_reason = code, reason
        self.credit.give_back(offset - state.consumed)
        state.discard()
        if state.opened:
            events.append((What.READABLE, state))
        if state.fin_sent:
            self._forget(state)

    # -- reading and ending --------------------------------------------------------------------------------------

    def consumed(self, state: StreamState, nbytes: int) -> None:
        """The application took `nbytes` of a stream."""
        self.credit.give_back(nbytes)
        if not state.receive_done:
            self.credit.renew(state)
        elif not state.buffered and state.fin_sent:
            self._forget(state)

    def take_whole(self, state: StreamState, max_bytes: int) -> bytes | None:
        """A message that came in one frame, the ordinary case; `None` when it did not, or was read already, or when it
        is longer than `max_bytes`."""
        body = state.whole
        n = state.buffered
        if body is None or n > max_bytes:
            return None
        state.whole = None
        state.buffered = 0
        state.consumed = n
        self.credit.give_back(n)
        if state.fin_sent:
            self._forget(state)
        return body

    def _forget(self, state: StreamState) -> None:
        if self.streams.pop(state.id, None) is None:
            return
        if state.is_ours:
            return
        if not state.opened:
            self._remote.opening(state.id)  # ended before its opening frame came, which then counts as a copy
        if self._remote.ended():
            self.outgoing.control(frames.MAX_STREAMS_HEADER.pack(frames.MAX_STREAMS, self._remote.allowed))

    def end(self, reason: str, code: int) -> list[StreamState]:
        """The connection is gone: every stream fails.  Returns them, to wake whoever waits."""
        ended = list(self.streams.values())
        for state in ended:
            if state.reset_code is None and not state.receive_done:
                state.reset_code, state.reset_reason = code, reason
            state.end_sending()
        self.streams.clear()
        self.outgoing.drop_streams()
        self.credit.close()
        return ended
