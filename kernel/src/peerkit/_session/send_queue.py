"""What a session has to send, and in which order: control frames, then datagrams, then streams by priority.

Streams of one priority share fairly, `QUANTUM` bytes a turn.  Not here: what the frames mean, received frames.
"""

from collections import deque

from ..errors import RemoteProtocolError
from ..transport import Buffer
from . import frames
from .stream_state import StreamState

QUANTUM = 16_384  # bytes of one stream before the next of its priority has its turn
MAX_CONTROL_FRAMES = 10_000  # queued answers and credits: a peer that never reads cannot make us queue without end
MAX_AT_ONCE_BYTES = 512  # as long as the longest reason, so that it fits every packet
MAX_AT_ONCE_FRAMES = 64  # waiting; with more, streams wait for their turn again
MAX_UNRELIABLE = 256  # queued datagrams, pings and answers to pings; the oldest are dropped
PRIORITIES = 8
_STREAM_END, _OPEN_END = frames.STREAM | frames.FIN, frames.STREAM_OPEN | frames.FIN
_pack_stream, _pack_open = frames.STREAM_HEADER.pack, frames.OPEN_HEADER.pack
_NONE: deque[StreamState] = deque(maxlen=0)  # of a priority that no stream had yet: an empty deque takes 0.6 KiB


