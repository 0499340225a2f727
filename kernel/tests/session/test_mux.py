"""The session's streams, credit and frames, both ends held in one process; no loop, no socket."""

import contextlib
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from peerkit._session import frames
from peerkit._session.events import Event, What
from peerkit._session.frames import Kind
from peerkit._session.mux import Mux
from peerkit._session.receive_credit import MAX_SESSION_WINDOW, MAX_WINDOW
from peerkit._session.stream_state import StreamState
from peerkit.errors import LimitExceeded, LocalProtocolError, RemoteProtocolError
from peerkit.limits import Budget

WINDOW = 65_536


def make_pair(
    window: int = WINDOW, session_window: int = 4 * WINDOW, max_streams: int = 4, memory: int = 0
) -> tuple[Mux, Mux]:
    """Dialer and acceptor with two protocols."""
    ours, theirs = (
        Mux(d, window, session_window, max_streams, window, session_window, max_streams, Budget("test", memory))
        for d in (True, False)
    )
    ours.protocols = theirs.protocols = 2
    return ours, theirs


def pull(mux: Mux, max_bytes: int = 131_072) -> bytes:
    return mux.outgoing.take_lone(max_bytes) or b"".join(mux.frames_to_send(max_bytes))  # as the carrier does


def exchange(a: Mux, b: Mux) -> tuple[list[Event], list[Event]]:
    """Carry frames both ways until both are silent; returns the events at a and at b."""
    at_a: list[Event] = []
    at_b: list[Event] = []
    for _ in range(1000):
        to_b, to_a = pull(a), pull(b)
        if not to_a and not to_b:
            return at_a, at_b
        at_b += b.receive_frames(memoryview(to_b))
        at_a += a.receive_frames(memoryview(to_a))
    raise AssertionError("the two never fall silent")


def opened(events: list[Event]) -> StreamState:
    (state,) = [subject for what, subject in events if what is What.OPENED]
    assert isinstance(state, StreamState)
    return state


def test_request_and_answer_take_one_frame_each() -> None:
    a, b = make_pair()
    asked = a.open(Kind.REQUEST, 1)
    a.write(asked, memoryview(b"question"), fin=True)
    request = pull(a)
    assert len(request) == frames.OPEN_HEADER.size + 8
    (event,) = b.receive_frames(memoryview(request))
    there = event[1]
    assert event[0] is What.OPENED and isinstance(there, StreamState)
    assert (there.kind, there.protocol, there.read(100), there.at_end) == (Kind.REQUEST, 1, b"question", True)
    b.write(there, memoryview(b"answer"), fin=True)
    answer = pull(b)
    assert len(answer) == frames.STREAM_HEADER.size + 6
    a.receive_frames(memoryview(answer))
    assert asked.read(100) == b"answer" and asked.at_end
    a.consumed(asked, 6)
    assert not a.streams and not b.streams


def test_sender_stops_at_the_credit_and_goes_on_when_it_is_renewed() -> None:
    a, b = make_pair()
    stream = a.open(Kind.STREAM, 0)
    a.write(stream, memoryview(bytes(3 * WINDOW)))
    _, events = exchange(a, b)
    there = opened(events)
    assert there.received == WINDOW  # not a byte more than allowed
    taken = 0
    while part := there.read(10_000):
        taken += len(part)
        b.credit.now += 1e9  # so slow that no window grows
        b.consumed(there, len(part))
        exchange(a, b)
    assert taken == 3 * WINDOW


def test_session_credit_bounds_all_streams_together() -> None:
    a, b = make_pair(session_window=WINDOW + 1000)
    for _ in range(3):
        a.write(a.open(Kind.STREAM, 0), memoryview(bytes(WINDOW)))
    exchange(a, b)
    assert sum(s.received for s in b.streams.values()) == WINDOW + 1000


def test_streams_of_one_priority_share_and_a_higher_one_goes_first() -> None:
    a, b = make_pair(window=1 << 20, session_window=1 << 22)
    bulk, other, urgent = (a.open(Kind.STREAM, 0) for _ in range(3))
    urgent.priority = 0
    for stream in (bulk, other, urgent):
        a.write(stream, memoryview(bytes(200_000)))
    b.receive_frames(memoryview(pull(a, 131_072)))
    assert b.streams[urgent.id].received > 120_000
    for _ in range(2):
        b.receive_frames(memoryview(pull(a, 131_072)))
    shares = b.streams[bulk.id].received, b.streams[other.id].received
    assert min(shares) > 0.6 * max(shares)


def test_peer_that_exceeds_a_credit_is_an_error() -> None:
    a, b = make_pair()
    stream = a.open(Kind.STREAM, 0)
    stream.send_credit = 1 << 30  # a dialer that ignores what it was told
    a.outgoing.credit = 1 << 30
    a.write(stream, memoryview(bytes(WINDOW + 1)))
    with pytest.raises(RemoteProtocolError, match="were allowed"):
        exchange(a, b)


