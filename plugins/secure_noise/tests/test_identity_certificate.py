"""Static keys by epoch, and the certificate that ties one to a peer."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from peerkit_secure_noise.identity_certificate import (
    CERTIFICATE_BYTES,
    EPOCH_S,
    OVERLAP_S,
    verify_certificate,
)

from peerkit.errors import RemoteProtocolError
from plugins.secure_noise.tests.nodes import NETWORK, NOW, node

START = 700 * EPOCH_S


def test_a_key_lives_for_one_epoch_and_survives_a_restart() -> None:
    first, last, next_ = (node(1).keys.current(t).pair for t in (START, START + EPOCH_S - 1, START + EPOCH_S))
    assert first == last
    assert first != next_


def test_the_previous_key_is_accepted_for_48_hours() -> None:
    keys = node(1).keys
    before = keys.current(START - 1)
    assert keys.accepted(START) == (keys.current(START), before)
    assert keys.accepted(START + OVERLAP_S - 1) == (keys.current(START), before)
    assert keys.accepted(START + OVERLAP_S) == (keys.current(START),)


@pytest.mark.parametrize("now", [0.0, -5.0, OVERLAP_S - 1.0])
def test_a_machine_without_a_date_has_one_key(now: float) -> None:
    assert len(node(1).keys.accepted(now)) == 1


def test_secrets_of_past_epochs_leave_the_memory() -> None:
    keys = node(1).keys
    for epoch in range(700, 720):
        keys.accepted(epoch * EPOCH_S)
    assert len(keys._epochs) == 2


def test_a_certificate_names_its_peer_and_its_end() -> None:
    n = node(1)
    key = n.keys.current(START)
    peer_id, not_after = verify_certificate(NETWORK, key.pair.public, key.certificate)
    assert peer_id == n.identity.peer_id
    assert not_after == START + EPOCH_S + OVERLAP_S


def test_every_flipped_bit_of_a_certificate_is_refused() -> None:
    key = node(1).keys.current(NOW)
    for bit in range(CERTIFICATE_BYTES * 8):
        forged = bytearray(key.certificate)
        forged[bit // 8] ^= 1 << bit % 8
        with pytest.raises(RemoteProtocolError):
            verify_certificate(NETWORK, key.pair.public, bytes(forged))


def test_a_certificate_is_worth_nothing_for_another_key_or_network() -> None:
    key, other = node(1).keys.current(NOW), node(2).keys.current(NOW)
    for network_id, public in ((NETWORK, other.pair.public), (bytes(32), key.pair.public)):
        with pytest.raises(RemoteProtocolError, match="not certified"):
            verify_certificate(network_id, public, key.certificate)


@given(st.binary(max_size=2 * CERTIFICATE_BYTES))
def test_any_bytes_are_refused_with_the_peers_fault(data: bytes) -> None:
    with pytest.raises(RemoteProtocolError):
        verify_certificate(NETWORK, bytes(32), data)