class SendQueue:
    """Args:
    credit: bytes that the peer allows on all streams together.

    Attributes:
        sent: stream bytes given out so far.
        bytes_out: the same with all frames' headers.
    """

    def __init__(self, credit: int) -> None:
        self.sent = 0
        self.credit = credit
        self.bytes_out = 0
        self.datagrams_dropped = 0
        self._control: deque[bytes] = deque()
        self._unreliable: deque[tuple[bytes, Buffer]] = deque()
        self._ready: list[deque[StreamState]] = [_NONE] * PRIORITIES
        self._ready_count = 0

    @property
    def wants_to_send(self) -> bool:
        return bool(self._control or self._unreliable or (self._ready_count and self.sent < self.credit))

    def control(self, frame: bytes) -> None:
        """Queue a control frame.  Raises `RemoteProtocolError` when the peer has read nothing for too long."""
        if len(self._control) >= MAX_CONTROL_FRAMES:
            raise RemoteProtocolError("the peer reads none of our answers")
        self._control.append(frame)

    def unreliable(self, header: bytes, body: Buffer = b"") -> bool:
        """Queue a frame that may be lost; `False` when the queue was full and the oldest had to go."""
        self._unreliable.append((header, body))
        if len(self._unreliable) > MAX_UNRELIABLE:
            self._unreliable.popleft()
            self.datagrams_dropped += 1
            return False
        return True

    def stream(self, state: StreamState) -> None:
        """`state` may have something to send."""
        if not state.ready and self._has_work(state):
            state.ready = True
            if self._ready[state.priority] is _NONE:
                self._ready[state.priority] = deque()
            self._ready[state.priority].append(state)
            self._ready_count += 1

    def announce(self, state: StreamState) -> None:
        """Let the peer know of a stream before the control frames that follow."""
        state.opened = True
        self.control(frames.OPEN_HEADER.pack(frames.STREAM_OPEN, state.kind, state.protocol, state.id, 0))

    def at_once(self, state: StreamState, data: bytes | memoryview) -> bool:
        """Queue all of a short message with its end as one frame, past the streams' turns; `False` when it has to take
        its turn: it is long, or something waits already, or there is no credit."""
        size = len(data)
        if (
            size > MAX_AT_ONCE_BYTES
            or self._ready_count
            or state.send_offset
            or state.pending
            or size > state.send_credit
            or self.sent + size > self.credit
            or len(self._control) >= MAX_AT_ONCE_FRAMES
        ):
            return False
        if state.opened:
            header = _pack_stream(_STREAM_END, state.id, 0, size)
        else:
            state.opened = True
            header = _pack_open(_OPEN_END, state.kind, state.protocol, state.id, size)
        self._control.append(header + data)
        self.sent += size
        state.send_offset = size
        state.fin_queued = state.fin_sent = True
        return True

    def take_lone(self, max_bytes: int) -> bytes:
        """The one frame that waits, as a request or an answer does; empty when it is otherwise: `take` knows more."""
        control = self._control
        if len(control) != 1 or self._ready_count or self._unreliable or len(control[0]) > max_bytes:
            return b""
        frame = control.popleft()
        self.bytes_out += len(frame)
        return frame

    def take(self, max_bytes: int, sent_all: list[StreamState]) -> list[Buffer]:
        """Whole frames, at most `max_bytes` together.  Streams whose end went out are added to `sent_all`."""
        out: list[Buffer] = []
        room = max_bytes
        while self._control and len(self._control[0]) <= room:
            frame = self._control.popleft()
            room -= len(frame)
            out.append(frame)
        while self._unreliable and len(self._unreliable[0][0]) + len(self._unreliable[0][1]) <= room:
            header, body = self._unreliable.popleft()
            room -= len(header) + len(body)
            out += (header, body) if body else (header,)
        if self._ready_count:
            room = self._serve_all(room, out, sent_all)
        self.bytes_out += max_bytes - room
        return out

    # -- for carriers that lose packets --------------------------------------------------------------------------

    def unreliable_payloads(self, max_bytes: int, count: int) -> list[bytes]:
        """Rows of frames that may be lost, for at most `count` packets of `max_bytes`."""
        out: list[bytes] = []
        parts: list[Buffer] = []
        room = max_bytes
        while self._unreliable and len(out) < count:
            header, body = self._unreliable[0]
            size = len(header) + len(body)
            if room < size <= max_bytes:
                out.append(b"".join(parts))
                parts, room = [], max_bytes
                continue
            self._unreliable.popleft()
            if size > max_bytes:  # the path takes less than when it was queued
                self.datagrams_dropped += 1
                continue
            parts += (header, body)
            room -= size
        if parts:
            out.append(b"".join(parts))
        self.bytes_out += sum(map(len, out))
        return out

    def reliable_payloads(self, max_bytes: int, count: int, sent_all: list[StreamState]) -> list[bytes]:
        """Rows of all other frames, for at most `count` packets of `max_bytes`.  As `take`, streams whose end went out
        are added to `sent_all`."""
        out: list[bytes] = []
        while len(out) < count:
            if self._control:
                if len(self._control[0]) > max_bytes:  # a peer record on a relay's narrow path: others tell it
                    self._control.popleft()
                    continue
            elif self._ready_count and self._full_payloads(max_bytes, count - len(out), out):
                continue
            parts: list[Buffer] = []
            room = max_bytes
            while self._control and len(self._control[0]) <= room:
                parts.append(self._control.popleft())
                room -= len(parts[-1])
            if self._ready_count:
                self._serve_all(room, parts, sent_all)
            if not parts:
                break
            out.append(b"".join(parts))
        self.bytes_out += sum(map(len, out))
        return out

    def _full_payloads(self, max_bytes: int, count: int, out: list[bytes]) -> bool:
        """Append payloads of exactly `max_bytes`, a frame of the next stream in each; `False` when it has not so much.

        A row of them costs one `struct` and one join each, so this is what a long stream lives on."""
        queue = next(queue for queue in self._ready if queue)
        state = queue[0]
        size = max_bytes - frames.STREAM_HEADER.size
        if self._ready_count > 1:
            count = min(count, max(1, QUANTUM // max_bytes))
        offset = state.send_offset
        credit = min(state.send_credit - offset, self.credit - self.sent)
        count = min(count, min(state.queued_bytes, credit) // size) if state.opened else 0
        if count <= 0:
            return False
        pack, stream, id = frames.STREAM_HEADER.pack, frames.STREAM, state.id
        offsets = range(offset, offset + count * size, size)
        out += [pack(stream, id, at, size) + piece for at, piece in zip(offsets, state.cut(size, count), strict=True)]
        self.sent += count * size
        queue.popleft()
        self._ready_count -= 1
        state.ready = False
        self.stream(state)
        return True

    def _serve_all(self, room: int, out: list[Buffer], sent_all: list[StreamState]) -> int:
        for queue in self._ready:
            if queue:
                room = self._serve(queue, room, out, sent_all)
        return room

    def _serve(self, queue: deque[StreamState], room: int, out: list[Buffer], sent_all: list[StreamState]) -> int:
        """One round or more over the streams of one priority; returns the room that is left."""
        turns = len(queue)
        while queue and room > frames.STREAM_HEADER.size and turns:
            state = queue.popleft()
            self._ready_count -= 1
            state.ready = False
            turns -= 1
            limit = room if not queue else min(room, QUANTUM + frames.STREAM_HEADER.size)
            room -= self._take_frame(state, limit, out)
            if state.fin_sent:
                sent_all.append(state)
            elif self._has_work(state):
                self.stream(state)
                if room >= QUANTUM:
                    turns += 1
        return room

    def _has_work(self, state: StreamState) -> bool:
        if not state.opened:
            return True
        if state.pending:
            return state.send_offset < state.send_credit and self.sent < self.credit
        return state.fin_queued and not state.fin_sent

    def _take_frame(self, state: StreamState, limit: int, out: list[Buffer]) -> int:
        """Append one frame of `state`; returns its size, 0 when it has nothing to send now."""
        size = frames.STREAM_HEADER.size if state.opened else frames.OPEN_HEADER.size
        offset = state.send_offset
        data = state.take(min(limit - size, self.credit - self.sent))
        length = 0 if data is None else len(data)
        fin = state.fin_queued and not state.pending and not state.fin_sent
        if not (length or fin or not state.opened):
            return 0
        if state.opened:
            out.append(frames.STREAM_HEADER.pack(frames.STREAM | fin, state.id, offset, length))
        else:
            state.opened = True
            kind = frames.STREAM_OPEN | fin
            out.append(frames.OPEN_HEADER.pack(kind, state.kind, state.protocol, state.id, length))
        if data is not None:
            out.append(data)
            self.sent += length
        state.fin_sent = state.fin_sent or fin
        return size + length

    def drop_streams(self) -> None:
        """The session is over: nothing of streams goes out any more; control frames do (the farewell is among them)."""
        self._unreliable.clear()
        self._ready = [_NONE] * PRIORITIES
        self._ready_count = 0
