"""When a node looks for its neighbourhood, and what it costs to know somebody everywhere."""

import random

from peerkit_discovery_kademlia.goals import BucketGoal
from peerkit_discovery_kademlia.joining import AGAIN_S, SMALL, THIN, Joining
from peerkit_discovery_kademlia.keys import bucket_of, key_of_peer
from peerkit_discovery_kademlia.routing_table import RoutingTable

from plugins.discovery_kademlia.tests.message_network import MessageNetwork, make_record

INTERVAL_S = 3_600.0


def test_joining_fills_each_far_bucket_with_few_requests() -> None:
    net = MessageNetwork(seed=5)
    net.grow(120)
    newcomer = net.add(make_record(10_000))
    bootstrap = next(iter(net.peers.values()))
    joined = net.run(newcomer, newcomer.lookup(newcomer.key, seeds=[bootstrap.record]))
    joining = Joining(newcomer.table, INTERVAL_S, net.rng)
    joining.joined(net.now, joined.finished.closest)
    far = bucket_of(newcomer.key, net.peers[joined.finished.closest[-1].peer_id.raw].key) + 1
    filled, messages = [], net.messages
    for index in joining.thin_buckets():
        filled.append(index)
        goal = BucketGoal(newcomer.table, index, THIN)
        net.run(newcomer, newcomer.lookup(joining.key_in(index, net.now), goal, k=THIN, alpha=2))
    assert filled == sorted(filled, reverse=True), "nearest first"
    assert filled, "otherwise this shows nothing"
    assert max(filled) < far
    for index in range(far):
        others = sum(bucket_of(newcomer.key, peer.key) == index for peer in net.peers.values() if peer is not newcomer)
        assert len(newcomer.table.bucket(index)) >= min(THIN, others)
    assert net.messages - messages <= 3 * THIN * len(filled), "a whole lookup of each would take twice as many"


def test_a_thin_bucket_that_fills_before_its_turn_is_left_alone() -> None:
    table = RoutingTable(bytes(32))
    joining = Joining(table, INTERVAL_S, random.Random(1))
    records = [make_record(number) for number in range(200)]
    near = sorted(records, key=lambda record: bucket_of(table.own_key, key_of_peer(record.peer_id.raw)))[-20:][::-1]
    joining.joined(0.0, near)
    turns = joining.thin_buckets()
    first = next(turns)
    for record in records:
        if bucket_of(table.own_key, key_of_peer(record.peer_id.raw)) < first:
            table.reached(record, (), 0.0, True)
    assert list(turns) == []


def test_a_newcomer_is_a_reason_to_join_again_only_while_the_table_is_small() -> None:
    table = RoutingTable(bytes(32))
    joining = Joining(table, INTERVAL_S, random.Random(1))
    assert joining.wait_s(0.0) == 0.0
    joining.joined(10.0, [make_record(1)])
    assert joining.wait_s(10.0) == AGAIN_S
    assert joining.wait_s(10.0 + 2 * AGAIN_S) == 0.0
    for number in range(4 * SMALL):
        table.reached(make_record(number), (), 10.0, True)
    assert joining.wait_s(11.0) is None
