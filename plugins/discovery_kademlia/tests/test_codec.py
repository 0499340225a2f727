"""Golden bytes of every message, and that nothing from outside raises anything but `RemoteProtocolError`."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from peerkit_discovery_kademlia import codec
from peerkit_discovery_kademlia.announcement import read_announcement
from peerkit_discovery_kademlia.codec import (
    AddProvider,
    AnnouncementFields,
    Answer,
    FindNode,
    GetProviders,
    GetValue,
    MutableFields,
    Ping,
    Provider,
    PutValue,
    Request,
)
from peerkit_discovery_kademlia.namespaces import check_value
from peerkit_discovery_kademlia.wire.v1 import kademlia_pb2 as pb

from peerkit.errors import RemoteProtocolError
from plugins.discovery_kademlia.tests.message_network import NETWORK, WALL

KEY = bytes(range(32))
KEY_HEX = KEY.hex()

GOLDEN_REQUESTS: list[tuple[Request, str]] = [
    (FindNode(KEY), "0a220a20" + KEY_HEX),
    (GetProviders(KEY), "12220a20" + KEY_HEX),
    (AddProvider((b"ab", b"c")), "1a070a0261620a0163"),
    (GetValue(2, KEY), "222408021220" + KEY_HEX),
    (PutValue(1, KEY, b"v"), "2a2708011220" + KEY_HEX + "1a0176"),
    (Ping(), "3200"),
]
GOLDEN_ANSWERS: list[tuple[Answer, str]] = [
    (Answer(), ""),
    (Answer(nodes=(b"n1", b"n2")), "0a026e310a026e32"),
    (Answer(providers=(Provider(b"a", b"r"), Provider(b"b", b""))), "12060a016112017212030a0162"),
    (Answer(value=b"v"), "1a0176"),
    (Answer(kept=3), "2003"),
    (Answer(grant=bytes(60)), "2a3c" + "00" * 60),
]


@pytest.mark.parametrize(("request_", "wire"), GOLDEN_REQUESTS)
def test_requests_have_these_bytes(request_: Request, wire: str) -> None:
    assert codec.encode_request(request_).hex() == wire
    assert codec.decode_request(bytes.fromhex(wire)) == request_


@pytest.mark.parametrize(("answer", "wire"), GOLDEN_ANSWERS)
def test_answers_have_these_bytes(answer: Answer, wire: str) -> None:
    assert codec.encode_answer(answer).hex() == wire
    decoded = codec.decode_answer(bytes.fromhex(wire))
    assert (decoded.nodes, decoded.providers) == (tuple(answer.nodes), tuple(answer.providers))
    assert (decoded.value, decoded.kept, decoded.grant) == (answer.value, answer.kept, answer.grant)


def test_signed_bodies_have_these_bytes() -> None:
    announcement = AnnouncementFields(KEY, KEY, 1_000, 2_000)
    wire = "0a20" + KEY_HEX + "1220" + KEY_HEX + "18e807" + "20d00f"
    assert codec.encode_announcement(announcement).hex() == wire
    assert codec.decode_announcement(bytes.fromhex(wire)) == announcement
    mutable = MutableFields(KEY, b"s", 7, b"v")
    wire = "0a20" + KEY_HEX + "120173" + "1807" + "220176"
    assert codec.encode_mutable(mutable).hex() == wire
    assert codec.decode_mutable(bytes.fromhex(wire)) == mutable


@given(st.binary(max_size=400))
def test_no_bytes_raise_anything_but_a_remote_error(data: bytes) -> None:
    for decode in (codec.decode_request, codec.decode_answer, codec.decode_announcement, codec.decode_mutable):
        with contextlib.suppress(RemoteProtocolError):
            decode(data)
    with contextlib.suppress(RemoteProtocolError):
        read_announcement(data, NETWORK, WALL)
    for namespace in range(5):
        with contextlib.suppress(RemoteProtocolError):
            check_value(namespace, KEY, data, NETWORK, WALL)


@given(st.sampled_from([wire for _, wire in GOLDEN_REQUESTS]), st.data())
def test_no_mutation_of_a_request_raises_anything_but_a_remote_error(wire: str, data: st.DataObject) -> None:
    raw = bytearray(bytes.fromhex(wire))
    raw[data.draw(st.integers(0, len(raw) - 1))] ^= data.draw(st.integers(1, 255))
    with contextlib.suppress(RemoteProtocolError):
        codec.decode_request(bytes(raw))


@pytest.mark.parametrize(
    "wire",
    [
        b"",
        pb.Request(find_node=pb.FindNode(key=bytes(31))).SerializeToString(),
        pb.Request(add_provider=pb.AddProvider()).SerializeToString(),
        pb.Request(add_provider=pb.AddProvider(announcements=[b"a"] * 65)).SerializeToString(),
        pb.Request(add_provider=pb.AddProvider(announcements=[bytes(225)])).SerializeToString(),
        pb.Request(put_value=pb.PutValue(namespace=1, key=KEY)).SerializeToString(),
        pb.Request(put_value=pb.PutValue(namespace=1, key=KEY, value=bytes(8321))).SerializeToString(),
        bytes(65_537),
    ],
    ids=["empty", "short key", "none", "too many", "too long", "no value", "long value", "too large"],
)
def test_request_beyond_the_bounds_is_refused(wire: bytes) -> None:
    with pytest.raises(RemoteProtocolError):
        codec.decode_request(wire)


@pytest.mark.parametrize(
    "message",
    [
        pb.Answer(nodes=[b"n"] * 21),
        pb.Answer(nodes=[bytes(1153)]),
        pb.Answer(providers=[pb.Provider()] * 33),
        pb.Answer(providers=[pb.Provider(record=bytes(1153))]),
        pb.Answer(value=bytes(8321)),
    ],
)
def test_answer_beyond_the_bounds_is_refused(message: pb.Answer) -> None:
    with pytest.raises(RemoteProtocolError):
        codec.decode_answer(message.SerializeToString())
