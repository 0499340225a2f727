"""One lookup serves a whole neighbourhood of keys."""

import random
from functools import cache

import pytest
from peerkit_search.placement import LIFE_S, SMALL_LIFE_S, Placement, position

from peerkit.address import Address
from peerkit.identity import PeerId
from peerkit.record import PeerRecord, Signed


def make_peers(count: int, rng: random.Random) -> list[PeerRecord]:
    address = (Address("tcp", "127.0.0.1", 1),)
    return [
        PeerRecord(PeerId(rng.randbytes(32)), bytes(32), 1, 0, 1, address, b"", {}, False, Signed(b"", b""))
        for _ in range(count)
    ]


@cache
def place(peer_id: PeerId) -> int:
    return int.from_bytes(position(peer_id), "big")


def nearest(peers: list[PeerRecord], key: bytes, count: int = 20) -> list[PeerRecord]:
    target = int.from_bytes(key, "big")
    return sorted(peers, key=lambda peer: place(peer.peer_id) ^ target)[:count]


def test_in_a_network_of_twelve_one_lookup_serves_every_key() -> None:
    rng = random.Random(1)
    peers = make_peers(12, rng)
    placement = Placement(position)
    key = rng.randbytes(32)
    placement.learn(key, nearest(peers, key), True, 0.0)
    assert placement.is_small(1.0)
    for _ in range(50):
        key = rng.randbytes(32)
        assert placement.find(key, 1.0) == tuple(nearest(peers, key))
    assert placement.find(key, SMALL_LIFE_S + 1) is None


@pytest.mark.parametrize("size", [100, 1000])
def test_in_a_large_network_few_lookups_serve_all_keys_and_the_nearest_peers_are_exact(size: int) -> None:
    rng = random.Random(size)
    peers = make_peers(size, rng)
    placement = Placement(position)
    lookups = 0
    overlaps = []
    for key in sorted(rng.randbytes(32) for _ in range(1000)):
        found = placement.find(key, 1.0)
        exact = nearest(peers, key) if size < 1000 or rng.random() < 0.1 else None
        if found is None:
            lookups += 1
            placement.learn(key, nearest(peers, key), False, 0.0)
            found = placement.find(key, 1.0)
        assert found is not None and len(found) == 20
        if exact is not None:
            assert list(found[:4]) == exact[:4]
            overlaps.append(len({peer.peer_id for peer in found} & {peer.peer_id for peer in exact}))
    assert lookups <= size / 4 + 5
    assert sum(overlaps) / len(overlaps) >= 16  # of 20
    assert placement.find(key, LIFE_S + 1) is None


def test_an_order_that_is_not_ours_serves_its_own_key_only() -> None:
    rng = random.Random(3)
    peers = make_peers(20, rng)
    placement = Placement(lambda peer_id: peer_id.raw)
    key = rng.randbytes(32)
    placement.learn(key, nearest(peers, key), False, 0.0)
    assert placement.find(key, 1.0) == tuple(nearest(peers, key))
    near = key[:-1] + bytes((key[-1] ^ 1,))
    assert placement.find(near, 1.0) is None


def test_an_empty_answer_is_not_kept() -> None:
    placement = Placement(position)
    placement.learn(bytes(32), [], True, 0.0)
    assert placement.find(bytes(32), 0.0) is None


def test_in_a_small_network_a_newcomer_makes_it_ask_again() -> None:
    rng = random.Random(4)
    peers = make_peers(3, rng)
    placement = Placement(position)
    placement.learn(bytes(32), nearest(peers, bytes(32)), True, 0.0)
    placement.forget_small()
    assert placement.find(bytes(32), 0.0) is None
