"""The transport's frames and handshake packets: golden bytes, and no bytes raise anything but a protocol error."""

import contextlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from peerkit_transport_udp import frames, handshake_packets, parameters
from peerkit_transport_udp.handshake_packets import Cookie, Message, MessageParts, Versions
from peerkit_transport_udp.packet_sender import pad
from peerkit_transport_udp.parameters import Parameters
from peerkit_transport_udp.received_ranges import DEPTH, MAX_RANGES, ReceivedRanges

from peerkit.errors import RemoteProtocolError
from plugins.transport_udp.tests.wire import Wire

RANGES = [(90, 100), (50, 60), (0, 10)]
GOLDEN = [
    (frames.PING_FRAME, frames.Ping(), "21"),
    (
        frames.ack(RANGES, 0.025),
        frames.Ack(RANGES, 0.025),
        "220000000000000063000061a80000000a020000001e0000000a000000280000000a",
    ),
    (frames.challenge(b"12345678"), frames.Challenge(b"12345678"), "233132333435363738"),
    (frames.response(b"12345678"), frames.Response(b"12345678"), "243132333435363738"),
    (
        frames.new_id(3, 0x01020304, b"t" * 16),
        frames.NewId(3, 0x01020304, b"t" * 16),
        "250000000301020304" + "74" * 16,
    ),
    (frames.retire_id(3), frames.RetireId(3), "2600000003"),
    (frames.parameters(b"abc"), frames.Parameters(b"abc"), "270003616263"),
    (frames.close(1, "because"), frames.Close(1, "because"), "280001000762656361757365"),
]


@pytest.mark.parametrize(("frame", "meaning", "golden"), GOLDEN, ids=[type(g[1]).__name__ for g in GOLDEN])
def test_golden_frames(frame: bytes, meaning: frames.Control, golden: str) -> None:
    assert frame.hex() == golden
    assert frames.read_control(frame, 0) == (meaning, len(frame))
    assert frames.is_control(frame[0])
    for cut in range(1, len(frame)):
        with pytest.raises(RemoteProtocolError):
            frames.read_control(frame[:cut], 0)


def test_golden_parameters() -> None:
    told = Parameters(b"k" * 16, 1_400, 30)
    assert told.encode().hex() == "0110" + "6b" * 16 + "0202" + "0578" + "0302" + "001e"
    assert parameters.decode(told.encode()) == told
    assert parameters.decode(told.encode() + b"\x7f\x01x") == told, "unknown parameters are skipped"
    for wrong in (b"", told.encode()[:-1], b"\x01\x02ab", Parameters(b"k" * 16, 500, 30).encode()):
        with pytest.raises(RemoteProtocolError):
            parameters.decode(wrong)


def test_padding_stands_before_a_payload_and_is_skipped() -> None:
    padded = pad(b"\x08xyz", 9)
    assert padded == b"\x20" * 5 + b"\x08xyz"
    assert frames.read_control(padded, 0) == (None, 5)


@pytest.mark.parametrize(
    "ranges",
    [
        [(0, 1)],
        [(5, 9)],
        [(1 << 40, (1 << 40) + 7), ((1 << 40) - 8_000, (1 << 40) - 7_999)],
        [(4 * i, 4 * i + 2) for i in range(99, -1, -1)],
    ],
)
def test_acknowledgements_of_any_shape_arrive(ranges: list[frames.Range]) -> None:
    ack, _ = frames.read_control(frames.ack(ranges, 0.0), 0)
    assert ack == frames.Ack(ranges[: frames.MAX_ACK_RANGES], 0.0)


@given(st.binary(min_size=1, max_size=200))
@settings(max_examples=300, deadline=None)
def test_no_bytes_make_the_frame_reader_raise_another_error(data: bytes) -> None:
    for first in (data, bytes((0x20 + data[0] % 9,)) + data):
        with contextlib.suppress(RemoteProtocolError):
            _, at = frames.read_control(first, 0)
            assert 0 < at <= len(first)


