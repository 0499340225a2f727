"""Golden bytes of every message, and that nothing from outside raises anything but `RemoteProtocolError`."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from peerkit_public_address import codec

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


@given(st.binary(max_size=300))
def test_no_bytes_raise_anything_but_remote_protocol_error(data: bytes) -> None:
    with contextlib.suppress(RemoteProtocolError):
        codec.decode_observe(data)
    with contextlib.suppress(RemoteProtocolError):
        codec.decode_observed(data, "udp")
