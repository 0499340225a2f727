"""The table against brute force, and its rules against those who would fill it."""

import random
from functools import cache

import pytest
from hypothesis import given
from hypothesis import strategies as st
from peerkit_discovery_kademlia import routing_table
from peerkit_discovery_kademlia.keys import BUCKETS, bucket_of, key_of_peer, random_key_in
from peerkit_discovery_kademlia.routing_table import MAX_MISSES, MAX_REPLACEMENTS, K, Outcome, RoutingTable

from peerkit.record import PeerRecord
from plugins.discovery_kademlia.tests.message_network import make_record

OWN = bytes(32)
LOCAL = ()


@cache
def record(number: int) -> PeerRecord:
    return make_record(number)


@cache
def in_bucket(index: int, count: int) -> tuple[PeerRecord, ...]:
    """Peers that fall into one bucket of a table of `OWN`."""
    own = key_of_peer(OWN)
    found: list[PeerRecord] = []
    number = 10_000
    while len(found) < count:
        number += 1
        if bucket_of(own, key_of_peer(make_id(number))) == index:
            found.append(record(number))
    return tuple(found)


@cache
def make_id(number: int) -> bytes:
    return record(number).peer_id.raw


def where(number: int) -> tuple[str, ...]:
    return (f"20.0.{number}.0/24",)


@given(
    st.lists(st.tuples(st.integers(0, 255), st.integers(0, 2**256 - 1)), min_size=0, max_size=120),
    st.integers(0, 255),
    st.integers(0, 2**256 - 1),
    st.integers(1, 40),
)
def test_closest_equals_brute_force(places: list[tuple[int, int]], shared: int, noise: int, count: int) -> None:
    """Keys share 0 to 255 bits with ours, so all 32 buckets and the last one's depth are met."""
    table = RoutingTable(OWN)
    own = table.own_key
    keys: dict[bytes, int] = {OWN: own}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(routing_table, "key_of_peer", lambda raw: keys[raw])
        for number, (bits, rest) in enumerate(places):
            peer = record(number)
            keys[peer.peer_id.raw] = _sharing(own, bits, rest)
            table.reached(peer, LOCAL, 0.0, True)
    target = _sharing(own, shared, noise)
    entries = sorted(table, key=lambda entry: entry.key ^ target)
    found = table.closest(target, count)
    assert [e.key ^ target for e in found] == [e.key ^ target for e in entries[:count]]


def _sharing(own: int, bits: int, noise: int) -> int:
    """A key that shares exactly `bits` bits with `own`."""
    low = (1 << (255 - bits)) - 1
    return (own ^ (1 << (255 - bits))) & ~low | noise & low


@given(st.integers(0, 2**256 - 1), st.integers(0, BUCKETS - 2), st.integers())
def test_random_key_falls_into_its_bucket(own: int, index: int, seed: int) -> None:
    assert bucket_of(own, random_key_in(own, index, random.Random(seed))) == index


def test_last_bucket_holds_all_that_is_nearer() -> None:
    assert bucket_of(0, 0) == bucket_of(0, 1) == bucket_of(0, 1 << 224) == 31
    assert bucket_of(0, 1 << 225) == 30
    assert bucket_of(0, 1 << 255) == 0


def test_full_bucket_keeps_its_old_live_entries() -> None:
    table = RoutingTable(OWN)
    peers = in_bucket(0, K + 3)
    for number, peer in enumerate(peers[:K]):
        assert table.reached(peer, where(number), 0.0, True) is Outcome.ADDED
    assert table.reached(peers[K], where(K), 1.0, True) is Outcome.FULL
    assert [e.record for e in table.bucket(0)] == list(peers[:K])


def test_newcomer_takes_the_place_of_an_entry_that_missed() -> None:
    table = RoutingTable(OWN)
    peers = in_bucket(0, K + 3)
    for number, peer in enumerate(peers[:K]):
        table.reached(peer, where(number), 0.0, True)
    table.missed(peers[4].peer_id.raw, 1.0)
    assert table.reached(peers[K], where(K), 1.0, True) is Outcome.ADDED
    assert table.get(peers[4].peer_id.raw) is None
    assert len(table) == K


