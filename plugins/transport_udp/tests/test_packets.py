"""Sealed packets: golden bytes, masks, every bit flipped, every length, and whatever else a stranger sends."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from peerkit_transport_udp.connection import State
from peerkit_transport_udp.header_protection import HeaderCipher, connection_ids, flow_fields, gather, mask
from peerkit_transport_udp.keys import SendKeys
from peerkit_transport_udp.packet_sender import OVERHEAD_BYTES, PacketSender

from peerkit.address import Address
from peerkit.errors import VerificationFailed
from peerkit.protection import AeadProtection
from peerkit.security import Aead, PacketProtection, PlaintextWrapper
from peerkit.transport import Buffer
from plugins.transport_udp.tests.wire import Wire, datagrams

GOLDEN = [
    "6616c05a1228e3ce03aa1e099838bd054c4cc20892fecaf6058380b75c2afb9d5aabb2b9a172aba5674f69de852e",
    "44ddbfc7d3ab5cbd23376635d271700ce26e5389bd1f02cf42fd948994b90dd6",
]
FLOW, NODE = HeaderCipher(b"f" * 16), HeaderCipher(b"n" * 16)


def sender(first: int = 0, wrappers: tuple[PlaintextWrapper, ...] = ()) -> PacketSender:
    keys = SendKeys(AeadProtection(b"s" * 32, Aead.AES_256_GCM), 3_600.0, 0.0)
    keys.counter = keys._began_counter = first
    return PacketSender(keys, FLOW, NODE, wrappers)


def test_golden_sealed_packets() -> None:
    """One batch of two, counters 0x1_0000_0002 and 3, connection id 0x01020304."""
    wire = Wire()
    batch = sender(0x1_0000_0002).seal(wire.a.connection.route, 0x01020304, [b"payload of 21 bytes..", b"shorter"])
    assert [d.hex() for d in datagrams(batch)] == GOLDEN
    assert batch.segment_bytes == 21 + OVERHEAD_BYTES and batch.nbytes == 21 + 7 + 2 * OVERHEAD_BYTES


@pytest.mark.parametrize("count", [1, 2, 7, 44, 64])
def test_a_batch_is_unmasked_as_it_was_masked(count: int) -> None:
    rng = random.Random(count)
    sealed = [rng.randbytes(100) for _ in range(count)]
    headers = mask(FLOW, NODE, 0x60, 0xDEADBEEF, 0x5_FFFF_0000, sealed)
    batch = memoryview(b"".join(h + s for h, s in zip(headers, sealed, strict=True)))
    heads = gather(batch, 109)
    assert connection_ids(NODE, heads) == (0xDEADBEEF,) * count
    fields = flow_fields(FLOW, heads)
    assert fields[::2] == (0x60,) * count
    assert fields[1::2] == tuple(range(0xFFFF_0000, 0xFFFF_0000 + count))


def test_a_masked_header_shows_nothing_constant() -> None:
    """A thousand packets of one connection: no byte but the two fixed bits is the same in most of them."""
    rng = random.Random(1)
    headers = [mask(FLOW, NODE, 0x40, 7, counter, [rng.randbytes(64)])[0] for counter in range(1_000)]
    assert {header[0] >> 6 for header in headers} == {1}
    for at in range(9):
        values = [header[at] for header in headers]
        assert max(map(values.count, set(values))) < 60, f"byte {at} tells something"


def test_short_last_segments_without_a_sample_are_left_out() -> None:
    assert gather(memoryview(bytes(31)), 31) == b""
    assert len(gather(memoryview(bytes(100 + 31)), 100)) == 32
    assert len(gather(memoryview(bytes(100 + 32)), 100)) == 64


def test_the_counter_on_the_wire_never_wraps_within_a_batch() -> None:
    assert sender(0xFFFF_FFFE).room == 2


def one_packet(wire: Wire, size: int = 200) -> bytes:
    """A packet from `a` that `b` has not seen."""
    wire.a.source.total += size
    wire.fault = lambda datagram: ()
    wire.is_recording = True
    wire.send()
    wire.fault = None
    return max((d for side, d in wire.sent if side == 0), key=len)


def test_no_flipped_bit_gets_through() -> None:
    wire = Wire()
    wire.transfer(5_000)
    wire.run_for(1)
    packet = one_packet(wire)
    before = wire.b.connection.receiver.packets
    for bit in range(8 * len(packet)):
        flipped = bytearray(packet)
        flipped[bit // 8] ^= 1 << bit % 8
        wire.deliver(1, bytes(flipped), wire.a.host, wire.a.port)
    assert wire.b.connection.receiver.packets == before
    wire.deliver(1, packet, wire.a.host, wire.a.port)
    assert wire.b.connection.receiver.packets == before + 1, "the packet itself is still good"
    wire.deliver(1, packet, wire.a.host, wire.a.port)
    assert wire.b.connection.receiver.packets == before + 1, "but only once"
    assert wire.b.connection.state is State.OPEN


def test_no_cut_packet_gets_through() -> None:
    wire = Wire()
    wire.transfer(5_000)
    packet = one_packet(wire)
    before = wire.b.connection.receiver.packets
    for length in range(1, len(packet)):
        wire.deliver(1, packet[:length], wire.a.host, wire.a.port)
    wire.deliver(1, packet + b"\0", wire.a.host, wire.a.port)
    assert wire.b.connection.receiver.packets == before


@given(st.binary(max_size=300), st.integers(1, 300))
@settings(max_examples=150, deadline=None)
def test_no_bytes_from_outside_raise_or_change_anything(data: bytes, segment_bytes: int) -> None:
    wire = SHARED
    before = wire.b.connection.receiver.packets
    wire.deliver(1, data, wire.a.host, wire.a.port, segment_bytes)
    assert wire.b.connection.receiver.packets == before
    assert wire.b.connection.state is State.OPEN


SHARED = Wire()
SHARED.transfer(2_000)


def test_forged_packets_in_a_batch_spoil_only_themselves() -> None:
    wire = Wire(0.000_2)
    wire.transfer(200_000)
    wire.run_for(1)
    wire.a.source.total += 9 * 1_358
    (batch,) = (b for b in wire.a.connection.batches_to_send(wire.now) if len(b.buffers) > 8)
    parts = datagrams(batch)
    parts[2] = bytes(len(parts[2]))
    parts[4], parts[5] = parts[5], parts[4]
    parts[6] = parts[1]
    before = wire.b.connection.receiver.packets
    wire.deliver(1, b"".join(parts), wire.a.host, wire.a.port, batch.segment_bytes)
    assert wire.b.connection.receiver.packets == before + len(parts) - 2


class Reversing:
    """A wrapper that turns the plaintext round and adds a byte."""

    name = "reversing"
    overhead = 1

    def wrap(self, plaintext: Buffer) -> bytes:
        return b"!" + bytes(plaintext)[::-1]

    def unwrap(self, data: Buffer) -> bytes:
        return bytes(data)[:0:-1]


def test_wrappers_are_applied_and_undone() -> None:
    wire = Wire(max_datagram_bytes=1_300)
    for end in wire.ends:
        end.connection.sender._wrappers = (Reversing(),)
        end.connection.sender.overhead_bytes += 1
        end.connection.receiver._wrappers = (Reversing(),)
    wire.transfer(30_000)
    assert wire.b.source.in_order == 30_000


class Plain:
    """A protection of a security plugin's own, which has no calls for batches."""

    def __init__(self, key: int = 1) -> None:
        self.overhead, self.max_packets, self._key = 16, 1 << 20, key

    def seal(self, counter: int, header: Buffer, plaintext: Buffer) -> bytes:
        return bytes(plaintext) + self._key.to_bytes(8, "big") + counter.to_bytes(8, "big")

    def open(self, counter: int, header: Buffer, sealed: Buffer) -> bytes:
        if bytes(sealed[-16:]) != self._key.to_bytes(8, "big") + counter.to_bytes(8, "big"):
            raise VerificationFailed("another packet")
        return bytes(sealed[:-16])

    def next_generation(self) -> PacketProtection:
        return Plain(self._key + 1)


def test_a_protection_without_batches_serves_as_well() -> None:
    keys = SendKeys(Plain(), 3_600.0, 0.0)
    assert keys.seal([b"one", b"two"]) == [Plain().seal(0, b"", b"one"), Plain().seal(1, b"", b"two")]


def test_addresses_of_the_wire_are_public() -> None:
    """Otherwise the tests of paths would prove nothing about kinds."""
    assert not Address("udp", "20.0.0.1", 1).is_local
