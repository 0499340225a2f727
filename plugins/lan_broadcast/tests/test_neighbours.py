"""Who may be dialled, and how much a flood can take."""

from hypothesis import given, settings
from hypothesis import strategies as st
from peerkit_lan_broadcast.neighbours import CANDIDATE_S, DIAL_APART_S, MAX_CANDIDATES, MAX_PER_HOST, Neighbours

from peerkit import Address
from peerkit.testing import SeededRng


def nobody(address: Address) -> bool:
    return False


def at(host: str, port: int = 4_433) -> Address:
    return Address("udp", host, port)


def test_a_neighbour_is_taken_once_until_it_is_heard_again() -> None:
    neighbours = Neighbours(SeededRng())
    assert neighbours.heard(at("10.0.0.1"), 0.0)
    assert not neighbours.heard(at("10.0.0.1"), 1.0), "known"
    assert list(neighbours.take(5, 1.0, nobody)) == [at("10.0.0.1")]
    assert list(neighbours.take(5, 20.0, nobody)) == []
    assert neighbours.heard(at("10.0.0.1"), 21.0)
    assert list(neighbours.take(5, 21.0, nobody)) == [at("10.0.0.1")]


def test_one_host_is_dialled_once_in_ten_seconds_whatever_ports_it_names() -> None:
    neighbours = Neighbours(SeededRng())
    for port in (1, 2, 3):
        neighbours.heard(at("10.0.0.1", port), 0.0)
    assert len(neighbours.take(5, 0.0, nobody)) == 1
    assert len(neighbours.take(5, DIAL_APART_S - 0.1, nobody)) == 0
    assert len(neighbours.take(5, DIAL_APART_S, nobody)) == 1, "the other nodes of that machine wait for their turn"


def test_whom_we_know_is_not_dialled() -> None:
    neighbours = Neighbours(SeededRng())
    neighbours.heard(at("10.0.0.1"), 0.0)
    assert not neighbours.take(5, 0.0, lambda address: True)
    assert not len(neighbours)


def test_silent_neighbours_are_forgotten() -> None:
    neighbours = Neighbours(SeededRng())
    neighbours.heard(at("10.0.0.1"), 0.0)
    assert not neighbours.take(5, CANDIDATE_S + 1, nobody)


@settings(max_examples=20)  # long lists
@given(st.lists(st.tuples(st.integers(0, 600), st.integers(1, 65_535)), max_size=700))
def test_a_flood_takes_bounded_memory(beacons: list[tuple[int, int]]) -> None:
    neighbours = Neighbours(SeededRng())
    for i, (host, port) in enumerate(beacons):
        neighbours.heard(at(f"10.0.{host >> 8}.{host & 255}", port), i / 1000)
        assert len(neighbours) <= MAX_CANDIDATES
    taken = neighbours.take(10_000, 1.0, nobody)
    assert len({address.host for address in taken}) == len(taken)


def test_a_host_has_few_places() -> None:
    neighbours = Neighbours(SeededRng())
    for port in range(1, 1_000):
        neighbours.heard(at("10.0.0.1", port), 0.0)
    assert len(neighbours) == MAX_PER_HOST


def test_a_flood_does_not_push_out_everybody() -> None:
    neighbours = Neighbours(SeededRng())
    honest = [at(f"10.9.0.{i}") for i in range(100)]
    for address in honest:
        neighbours.heard(address, 0.0)
    for i in range(MAX_CANDIDATES):
        neighbours.heard(at(f"10.1.{i >> 8}.{i & 255}"), 0.0)
    assert len(set(honest) & set(neighbours.take(10_000, 0.0, nobody))) > 20
