"""Payloads of packets: the frames of a session on a carrier that loses and reorders, a batch at a time.

In: opened payloads of one received batch.  Out: the mux's events, each stream told once a batch.  Also: cutting a
payload anew for a path that takes less.  Not here: what frames mean (`mux`), how payloads are filled (`send_queue`).
"""

from collections.abc import Sequence

from ..transport import Buffer
from . import frames
from .control_frames import cut, read_control
from .events import Event, What
from .mux import Mux
from .stream_state import StreamState


def receive_payloads(mux: Mux, payloads: Sequence[Buffer]) -> list[Event]:
    """Take the payloads of one batch.

    A payload that is one frame of a long stream, next in order, takes a short way: no view, no event but the first.

    Raises:
        RemoteProtocolError: a malformed frame or a broken rule; the session must be closed.
    """
    events: list[Event] = []
    unpack, header_bytes, stream = frames.STREAM_HEADER.unpack_from, frames.STREAM_HEADER.size, frames.STREAM
    run: list[Buffer] = []  # what is next in order of the stream `run_id`, from the stream's last byte to `next_offset`
    run_id = next_offset = -1
    for payload in payloads:
        length = len(payload) - header_bytes
        id = offset = -1
        if length > 0 and payload[0] == stream:
            _, id, offset, stated = unpack(payload)
            if stated != length:
                id = -1
            elif id == run_id and offset == next_offset:
                run.append(payload[header_bytes:])
                next_offset += length
                continue
        _take_run(mux, run_id, run, next_offset, events)
        state = mux.streams.get(id)
        if state is not None and state.takes_next(offset, length):
            run, run_id, next_offset = [payload[header_bytes:]], id, offset + length
            continue
        run, run_id = [], -1
        events += mux.receive_frames(payload if isinstance(payload, bytes) else memoryview(payload))
    _take_run(mux, run_id, run, next_offset, events)
    return events


def _take_run(mux: Mux, id: int, run: Sequence[Buffer], end: int, events: list[Event]) -> None:
    """Append the pieces of a run, which ends at `end`, to its stream.

    Raises:
        RemoteProtocolError: it goes beyond the stream's credit, or the session's.
    """
    if not run:
        return
    state = mux.streams[id]
    if end > state.receive_credit:
        raise state.beyond_credit(end)
    body = b"".join(run)  # one piece for whoever reads
    mux.credit.count(len(body))
    state.append(body)
    events.append((What.READABLE, state))


def reliable_payloads(mux: Mux, max_bytes: int, count: int) -> list[bytes]:
    """Rows of whole frames that must arrive, for at most `count` packets of `max_bytes`."""
    sent_all: list[StreamState] = []
    out = mux.outgoing.reliable_payloads(max_bytes, count, sent_all)
    if sent_all:
        mux.ends_sent(sent_all)
    return out


def renew_credit(mux: Mux) -> None:
    """Give the credit that `ReceiveCredit.is_held` kept back."""
    mux.credit.is_held = False
    for state in tuple(mux.streams.values()):
        mux.consumed(state, 0)


def refit(payload: Buffer, max_bytes: int) -> list[bytes]:
    """A payload of ours, cut into rows of whole frames of at most `max_bytes` each."""
    data = memoryview(payload)
    out: list[bytes] = []
    row = b""
    at = 0
    while at < data.nbytes:
        pieces, at = _pieces(data, at, max_bytes)
        for frame in pieces:
            if len(row) + len(frame) > max_bytes:
                out.append(row)
                row = b""
            row += frame
    return [*out, row] if row else out


def _pieces(data: memoryview, at: int, max_bytes: int) -> tuple[list[bytes], int]:
    """The frame at `at`, in pieces when it is one of a stream and too long; and where the next frame begins."""
    kind = data[at]
    if kind & 0xFE == frames.STREAM:
        _, id, offset, length = frames.STREAM_HEADER.unpack_from(data, at)
        at += frames.STREAM_HEADER.size
        head = b""
    elif kind & 0xFE == frames.STREAM_OPEN:
        _, what, protocol, id, length = frames.OPEN_HEADER.unpack_from(data, at)
        start, at, offset = at, at + frames.OPEN_HEADER.size, 0
        if frames.OPEN_HEADER.size + length <= max_bytes:
            return [bytes(data[start : at + length])], at + length
        head = frames.OPEN_HEADER.pack(frames.STREAM_OPEN, what, protocol, id, 0)
    else:
        _, end = read_control(data, at)
        return [bytes(data[at:end])], end
    body = cut(data, at, length)
    end, fin, room = at + length, kind & frames.FIN, max_bytes - frames.STREAM_HEADER.size
    pieces = [head] if head else []
    starts = range(0, length, room) if length else range(1)
    for start in starts:
        part = body[start : start + room]
        last = fin if start + room >= length else 0
        header = frames.STREAM_HEADER.pack(frames.STREAM | last, id, offset + start, len(part))
        pieces.append(header + part)
    return pieces, end