def test_third_miss_ends_an_entry_and_an_answer_forgives() -> None:
    table = RoutingTable(OWN)
    peer = record(1)
    table.reached(peer, where(1), 0.0, True)
    raw = peer.peer_id.raw
    assert not table.missed(raw, 1.0)
    table.reached(peer, where(1), 2.0, True)
    assert [table.missed(raw, 3.0) for _ in range(MAX_MISSES)] == [False, False, True]
    assert len(table) == 0


def test_prefix_has_two_places_in_a_bucket() -> None:
    table = RoutingTable(OWN)
    outcomes = [table.reached(peer, where(7), 0.0, True) for peer in in_bucket(0, 4)]
    assert outcomes == [Outcome.ADDED, Outcome.ADDED, Outcome.CROWDED, Outcome.CROWDED]


def test_prefix_has_ten_places_in_the_table() -> None:
    table = RoutingTable(OWN)
    peers = [peer for index in range(7) for peer in in_bucket(index, 2)]
    outcomes = [table.reached(peer, where(7), 0.0, True) for peer in peers]
    assert outcomes == [Outcome.ADDED] * 10 + [Outcome.CROWDED] * 4


def test_ipv6_network_of_32_bits_has_ten_places_in_the_table() -> None:
    table = RoutingTable(OWN)
    peers = [peer for index in range(7) for peer in in_bucket(index, 2)]
    outcomes = [
        table.reached(peer, (f"2001:db8:0:{number:x}00::/56", "2001:db8::/32"), 0.0, True)
        for number, peer in enumerate(peers)
    ]
    assert outcomes.count(Outcome.ADDED) == 10


def test_local_addresses_are_exempt() -> None:
    table = RoutingTable(OWN)
    assert {table.reached(peer, LOCAL, 0.0, True) for peer in in_bucket(0, K)} == {Outcome.ADDED}


def test_place_of_a_prefix_is_free_again_when_its_entry_is_gone() -> None:
    table = RoutingTable(OWN)
    first, second, third, _ = in_bucket(0, 4)
    for peer in (first, second):
        table.reached(peer, where(7), 0.0, True)
    for _ in range(MAX_MISSES):
        table.missed(first.peer_id.raw, 1.0)
    assert table.reached(third, where(7), 2.0, True) is Outcome.ADDED


def test_clients_and_we_ourselves_never_enter() -> None:
    table = RoutingTable(record(5).peer_id.raw)
    assert table.reached(record(5), LOCAL, 0.0, True) is Outcome.REFUSED
    assert table.reached(make_record(6, is_client=True), LOCAL, 0.0, True) is Outcome.REFUSED
    assert len(table) == 0


def test_strangers_wait_outside_in_a_bounded_number() -> None:
    table = RoutingTable(OWN)
    for peer in in_bucket(0, MAX_REPLACEMENTS + 5):
        table.met(peer)
    assert len(table) == 0
    assert table.sizes() == [(0, 0, MAX_REPLACEMENTS)]
    assert table.replacement_for(0) == in_bucket(0, MAX_REPLACEMENTS + 5)[-1]  # the newest first


def test_entry_leaves_when_its_record_expires() -> None:
    table = RoutingTable(OWN)
    table.reached(record(1), LOCAL, 0.0, True)
    table.forget_expired(record(1).expires_at - 1)
    assert len(table) == 1
    table.forget_expired(record(1).expires_at)
    assert len(table) == 0


def test_newer_record_replaces_the_older_one() -> None:
    table = RoutingTable(OWN)
    older = record(1)
    newer = make_record(1, sequence=older.sequence + 1)
    table.reached(newer, LOCAL, 0.0, True)
    table.reached(older, LOCAL, 1.0, True)
    entry = table.get(older.peer_id.raw)
    assert entry is not None
    assert entry.wire == newer.to_bytes()
