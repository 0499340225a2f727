"""Points of low order: the list is complete, and the library agrees."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from peerkit_secure_noise.x25519 import LOW_ORDER_POINTS, is_usable, key_pair, shared_secret

from peerkit.errors import RemoteProtocolError


def both_forms(point: bytes) -> tuple[bytes, bytes]:
    return point, point[:31] + bytes([point[31] | 0x80])


def test_shared_secret_matches_the_rfc() -> None:
    """RFC 7748 §5.2, first vector."""
    scalar = bytes.fromhex("a546e36bf0527c9d3b16154b82465edd62144c0ac1fc5a18506a2244ba449ac4")
    point = bytes.fromhex("e6db6867583030db3594c1a424b15f7c726624ec26b3353b10a903a6d0ab1c4c")
    expected = bytes.fromhex("c3da55379de9c6908e94ea4df28d084f32eccf03491c71f754b4075577a28552")
    assert shared_secret(scalar, point) == expected


@pytest.mark.parametrize("point", [form for p in sorted(LOW_ORDER_POINTS) for form in both_forms(p)])
def test_every_listed_point_makes_the_library_refuse(point: bytes) -> None:
    assert not is_usable(point)
    with pytest.raises(RemoteProtocolError, match="low order"):
        shared_secret(b"s" * 32, point)


@given(st.binary(min_size=32, max_size=32))
def test_a_usable_point_gives_a_secret(point: bytes) -> None:
    """`HandshakeState` relies on it: a key that was read is never refused later, when an answer is written."""
    if is_usable(point):
        assert any(shared_secret(b"s" * 32, point))


@given(st.binary(max_size=64).filter(lambda data: len(data) != 32))
def test_another_length_is_no_point(data: bytes) -> None:
    assert not is_usable(data)


def test_text_form_does_not_show_the_secret() -> None:
    pair = key_pair(b"s" * 32)
    assert pair.secret.hex() not in repr(pair)
    assert repr(pair.secret) not in repr(pair)
