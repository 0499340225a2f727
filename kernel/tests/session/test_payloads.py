"""Payloads of packets: filled, lost, doubled, reordered, cut anew; both ends held in one process."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kernel.tests.session.test_mux import make_pair
from peerkit._session import frames
from peerkit._session.events import What
from peerkit._session.frames import Kind
from peerkit._session.mux import Mux
from peerkit._session.payloads import receive_payloads, refit, reliable_payloads
from peerkit._session.reassembly import BYTES_PER_RANGE, FREE_RANGES, Reassembly
from peerkit._session.stream_state import StreamState
from peerkit.errors import RemoteProtocolError

BIG = 1 << 22


def read_all(mux: Mux, got: dict[int, bytes]) -> None:
    for state in tuple(mux.streams.values()):
        while part := state.read(1 << 20):
            got[state.id] = got.get(state.id, b"") + part


@settings(max_examples=60)
@given(st.integers(0, 2**32), st.integers(1_000, 9_000), st.sampled_from([0.0, 0.1, 0.5]))
def test_streams_survive_loss_doubling_and_reordering(seed: int, max_bytes: int, loss: float) -> None:
    rng = random.Random(seed)
    a, b = make_pair(window=BIG, session_window=4 * BIG)
    sent: dict[int, bytes] = {}
    for _ in range(3):
        stream = a.open(Kind.STREAM, 0)
        sent[stream.id] = rng.randbytes(rng.randrange(200_000))
        for at in range(0, len(sent[stream.id]), 7_777):
            a.write(stream, memoryview(sent[stream.id])[at : at + 7_777])
        a.write(stream, b"", fin=True)
    flying: list[bytes] = []
    got: dict[int, bytes] = dict.fromkeys(sent, b"")
    while flying or a.wants_to_send:
        flying += reliable_payloads(a, max_bytes, rng.randrange(1, 60))
        assert all(0 < len(payload) <= max_bytes for payload in flying)
        rng.shuffle(flying)
        arrived = [payload for payload in flying if rng.random() >= loss]
        flying = [payload for payload in flying if payload not in arrived]
        receive_payloads(b, arrived + arrived[: rng.randrange(3)])
        read_all(b, got)
    assert got == sent


def test_a_long_stream_fills_every_payload_and_is_told_once_a_batch() -> None:
    a, b = make_pair(window=BIG, session_window=BIG)
    stream = a.open(Kind.STREAM, 0)
    a.announce(stream)
    receive_payloads(b, reliable_payloads(a, 1_400, 1))
    for size in (100_000, 1, 2_000, 50_001):  # full also across the ends of writes
        a.write(stream, bytes(size))
    batch = reliable_payloads(a, 1_400, 44)
    assert [len(payload) for payload in batch] == [1_400] * 44
    (event,) = receive_payloads(b, batch)
    assert event == (What.READABLE, b.streams[stream.id])
    while batch := reliable_payloads(a, 1_400, 44):
        receive_payloads(b, batch)
    assert b.streams[stream.id].buffered == 152_002


def test_streams_of_one_priority_share_the_packets() -> None:
    a, _ = make_pair(window=BIG, session_window=BIG)
    streams = [a.open(Kind.STREAM, 0) for _ in range(2)]
    for stream in streams:
        a.write(stream, bytes(1_000_000))
    for _ in range(20):
        reliable_payloads(a, 1_400, 44)
    one, other = (stream.send_offset for stream in streams)
    assert abs(one - other) < 40_000


def test_payloads_stop_at_the_peers_credit_and_count() -> None:
    a, b = make_pair()
    stream = a.open(Kind.STREAM, 0)
    a.write(stream, bytes(200_000))
    payloads = reliable_payloads(a, 1_400, 1_000)
    assert stream.send_offset == 65_536 and not a.wants_to_send
    receive_payloads(b, payloads)
    assert b.streams[stream.id].buffered == 65_536
    beyond = frames.STREAM_HEADER.pack(frames.STREAM, stream.id, 65_536, 1) + b"x"
    with pytest.raises(RemoteProtocolError):
        receive_payloads(b, [beyond])


def test_the_short_way_counts_against_the_sessions_credit() -> None:
    _, b = make_pair(window=BIG, session_window=BIG, max_streams=8)
    size = 1 << 20
    opening = b"".join(frames.OPEN_HEADER.pack(frames.STREAM_OPEN, 0, 0, id, 0) for id in (1, 3))
    receive_payloads(b, [opening])
    rows = [
        frames.STREAM_HEADER.pack(frames.STREAM, id, at, size) + bytes(size)
        for id in (1, 3)
        for at in range(0, BIG, size)
    ]
    receive_payloads(b, rows[:4])
    with pytest.raises(RemoteProtocolError, match="session's credit"):
        receive_payloads(b, rows[4:])


def test_what_may_be_lost_comes_apart_and_too_long_ones_are_dropped() -> None:
    a, b = make_pair()
    a.ping(bytes(8))
    a.send_datagram(0, bytes(1_100))
    a.send_datagram(1, bytes(2_000))
    a.send_datagram(1, bytes(600))
    assert a.wants_to_send and not reliable_payloads(a, 1_200, 9)
    payloads = a.outgoing.unreliable_payloads(1_200, 9)
    assert [len(payload) for payload in payloads] == [9 + 5 + 1_100, 5 + 600] and a.outgoing.datagrams_dropped == 1
    assert [what for what, _ in receive_payloads(b, payloads)] == [What.DATAGRAM, What.DATAGRAM]
    assert b.outgoing.unreliable_payloads(1_200, 9) == [b"\x16" + bytes(8)]


def test_a_record_that_does_not_fit_holds_nothing_up() -> None:
    a, _ = make_pair()
    a.outgoing.control(frames.record(bytes(1_090)))
    a.outgoing.control(frames.close(0, "bye"))
    assert reliable_payloads(a, 1_000, 5) == [frames.close(0, "bye")]


@settings(max_examples=40)
@given(st.integers(0, 2**32), st.integers(1_000, 1_399))
def test_a_payload_cut_anew_says_the_same(seed: int, narrow: int) -> None:
    rng = random.Random(seed)
    a, b = make_pair(window=BIG, session_window=BIG, max_streams=64)
    sent: dict[int, bytes] = {}
    for _ in range(rng.randrange(1, 9)):
        stream = a.open(Kind.STREAM, rng.randrange(2))
        sent[stream.id] = rng.randbytes(rng.choice((0, 5, 300, 4_000)))
        a.write(stream, sent[stream.id], fin=True)
    a.reset(a.open(Kind.STREAM, 0), 7, "reason")
    got: dict[int, bytes] = dict.fromkeys(sent, b"")
    for payload in reliable_payloads(a, 1_400, 99):
        rows = refit(payload, narrow)
        assert all(0 < len(row) <= narrow for row in rows)
        receive_payloads(b, rows)
        read_all(b, got)
    assert got == sent and all(state.at_end for id, state in b.streams.items() if id in sent)


def test_a_reset_counts_what_came_before_it_out_of_order_once() -> None:
    a, b = make_pair()
    stream = a.open(Kind.STREAM, 0)
    a.write(stream, bytes(40_000))
    payloads = reliable_payloads(a, 1_000, 99)
    receive_payloads(b, [payloads[0], *payloads[5:]])  # most of it, behind a hole
    a.reset(stream, 9)
    receive_payloads(b, reliable_payloads(a, 1_000, 9))
    assert b.credit.received == stream.send_offset == b.credit.consumed


@settings(max_examples=100)
@given(st.lists(st.tuples(st.integers(0, 300), st.integers(1, 60)), max_size=60), st.integers(0, 2**32))
def test_ranges_give_the_same_bytes_in_whatever_pieces_they_come(pieces: list[tuple[int, int]], seed: int) -> None:
    data = random.Random(seed).randbytes(400)
    state = StreamState(1, Kind.STREAM, 0, False, 0, 1_000)
    out, highest, came = b"", 0, bytearray(400)
    for offset, length in pieces:
        highest += state.receive(offset, memoryview(data)[offset : offset + length], False)
        came[offset : offset + length] = b"\1" * length
        out += state.read(1_000)
        assert out == data[: (bytes(came) + b"\0").index(0)]
        assert highest == state.highest == bytes(came).rfind(1) + 1


def test_pieces_with_holes_between_them_are_bounded_by_the_bytes_they_span() -> None:
    small, large = Reassembly(), Reassembly()
    for i in range(FREE_RANGES):
        small.add(2 * i, b"x")
    with pytest.raises(RemoteProtocolError):
        small.add(2 * FREE_RANGES, b"x")
    for i in range(10 * FREE_RANGES):
        large.add(2 * BYTES_PER_RANGE * i, bytes(BYTES_PER_RANGE))  # every second packet of a window was lost
    assert large.highest == BYTES_PER_RANGE * (20 * FREE_RANGES - 1)
