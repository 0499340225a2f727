"""The 32 bytes of a beacon."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from peerkit_lan_broadcast.beacon import BEACON_BYTES, HOUR_S, TRANSPORTS, Beacon

from peerkit.errors import RemoteProtocolError

KEY = bytes(range(32))
WALL = 1_800_000_000.0
BEACON = Beacon("udp", 4_433, b"8 random")


def test_golden_bytes() -> None:
    data = BEACON.to_bytes(KEY, WALL)
    assert data.hex() == "01001151382072616e646f6d" + "c44d426c1155c7df48a02f2b31481676ba7ea3ec"
    tcp = Beacon("tcp", 65_535, bytes(8)).to_bytes(KEY, WALL)
    assert tcp.hex() == "0101ffff0000000000000000" + "c13a401b33587a6638fa0bf492057c99e86ed648"


@given(st.sampled_from(TRANSPORTS), st.integers(1, 65_535), st.binary(min_size=8, max_size=8), st.floats(0, 1e11))
def test_what_is_sent_is_read(transport: str, port: int, random: bytes, wall: float) -> None:
    beacon = Beacon(transport, port, random)
    data = beacon.to_bytes(KEY, wall)
    assert len(data) == BEACON_BYTES
    assert Beacon.from_bytes(data, KEY, wall) == beacon


@given(st.binary(max_size=64) | st.binary(min_size=32, max_size=32), st.floats(0, 1e11))
def test_no_bytes_raise_anything_but_a_protocol_error(data: bytes, wall: float) -> None:
    with pytest.raises(RemoteProtocolError):
        Beacon.from_bytes(data, KEY, wall)


def test_every_byte_is_protected() -> None:
    data = BEACON.to_bytes(KEY, WALL)
    for at in range(BEACON_BYTES):
        changed = bytearray(data)
        changed[at] ^= 1
        with pytest.raises(RemoteProtocolError):
            Beacon.from_bytes(bytes(changed), KEY, WALL)


def test_another_networks_beacon_is_refused() -> None:
    with pytest.raises(RemoteProtocolError, match="another network"):
        Beacon.from_bytes(BEACON.to_bytes(bytes(32), WALL), KEY, WALL)


def test_clocks_may_differ_by_an_hour_and_no_more() -> None:
    data = BEACON.to_bytes(KEY, WALL)
    for wall in (WALL - HOUR_S, WALL + HOUR_S):
        assert Beacon.from_bytes(data, KEY, wall) == BEACON
    for wall in (WALL - 2 * HOUR_S, WALL + 2 * HOUR_S):
        with pytest.raises(RemoteProtocolError, match="old"):
            Beacon.from_bytes(data, KEY, wall)
