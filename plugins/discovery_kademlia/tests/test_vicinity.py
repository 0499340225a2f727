"""Many keys, few lookups: judged against brute force."""

import random

import pytest
from peerkit_discovery_kademlia.diversity import MAX_AMONG_CANDIDATES
from peerkit_discovery_kademlia.keys import key_of_peer
from peerkit_discovery_kademlia.routing_table import K
from peerkit_discovery_kademlia.vicinity import ENOUGH, Vicinity

from peerkit.record import PeerRecord
from plugins.discovery_kademlia.tests.message_network import make_record


@pytest.fixture(scope="module")
def peers() -> list[PeerRecord]:
    return [make_record(seed) for seed in range(400)]


def nearest(peers: list[PeerRecord], key: int) -> list[PeerRecord]:
    return sorted(peers, key=lambda record: key_of_peer(record.peer_id.raw) ^ key)[:K]


def explore(peers: list[PeerRecord], keys: list[int]) -> tuple[Vicinity, int]:
    vicinity, lookups = Vicinity(), 0
    for key in keys:
        if not vicinity.covers(key):
            vicinity.add(key, nearest(peers, key))
            lookups += 1
    return vicinity, lookups


def test_a_thousand_keys_need_a_lookup_for_each_region(peers: list[PeerRecord]) -> None:
    rng = random.Random(1)
    keys = sorted(rng.getrandbits(256) for _ in range(1000))
    vicinity, lookups = explore(peers, keys)
    assert lookups < 60, "some fourteen of 400 peers share a region"
    missed = 0
    for key in keys:
        right = nearest(peers, key)
        chosen = vicinity.nearest(key)
        assert chosen[:ENOUGH] == right[:ENOUGH], "what a lookup asks first"
        missed += len({r.peer_id for r in right} - {r.peer_id for r in chosen})
    assert missed < 0.01 * K * len(keys)


def test_a_key_that_was_looked_up_gets_exactly_what_was_found(peers: list[PeerRecord]) -> None:
    rng = random.Random(2)
    for _ in range(50):
        key = rng.getrandbits(256)
        vicinity = Vicinity()
        vicinity.add(key, nearest(peers, key))
        assert vicinity.covers(key)
        assert vicinity.nearest(key) == nearest(peers, key)


def test_keys_far_from_every_lookup_are_not_covered(peers: list[PeerRecord]) -> None:
    vicinity, _ = explore(peers, [0])
    assert not vicinity.covers(1 << 255)


def test_one_lookup_is_enough_when_it_found_everybody(peers: list[PeerRecord]) -> None:
    few = peers[: K - 1]
    vicinity, lookups = explore(few, [0, 1 << 255, 1 << 200])
    assert lookups == 1
    assert vicinity.nearest(1 << 255) == nearest(few, 1 << 255)


def test_a_lookup_that_found_nobody_covers_only_its_key() -> None:
    vicinity = Vicinity()
    vicinity.add(5, [])
    assert vicinity.covers(5)
    assert not vicinity.covers(6)
    assert vicinity.nearest(5) == []


def test_at_most_two_of_one_prefix_are_chosen() -> None:
    crowd = [make_record(seed, "44.1.1.7") for seed in range(15)]
    others = [make_record(100 + seed) for seed in range(25)]
    vicinity = Vicinity()
    vicinity.add(0, nearest(crowd + others, 0))
    vicinity.add(1 << 255, nearest(crowd + others, 1 << 255))
    chosen = vicinity.nearest(0)
    assert sum(record in crowd for record in chosen) <= MAX_AMONG_CANDIDATES
