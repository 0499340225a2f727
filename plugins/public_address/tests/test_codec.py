"""Golden bytes of every message, and that nothing from outside raises anything but `RemoteProtocolError`."""

import contextlib
from functools import partial

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from peerkit_public_address import codec
from peerkit_public_address.arrival import Arrival
from peerkit_public_address.codec import DialBack, Reply, Status
from peerkit_public_address.trials import Origin

from peerkit.address import Address
from peerkit.errors import RemoteProtocolError


def test_observe_has_no_bytes() -> None:
    assert codec.encode_observe() == b""
    codec.decode_observe(b"")


@pytest.mark.parametrize(
    ("seen", "wire"),
    [
        (None, ""),
        (Address("udp", "20.9.0.1", 4433), "0a04140900011 0d122".replace(" ", "")),
        (Address("udp", "2a00::9", 1), "0a102a000000000000000000000000000009" + "1001"),
    ],
)
def test_observed_has_these_bytes(seen: Address | None, wire: str) -> None:
    assert codec.encode_observed(seen).hex() == wire
    assert codec.decode_observed(bytes.fromhex(wire), "udp") == seen


@pytest.mark.parametrize(
    "wire",
    [
        "0a03140900" + "1001",  # 3 bytes of address
        "0a0414090001",  # no port
        "0a0414090001" + "10808004",  # port 65,536
        "0a1000000000000000000000ffff14090001" + "1001",  # IPv4 as IPv6
        "0a04",  # cut off
        "00" * 257,
    ],
)
def test_bad_observations_are_refused(wire: str) -> None:
    with pytest.raises(RemoteProtocolError):
        codec.decode_observed(bytes.fromhex(wire), "udp")


TOKEN, NONCE = bytes(range(16)), bytes(range(16, 32))
GOLDEN_REQUESTS = [
    (
        DialBack(Address("udp", "20.9.0.1", 4433), TOKEN, Origin.OTHER_PORT),
        "0a03756470" + "120414090001" + "18d122" + "2210" + TOKEN.hex() + "2801" + "329b01" + "00" * 155,
    ),
    (
        DialBack(Address("tcp", "2a00::9", 1), TOKEN, Origin.OTHER_ADDRESS),
        "0a03746370"
        + "12102a000000000000000000000000000009"
        + "1801"
        + "2210"
        + TOKEN.hex()
        + "2802"
        + "329001"
        + "00" * 144,
    ),
]


@pytest.mark.parametrize(("request_", "wire"), GOLDEN_REQUESTS)
def test_requests_for_dial_backs_have_these_bytes(request_: DialBack, wire: str) -> None:
    assert codec.encode_dial_back(request_).hex() == wire
    assert len(bytes.fromhex(wire)) == codec.DIAL_BACK_BYTES
    assert codec.decode_dial_back(bytes.fromhex(wire)) == request_


@pytest.mark.parametrize(
    ("reply", "wire"),
    [
        (Reply(Status.PAY, 100_000), "080110a08d06"),
        (Reply(Status.TRYING), "0802"),
        (Reply(Status.ARRIVED), "0803"),
        (Reply(Status.NOT_ARRIVED), "0804"),
        (Reply(Status.REFUSED), "0805"),
        (Reply(Status.BUSY), "0806"),
        (Reply(Status.NO_HELPER), "0807"),
    ],
)
def test_replies_have_these_bytes(reply: Reply, wire: str) -> None:
    assert codec.encode_reply(reply).hex() == wire
    assert codec.decode_reply(bytes.fromhex(wire)) == reply


def test_a_proof_and_an_arrival_have_these_bytes() -> None:
    assert codec.encode_proof(NONCE).hex() == "0a10" + NONCE.hex()
    assert codec.decode_proof(codec.encode_proof(NONCE)) == NONCE
    arrival = Arrival(TOKEN, NONCE)
    assert arrival.to_bytes().hex() == "92" + TOKEN.hex() + NONCE.hex()
    assert Arrival.from_bytes(arrival.to_bytes()) == arrival


@pytest.mark.parametrize("wire", ["", "0800", "0808", "080110a18d06", "08021001"])
def test_bad_replies_are_refused(wire: str) -> None:
    """No status, an unknown one, a price above the highest, a price where none is due."""
    with pytest.raises(RemoteProtocolError):
        codec.decode_reply(bytes.fromhex(wire))


def test_a_short_request_is_refused() -> None:
    """It would bring less than we could be made to send."""
    whole = codec.encode_dial_back(GOLDEN_REQUESTS[0][0])
    with pytest.raises(RemoteProtocolError):
        codec.decode_dial_back(whole[:-158])


@given(st.sampled_from(["udp", "tcp", "abcdefghijklmnop"]), st.ip_addresses(), st.integers(1, 65_535))
def test_requests_survive_the_wire(scheme: str, host: object, port: int) -> None:
    target = Address(scheme, str(host), port)
    assume(target.ip == host)  # an IPv4 address has one form
    request = DialBack(target, TOKEN, Origin.OTHER_PORT)
    data = codec.encode_dial_back(request)
    assert len(data) == codec.DIAL_BACK_BYTES
    assert codec.decode_dial_back(data) == request


@given(st.binary(max_size=300), st.integers(0, 191), st.integers(0, 255))
def test_no_bytes_raise_anything_but_remote_protocol_error(data: bytes, at: int, byte: int) -> None:
    mutated = bytearray(codec.encode_dial_back(GOLDEN_REQUESTS[0][0]))
    mutated[at] = byte
    for decode in (
        codec.decode_observe,
        partial(codec.decode_observed, scheme="udp"),
        codec.decode_dial_back,
        codec.decode_reply,
        codec.decode_proof,
        Arrival.from_bytes,
    ):
        for given_bytes in (data, bytes(mutated), data + bytes(192)):
            with contextlib.suppress(RemoteProtocolError):
                decode(given_bytes)