@given(st.binary(min_size=7, max_size=80))
@settings(max_examples=150, deadline=None)
def test_whatever_a_peer_seals_its_connection_ends_at_worst(data: bytes) -> None:
    """It has the keys, so the packet opens; what stands in it is still hostile."""
    wire = Wire()
    wire.transfer(2_000)
    for start in (0x20, 0x22, 0x24, 0x25, 0x26, 0x27, 0x28, 0x90):
        payload = bytes((start,)) + data
        batch = wire.a.connection.sender.seal(wire.a.connection.route, wire.a.connection.ids.peer_id, [payload])
        wire.deliver(1, b"".join(batch.buffers), wire.a.host, wire.a.port)
        wire.b.connection.batches_to_send(wire.now)
        assert len(wire.b.connection.ids.own) <= 6
        assert len(wire.b.connection.views) <= 4


HANDSHAKE = [
    (
        handshake_packets.encode_message(5, 6, 1, b"message", b"ck", 1_200, False)[0],
        Message(1, 5, 6, 1, 0, 7, b"ck", b"message"),
        "80000000010000000500000006010000000702" + "0007" + "636b" + "6d657373616765",
    ),
    (handshake_packets.encode_versions(6), Versions(6, (1,)), "81000000060100000001"),
    (handshake_packets.encode_cookie(6, b"cookie"), Cookie(6, b"cookie"), "820000000606636f6f6b6965"),
]


@pytest.mark.parametrize(("packet", "meaning", "golden"), HANDSHAKE, ids=["message", "versions", "cookie"])
def test_golden_handshake_packets(packet: bytes, meaning: object, golden: str) -> None:
    assert packet.hex() == golden
    assert handshake_packets.decode(memoryview(packet)) == meaning
    for cut in range(1, len(packet)):
        with pytest.raises(RemoteProtocolError):
            handshake_packets.decode(memoryview(packet)[:cut])


def test_first_packets_are_padded_and_long_messages_cut() -> None:
    message = bytes(range(256)) * 12
    packets = handshake_packets.encode_message(0, 6, 0, message, b"c" * 20, 1_200, True)
    assert [len(p) for p in packets] == [1_200] * 3
    parts = MessageParts()
    whole = None
    for packet in (packets[2], packets[0], packets[0], packets[1]):
        decoded = handshake_packets.decode(memoryview(packet))
        assert isinstance(decoded, Message) and whole is None
        whole = parts.add(decoded)
    assert whole == message


@given(st.binary(min_size=1, max_size=100), st.sampled_from([0x80, 0x81, 0x82, 0x8F]))
@settings(max_examples=300, deadline=None)
def test_no_bytes_make_the_handshake_reader_raise_another_error(data: bytes, first: int) -> None:
    with contextlib.suppress(RemoteProtocolError):
        handshake_packets.decode(memoryview(bytes((first,)) + data))
    with contextlib.suppress(RemoteProtocolError):
        handshake_packets.decode(memoryview(bytes((first, 0, 0, 0, 1)) + data))


@given(st.lists(st.integers(0, 400), min_size=1, max_size=300))
@settings(max_examples=100, deadline=None)
def test_received_ranges_know_exactly_what_has_come(counters: list[int]) -> None:
    ranges, known = ReceivedRanges(), set[int]()
    for counter in counters:
        assert ranges.contains(counter) == (counter in known)
        if counter not in known:
            ranges.add(counter, counter + 1)
            known.add(counter)
    told = [c for start, end in ranges.latest(MAX_RANGES) for c in range(start, end)]
    assert sorted(told) == sorted(known)
    assert ranges.next == max(known) + 1


def test_received_ranges_stay_small_whatever_the_peer_skips() -> None:
    ranges = ReceivedRanges()
    for counter in range(0, 200_000, 2):
        ranges.add(counter, counter + 1)
    assert len(ranges) <= MAX_RANGES
    assert ranges.contains(1), "what is too old counts as a duplicate"
    ranges = ReceivedRanges()
    ranges.add(0, 10)
    ranges.add(11, 9 + DEPTH)
    assert len(ranges) == 2 and not ranges.contains(10), "within the depth a late packet is still taken"


@pytest.mark.parametrize("upto", [1, 1 << 31, (1 << 32) - 5, (1 << 32) + 5, 1 << 40])
def test_counters_are_completed_from_their_low_bits(upto: int) -> None:
    ranges = ReceivedRanges()
    ranges.add(0, upto)
    for counter in (upto, upto + 1, upto + 100_000, max(upto - 3_000, 0)):
        assert ranges.expand(counter & 0xFFFF_FFFF) == counter
