"""One stream's two directions: bytes to send with the peer's credit, bytes received with ours.

In: data and credit from the mux, reads and writes from the application.  Not here: frames, other streams, waiting.
"""

from collections import deque

from ..errors import EndpointClosed, RemoteProtocolError
from .frames import Kind
from .reassembly import Reassembly

COPY_BELOW = 16_384  # a small slice would keep its whole 128 KiB record alive: copy it instead


class StreamState:
    """Both directions of one stream.

    Attributes:
        id: odd when the dialer of the session opened it.
        kind: what the opener wants.
        protocol: index into the session's agreed protocols.
        send_offset: bytes given to the carrier so far; `send_credit` is how many the peer allows in all.
        received: highest offset received; `receive_credit` what we allow; `consumed` what the application took.
        whole: a message that came in one frame and that nobody has read: the ordinary case, which needs no chunks.
        answer: whatever waits for this stream (the runtime's business).
    """

    __slots__ = (
        "_chunks",
        "_gaps",
        "answer",
        "buffered",
        "consumed",
        "fin_queued",
        "fin_sent",
        "final_offset",
        "id",
        "is_ours",
        "kind",
        "opened",
        "pending",
        "priority",
        "protocol",
        "queued_bytes",
        "ready",
        "receive_credit",
        "received",
        "reset_code",
        "reset_reason",
        "send_credit",
        "send_offset",
        "stopped",
        "whole",
        "window",
        "window_at",
    )

    def __init__(self, id: int, kind: Kind, protocol: int, is_ours: bool, send_credit: int, window: int) -> None:
        self.id = id
        self.kind = kind
        self.protocol = protocol
        self.is_ours = is_ours
        self.opened = not is_ours  # whether the opening frame went out or came in
        self.priority = 3
        self.ready = False  # in the mux's queue of streams with something to send
        # sending
        self.pending: deque[bytes | memoryview] | None = None  # made when bytes wait: a short message's never do
        self.queued_bytes = 0
        self.send_offset = 0
        self.send_credit = send_credit
        self.fin_queued = False
        self.fin_sent = False
        self.stopped: int | None = None  # the peer's STOP code
        # receiving
        self.whole: bytes | None = None
        self._chunks: deque[bytes | memoryview] | None = None
        self.buffered = 0
        self.received = 0
        self.consumed = 0
        self.receive_credit = window
        self.window = window
        self.window_at = 0.0
        self.final_offset: int | None = None
        self.reset_code: int | None = None
        self.reset_reason = ""
        self._gaps: Reassembly | None = None
        self.answer: object = None

    def __repr__(self) -> str:
        return f"<StreamState {self.id} sent {self.send_offset} received {self.received}>"

    @property
    def receive_done(self) -> bool:
        """Everything that will ever come has come (or was reset)."""
        return self.reset_code is not None or (self.final_offset is not None and self.received == self.final_offset)

    @property
    def at_end(self) -> bool:
        """The application has read everything and the peer has finished."""
        return not self.buffered and self.final_offset is not None and self.received == self.final_offset

    def queue(self, data: bytes | memoryview) -> None:
        if data:
            if self.pending is None:
                self.pending = deque()
            self.pending.append(data)
            self.queued_bytes += len(data)

    def end_sending(self) -> None:
        """Nothing more goes out, also not what waits."""
        self.pending = None
        self.queued_bytes = 0
        self.fin_queued = self.fin_sent = True

    def take(self, max_bytes: int) -> bytes | memoryview | None:
        """The next piece to send, at most `max_bytes`, within the peer's credit; `None` when there is none."""
        room = min(max_bytes, self.send_credit - self.send_offset)
        if not self.pending or room <= 0:
            return None
        piece = self.pending[0]
        if len(piece) <= room:
            self.pending.popleft()
        else:
            head = memoryview(piece)
            piece = head[:room]
            self.pending[0] = head[room:]
        self.send_offset += len(piece)
        self.queued_bytes -= len(piece)
        return piece

    def cut(self, size: int, count: int) -> list[bytes | memoryview]:
        """The next `count` pieces of exactly `size`; the caller knows that they and the credit are there."""
        self.send_offset += size * count
        self.queued_bytes -= size * count
        pending, pieces = self.pending, list[bytes | memoryview]()
        while count and pending:
            piece = pending[0]
            whole = min(count, len(piece) // size)
            if whole:
                view = memoryview(piece)
                pieces += [view[at : at + size] for at in range(0, whole * size, size)]
                count -= whole
                if whole * size == len(piece):
                    pending.popleft()
                else:
                    pending[0] = view[whole * size :]
                continue
            parts, missing = [], size  # across the ends of what was written
            while missing:
                part = memoryview(pending.popleft())
                if len(part) > missing:
                    pending.appendleft(part[missing:])
                    part = part[:missing]
                parts.append(part)
                missing -= len(part)
            pieces.append(b"".join(parts))
            count -= 1
        return pieces

    def receive(self, offset: int, data: bytes | memoryview, fin: int) -> int:
        """Take a piece at `offset`.  Returns by how much the highest offset grew (for the session's credit).

        Raises:
            RemoteProtocolError: beyond our credit, past the final offset, a second and different end, too many gaps.
        """
        length = len(data)
        end = offset + length
        if end > self.receive_credit:
            raise self.beyond_credit(end)
        if fin:
            if self.final_offset is not None and self.final_offset != end:
                raise RemoteProtocolError(f"stream {self.id} ended twice at different places")
            self.final_offset = end
        if self.final_offset is not None and end > self.final_offset:
            raise RemoteProtocolError(f"stream {self.id} went on past its end")
        if offset == self.received and self._gaps is None:  # the ordinary case, always so on an ordered carrier
            if fin and not offset:
                self.whole = bytes(data)
                self.buffered = self.received = length
            elif length:
                self.append(bytes(data) if length < COPY_BELOW else data)
            return length
        return self._receive_out_of_order(offset, data, end)

    def beyond_credit(self, end: int) -> RemoteProtocolError:
        """What to raise when bytes come up to `end`, more than we allow."""
        return RemoteProtocolError(f"stream {self.id} sent {end} bytes where {self.receive_credit} were allowed")

    def _receive_out_of_order(self, offset: int, data: bytes | memoryview, end: int) -> int:
        before = self.highest
        gaps = self._gaps if self._gaps is not None else Reassembly()
        if offset > self.received:
            gaps.add(offset, bytes(data))
        elif end > self.received:
            self.append(bytes(data[self.received - offset :]))
            for piece in gaps.take(self.received):
                self.append(piece)
        self._gaps = gaps or None
        return max(0, self.highest - before)

    def append(self, piece: bytes | memoryview) -> None:
        if self._chunks is None:
            self._chunks = deque()
        self._chunks.append(piece)
        self.buffered += len(piece)
        self.received += len(piece)

    @property
    def highest(self) -> int:
        """The highest offset of which anything came."""
        return self.received if self._gaps is None else max(self.received, self._gaps.highest)

    def takes_next(self, offset: int, length: int) -> bool:
        """Whether a piece without an end can be appended as it is: the ordinary case of a long stream."""
        return (
            offset == self.received
            and self._gaps is None
            and self.opened
            and self.reset_code is None
            and self.final_offset is None
            and offset + length <= self.receive_credit
        )

    def read(self, max_bytes: int) -> bytes:
        """Up to `max_bytes` of what is buffered, in order; `b""` when nothing is."""
        chunks = self._unread()
        if not chunks:
            return b""
        head = chunks[0]
        if len(head) >= max_bytes:
            taken = bytes(head[:max_bytes])
            if len(head) == max_bytes:
                chunks.popleft()
            else:
                chunks[0] = memoryview(head)[max_bytes:]
        elif len(chunks) == 1:
            chunks.popleft()
            taken = bytes(head)
        else:
            parts, room = [], max_bytes
            while chunks and len(chunks[0]) <= room:
                part = chunks.popleft()
                parts.append(part)
                room -= len(part)
            taken = b"".join(parts)
        self.buffered -= len(taken)
        self.consumed += len(taken)
        return taken

    def read_into(self, view: memoryview) -> int:
        """As much as is buffered and fits, in order."""
        chunks = self._unread()
        at, end = 0, view.nbytes
        while chunks and at < end:
            head = chunks[0]
            n = min(len(head), end - at)
            if n == len(head):
                view[at : at + n] = head
                chunks.popleft()
            else:
                head = memoryview(head)
                view[at : at + n] = head[:n]
                chunks[0] = head[n:]
            at += n
        self.buffered -= at
        self.consumed += at
        return at

    def discard(self) -> None:
        """Forget what is buffered (after a reset)."""
        self.consumed += self.buffered
        self.whole = self._chunks = self._gaps = None
        self.buffered = 0

    def _unread(self) -> deque[bytes | memoryview] | None:
        """What is buffered, in order."""
        if self.whole:
            self._chunks = deque((self.whole,))
        self.whole = None
        return self._chunks


def closed_error(state: StreamState, by_peer: bool = True) -> EndpointClosed:
    """What a call on a reset stream raises."""
    return EndpointClosed(f"stream {state.id}", state.reset_reason, state.reset_code or state.stopped or 0, by_peer)