def test_streams_are_counted_and_freed() -> None:
    a, b = make_pair(max_streams=4)
    streams = [a.open(Kind.STREAM, 0) for _ in range(4)]
    with pytest.raises(LimitExceeded):
        a.open(Kind.STREAM, 0)
    for stream in streams:
        a.write(stream, memoryview(b""), fin=True)
    exchange(a, b)
    for there in list(b.streams.values()):
        b.write(there, memoryview(b""), fin=True)
    events, _ = exchange(a, b)
    assert (What.STREAMS, None) in events
    assert a.may_open and not b.streams


def test_peer_that_opens_too_many_streams_is_an_error() -> None:
    _, b = make_pair(max_streams=4)
    frame = frames.OPEN_HEADER.pack(frames.STREAM_OPEN, 0, 0, 9, 0)
    with pytest.raises(RemoteProtocolError, match="streams it may"):
        b.receive_frames(memoryview(frame))


def test_peer_cannot_open_our_streams_or_unknown_protocols() -> None:
    for id, protocol in ((2, 0), (0, 0), (1, 2)):
        _, b = make_pair()
        with pytest.raises(RemoteProtocolError):
            b.receive_frames(memoryview(frames.OPEN_HEADER.pack(frames.STREAM_OPEN, 0, protocol, id, 0)))


def test_reset_reaches_the_peer_and_gives_its_credit_back() -> None:
    a, b = make_pair(session_window=2 * WINDOW)
    for _ in range(8):  # eight streams of one window each: credit that leaked would end at the second
        stream = a.open(Kind.STREAM, 0)
        a.write(stream, memoryview(bytes(WINDOW)))
        _, events = exchange(a, b)
        there = opened(events)
        assert there.received == WINDOW
        b.reset(there, 5, "no room")
        events, _ = exchange(a, b)
        assert (stream.reset_code, stream.reset_reason) == (5, "no room")
        a.reset(stream, 5)
        exchange(a, b)
    assert not a.streams and not b.streams


def test_stop_ends_our_sending() -> None:
    a, b = make_pair()
    stream = a.open(Kind.STREAM, 0)
    a.write(stream, memoryview(bytes(2 * WINDOW)))
    _, events = exchange(a, b)
    b.stop(opened(events), 7)
    events, _ = exchange(a, b)
    assert (What.STOPPED, stream) in events and stream.stopped == 7


def test_writing_after_the_end_is_our_own_error() -> None:
    a, _ = make_pair()
    stream = a.open(Kind.STREAM, 0)
    a.write(stream, memoryview(b"x"), fin=True)
    with pytest.raises(LocalProtocolError):
        a.write(stream, memoryview(b"y"))


def test_unknown_extension_frames_are_skipped_and_counted() -> None:
    a, b = make_pair()
    a.write(a.open(Kind.STREAM, 0), memoryview(b"after"))
    data = frames.EXTENSION_HEADER.pack(0x7F, 3) + b"abc" + pull(a)
    events = b.receive_frames(memoryview(data))
    assert opened(events).read(10) == b"after" and b.unknown_frames == 1


def test_undefined_frames_are_an_error() -> None:
    with pytest.raises(RemoteProtocolError, match="not defined"):
        make_pair()[1].receive_frames(memoryview(b"\x30"))


