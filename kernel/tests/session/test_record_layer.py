"""Sealed records: order, truncation, tampering, key change."""

import pytest

from peerkit._session.record_layer import HEADER, MAX_PLAINTEXT, HandshakeReader, Opener, Sealer, frame_message
from peerkit.errors import RemoteProtocolError
from peerkit.protection import AeadProtection
from peerkit.security import Aead


def pair(max_packets: int = 1 << 23) -> tuple[Sealer, Opener]:
    seal, open = (AeadProtection(b"s" * 32, Aead.AES_256_GCM, max_packets) for _ in range(2))
    return Sealer(seal), Opener(open)


def carry(opener: Opener, header: bytes, sealed: bytes) -> bytes:
    (plaintext,) = opener.records(memoryview(header + sealed))
    return plaintext


def test_records_open_in_order_only() -> None:
    sealer, opener = pair()
    first, second = sealer.seal(b"one"), sealer.seal(b"two")
    with pytest.raises(RemoteProtocolError):
        carry(pair()[1], *second)
    assert carry(opener, *first) == b"one"
    with pytest.raises(RemoteProtocolError):
        carry(opener, *first)  # replayed
    assert carry(opener, *second) == b"two"


def test_every_flipped_bit_is_refused() -> None:
    sealer, _ = pair()
    header, sealed = sealer.seal(b"payload")
    wire = header + sealed
    for bit in range(len(wire) * 8):
        changed = bytearray(wire + bytes(MAX_PLAINTEXT))  # enough for a length that became longer
        changed[bit // 8] ^= 1 << (bit % 8)
        with pytest.raises(RemoteProtocolError):
            list(pair()[1].records(memoryview(changed)))


def test_keys_change_when_they_are_worn_out() -> None:
    sealer, opener = pair(max_packets=4)
    for i in range(25):
        assert carry(opener, *sealer.seal(b"%d" % i)) == b"%d" % i
    assert sealer.key_updates == 6
    sealer.update_key()
    assert carry(opener, *sealer.seal(b"after an hour")) == b"after an hour"
    assert sealer.key_updates == 7


@pytest.mark.parametrize("length", [0, 15, MAX_PLAINTEXT + 17, 0xFFFFFF])
def test_impossible_lengths_are_refused_before_anything_is_read(length: int) -> None:
    with pytest.raises(RemoteProtocolError):
        list(pair()[1].records(memoryview(HEADER.pack(length))))


def test_records_come_in_any_pieces() -> None:
    bodies = [b"", b"one", bytes(300)]
    sealer = pair()[0]
    wire = b"".join(header + sealed for header, sealed in map(sealer.seal, bodies))
    for size in range(1, len(wire) + 1):
        opener = pair()[1]
        opened: list[bytes] = []
        for at in range(0, len(wire), size):
            opened += opener.records(memoryview(opener.rest + wire[at : at + size]))
        assert opened == bodies and not opener.rest


def test_handshake_messages_come_in_any_pieces() -> None:
    wire = frame_message(b"first", True) + frame_message(b"second", False) + b"records"
    for size in range(1, len(wire) + 1):
        reader = HandshakeReader(is_dialer=False)
        messages: list[bytes] = []
        for at in range(0, len(wire), size):
            reader.receive(wire[at : at + size])
            while len(messages) < 2 and (message := reader.next_message()) is not None:
                messages.append(message)
        assert messages == [b"first", b"second"] and reader.rest() == b"records"


def test_unknown_versions_are_refused() -> None:
    reader = HandshakeReader(is_dialer=False)
    with pytest.raises(RemoteProtocolError, match="version 2"):
        reader.receive(b"\0\0\0\2\0\5hello")
    assert reader.unknown_version
    with pytest.raises(RemoteProtocolError, match="does not speak version 1"):
        HandshakeReader(is_dialer=True).receive(b"\0\0\0\0\0\0\0\1")


def test_oversized_handshake_messages_are_refused() -> None:
    reader = HandshakeReader(is_dialer=True)
    reader.receive(b"\xff\xff")
    with pytest.raises(RemoteProtocolError):
        reader.next_message()
