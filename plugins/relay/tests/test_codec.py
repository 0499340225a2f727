"""The relay's messages: golden bytes, and any bytes from outside."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st
from peerkit_relay import codec
from peerkit_relay.codec import CircuitTerms, Close, Connect, Incoming, Reserve

from peerkit.errors import RemoteProtocolError
from peerkit.identity import PeerId

PEER = PeerId(bytes(range(32)))
RAW = PEER.raw.hex()
GOLDEN: list[tuple[codec.Ask, str]] = [
    (Reserve(), "0a00"),
    (Connect(PEER), "12220a20" + RAW),
    (Incoming(PEER, CircuitTerms(0x01020304, 1_200, 60, 1_000)), "1a310a20" + RAW + "120d088486880810b009183c20e807"),
    (Close(7, "gone"), "220808071204676f6e65"),
]


@pytest.mark.parametrize(("ask", "wire"), GOLDEN)
def test_messages_have_these_bytes(ask: codec.Ask, wire: str) -> None:
    assert codec.encode_ask(ask).hex() == wire
    assert codec.decode_ask(bytes.fromhex(wire)) == ask


def test_answers_have_these_bytes() -> None:
    assert codec.encode_reservation(3_600).hex() == "08901c"
    assert codec.decode_reservation(bytes.fromhex("08901c")) == 3_600
    terms = CircuitTerms(1, 1_400, 3_600, 1 << 30)
    assert codec.encode_circuit(terms).hex() == "080110f80a18901c208080808004"
    assert codec.decode_circuit(bytes.fromhex("080110f80a18901c208080808004")) == terms


@pytest.mark.parametrize(
    "wire",
    [
        "",  # of no kind
        "1200",  # no target
        "12030a01ff",  # an id of one byte
        "1a260a20" + RAW + "12021064",  # a circuit of 100 bytes
        "ff" * 1_025,
    ],
)
def test_what_cannot_be_meant_is_refused(wire: str) -> None:
    with pytest.raises(RemoteProtocolError):
        codec.decode_ask(bytes.fromhex(wire))


@pytest.mark.parametrize("wire", ["", "0800", "0881a305"])
def test_a_reservation_of_no_use_or_without_end_is_refused(wire: str) -> None:
    with pytest.raises(RemoteProtocolError):
        codec.decode_reservation(bytes.fromhex(wire))


@given(st.binary(max_size=200))
def test_any_bytes_raise_nothing_else(data: bytes) -> None:
    for decode in (codec.decode_ask, codec.decode_circuit, codec.decode_reservation):
        with suppress(RemoteProtocolError):
            decode(data)