def test_datagrams_drop_the_oldest_when_the_queue_is_full() -> None:
    a, b = make_pair()
    results = [a.send_datagram(0, b"%d" % i) for i in range(300)]
    assert not all(results) and a.outgoing.datagrams_dropped == 300 - 256
    _, events = exchange(a, b)
    assert next(s for w, s in events if w is What.DATAGRAM) == (0, b"44")


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 2**32), st.integers(1, 40_000))
def test_frames_may_come_twice_and_in_any_order(seed: int, piece: int) -> None:
    rng = random.Random(seed)
    a, b = make_pair(window=1 << 20, session_window=1 << 22)
    sent = {}
    for _ in range(3):
        stream = a.open(Kind.STREAM, 0)
        data = rng.randbytes(rng.randrange(100_000))
        sent[stream.id] = data
        a.write(stream, memoryview(data), fin=True)
    packets = []
    while packet := pull(a, max(1200, piece)):
        packets.append(packet)
    packets += rng.sample(packets, len(packets) // 2)
    if len(packets) <= 90:  # more gaps than MAX_GAPS are refused, by design
        rng.shuffle(packets)
    got: dict[int, bytes] = dict.fromkeys(sent, b"")
    for packet in packets:
        b.receive_frames(memoryview(packet))
        for state in tuple(b.streams.values()):
            while part := state.read(1 << 20):
                got[state.id] += part
    assert got == sent


@settings(deadline=None, max_examples=300)
@given(st.binary(max_size=200))
def test_no_bytes_make_it_raise_anything_but_a_protocol_error(data: bytes) -> None:
    _, b = make_pair()
    with contextlib.suppress(RemoteProtocolError):
        b.receive_frames(memoryview(data))


def read_all(b: Mux, there: StreamState, pause_s: float) -> None:
    b.credit.now += pause_s
    b.consumed(there, len(there.read(1 << 24)))


@pytest.mark.parametrize("pause_s", [0.0, 1.0])
def test_windows_grow_while_they_are_used_up_fast(pause_s: float) -> None:
    a, b = make_pair(session_window=WINDOW, memory=1 << 30)
    stream = a.open(Kind.STREAM, 0)
    a.write(stream, memoryview(bytes(1 << 26)))
    exchange(a, b)
    there = b.streams[stream.id]
    b.credit.measured(0.1)
    for _ in range(40):
        read_all(b, there, pause_s)
        exchange(a, b)
    grown = not pause_s
    assert there.window == (MAX_WINDOW if grown else WINDOW)
    assert b.credit.limit - b.credit.consumed <= (MAX_SESSION_WINDOW if grown else WINDOW)
    assert b.credit._memory.used == (MAX_SESSION_WINDOW - WINDOW if grown else 0)
    b.end("", 0)
    assert b.credit._memory.used == 0


def test_windows_grow_no_further_than_memory_allows() -> None:
    a, b = make_pair(session_window=WINDOW, memory=4 * WINDOW)
    stream = a.open(Kind.STREAM, 0)
    a.write(stream, memoryview(bytes(1 << 26)))
    exchange(a, b)
    there = b.streams[stream.id]
    for _ in range(40):
        read_all(b, there, 0.0)
        exchange(a, b)
        assert there.buffered <= 4 * WINDOW
    assert b.credit._memory.used == 3 * WINDOW, "doubled twice; a third time would take 4 more"
    assert b.credit.limit - b.credit.consumed <= 4 * WINDOW


def test_message_that_came_in_one_frame_is_taken_whole() -> None:
    a, b = make_pair()
    for body in (b"", b"short", bytes(60_000)):
        a.write(a.open(Kind.MESSAGE, 0), body, fin=True)
        state = opened(exchange(a, b)[1])
        assert b.take_whole(state, 60_000) == body
        assert not b.streams and b.credit.consumed == b.credit.received


def test_message_in_pieces_or_too_long_or_partly_read_is_not_taken_whole_and_loses_nothing() -> None:
    a, b = make_pair()
    asked = [a.open(Kind.REQUEST, 0) for _ in range(3)]
    a.write(asked[0], b"in two ")
    there = [opened(exchange(a, b)[1])]
    a.write(asked[0], b"pieces", fin=True)
    exchange(a, b)
    for state, body in zip(asked[1:], (b"too long", b"partly read"), strict=True):
        a.write(state, body, fin=True)
        there.append(opened(exchange(a, b)[1]))
    assert b.take_whole(there[0], 100) is None and there[0].read(100) == b"in two pieces"
    assert b.take_whole(there[1], 7) is None and there[1].read(100) == b"too long"
    assert there[2].read(7) == b"partly " and b.take_whole(there[2], 100) is None and there[2].read(100) == b"read"
    assert all(state.at_end for state in there)


def test_short_message_is_one_frame_also_beside_others() -> None:
    a, _ = make_pair()
    first, second = a.open(Kind.REQUEST, 0), a.open(Kind.REQUEST, 0)
    a.write(first, b"one", fin=True)
    a.write(second, b"two", fin=True)
    assert len(a.frames_to_send(131_072)) == 2
    assert first.fin_sent and second.fin_sent


def test_short_message_waits_for_its_turn_and_for_credit() -> None:
    a, b = make_pair()
    bulk = a.open(Kind.STREAM, 0)
    a.write(bulk, bytes(100_000))
    short = a.open(Kind.REQUEST, 0)
    a.write(short, b"short", fin=True)
    assert not short.fin_sent
    exchange(a, b)
    assert b.streams[short.id].read(10) == b"short"
    a.outgoing.credit = a.outgoing.sent
    late = a.open(Kind.REQUEST, 0)
    a.write(late, b"late", fin=True)
    assert not late.fin_sent


def test_stream_is_freed_when_its_end_comes_after_everything_was_read() -> None:
    a, b = make_pair()
    ours = a.open(Kind.STREAM, 0)
    a.write(ours, b"ask", fin=True)
    exchange(a, b)
    theirs = b.streams[ours.id]
    b.write(theirs, b"answer")
    exchange(a, b)
    a.consumed(ours, len(ours.read(100)))
    assert ours.id in a.streams
    b.write(theirs, b"", fin=True)
    exchange(a, b)
    assert ours.id not in a.streams


@given(st.lists(st.binary(min_size=1, max_size=40), max_size=8), st.lists(st.integers(1, 50), max_size=12))
def test_reading_into_buffers_gives_the_bytes_in_order(pieces: list[bytes], sizes: list[int]) -> None:
    state = StreamState(1, Kind.STREAM, 0, True, 0, 1 << 20)
    for i, piece in enumerate(pieces, 1):
        state.receive(state.received, memoryview(piece), fin=i == len(pieces))  # a single one is `whole`
    sent, taken = b"".join(pieces), b""
    for size in sizes:
        buffer = bytearray(size)
        n = state.read_into(memoryview(buffer))
        assert n == min(size, len(sent) - len(taken))
        taken += buffer[:n]
    assert sent.startswith(taken)
    assert state.consumed == len(taken) == len(sent) - state.buffered
