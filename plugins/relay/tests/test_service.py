"""The serving side by hand: places, circuits, limits, and whose datagrams go where."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from peerkit_relay.codec import HEADER
from peerkit_relay.service import RelayService
from peerkit_relay.settings import RelaySettings

from peerkit.errors import LimitExceeded, NotFound
from peerkit.identity import PeerId
from peerkit.testing import SeededRng

A, B, C, D = (PeerId(bytes([i]) * 32) for i in range(4))


def service(**settings: int) -> RelayService:
    return RelayService(RelaySettings.model_validate({"reservation_s": 100, "circuit_s": 50, **settings}), SeededRng(1))


def test_a_reservation_is_renewed_in_its_own_place_and_expires() -> None:
    relay = service(max_reservations=1)
    assert relay.reserve(A, "45.1.0.0/24", 0.0) == 100
    assert relay.reserve(A, "45.1.0.0/24", 90.0) == 100
    with pytest.raises(LimitExceeded, match="no place"):
        relay.reserve(B, "45.2.0.0/24", 100.0)
    relay.sweep(190.0)
    assert not relay.reservations
    relay.reserve(B, "45.2.0.0/24", 190.0)


def test_a_neighbourhood_cannot_take_every_place_but_a_local_network_is_exempt() -> None:
    relay = service(max_reservations_per_prefix=2)
    for peer in (A, B):
        relay.reserve(peer, "45.1.0.0/24", 0.0)
    with pytest.raises(LimitExceeded, match=r"45\.1\.0\.0/24"):
        relay.reserve(C, "45.1.0.0/24", 0.0)
    relay.reserve(C, "45.2.0.0/24", 0.0)
    for peer in (A, B, C, D):
        relay.reserve(peer, "", 0.0)


def test_only_peers_with_a_reservation_are_reached() -> None:
    relay = service()
    relay.reserve(B, "", 0.0)
    circuit = relay.connect(A, B, 0.0)
    assert (circuit.dialer, circuit.target) == (A, B)
    for dialer, target in ((B, A), (B, B)):
        with pytest.raises(NotFound):
            relay.connect(dialer, target, 0.0)


def test_datagrams_of_a_circuit_go_to_its_other_end_and_nowhere_else() -> None:
    relay = service()
    relay.reserve(B, "", 0.0)
    circuit = relay.connect(A, B, 0.0)
    up, down = HEADER.pack(0, circuit.id) + b"x", HEADER.pack(1, circuit.id) + b"x"
    assert relay.forward(A, up) == (B, down) and relay.forward(B, up) == (A, down)
    for sender, datagram in ((C, up), (A, down), (A, HEADER.pack(0, circuit.id ^ 1) + b"x"), (A, up[:5]), (A, b"")):
        assert relay.forward(sender, datagram) is None
    assert relay.dropped == 5


@given(st.binary(max_size=20))
def test_any_datagram_of_a_stranger_goes_nowhere(datagram: bytes) -> None:
    relay = service()
    relay.reserve(B, "", 0.0)
    relay.connect(A, B, 0.0)
    assert relay.forward(C, datagram) is None


def test_a_circuit_ends_by_time_and_by_bytes() -> None:
    relay = service(circuit_bytes=100_000)
    relay.reserve(B, "", 0.0)
    old, full = relay.connect(A, B, 0.0), relay.connect(C, B, 10.0)
    packet = HEADER.pack(0, full.id) + bytes(60_000)
    assert relay.forward(C, packet) and relay.forward(C, packet) is None
    over = relay.sweep(50.0)
    assert {circuit.id: ("lasted" in reason, "carried" in reason) for circuit, reason in over} == {
        old.id: (True, False),
        full.id: (False, True),
    }
    assert not relay.circuits and relay.peers == {B}


def test_one_peer_cannot_take_every_circuit() -> None:
    relay = service(max_circuits_per_peer=2, max_circuits=3)
    for peer in (A, B, C, D):
        relay.reserve(peer, "", 0.0)
    relay.connect(A, B, 0.0)
    relay.connect(A, C, 0.0)
    with pytest.raises(LimitExceeded, match="enough circuits"):
        relay.connect(A, D, 0.0)
    with pytest.raises(LimitExceeded, match="enough circuits"):
        relay.connect(D, A, 0.0)
    relay.connect(B, C, 0.0)
    with pytest.raises(LimitExceeded, match="as many circuits"):
        relay.connect(B, D, 0.0)


def test_when_a_peer_goes_its_place_and_circuits_go_too() -> None:
    relay = service()
    for peer in (A, B, C):
        relay.reserve(peer, "", 0.0)
    gone, stays = relay.connect(A, B, 0.0), relay.connect(B, C, 0.0)
    assert relay.lost(A) == [gone] and set(relay.circuits) == {stays.id}
    assert A not in relay.reservations and relay.close(stays.id, A) is None
    assert relay.close(stays.id, C) is stays and relay.close(stays.id, C) is None
