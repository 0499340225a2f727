"""The plugin on whole nodes: real handshakes and records, simulated wire, clock and disk."""

import asyncio
import hashlib
from collections.abc import Sequence
from pathlib import Path

import pytest
from peerkit_discovery_kademlia.keys import key_of_peer
from peerkit_discovery_kademlia.operations import LookupAnswer, LookupRequest

from peerkit import Node
from peerkit.capabilities import Lookup
from peerkit.errors import LimitExceeded, NotFound, PeerUnreachable
from peerkit.identity import Identity
from peerkit.testing import SimNetwork, run
from peerkit.testing.swarm import Swarm
from plugins.discovery_kademlia.tests.nodes import NODE, PROFILE, Probes, SilentCall, table_of

KEY = bytes(range(32))


def nearest(nodes: Sequence[Node], key: bytes, but: Node) -> list[str]:
    """Brute force."""
    target = int.from_bytes(key, "big")
    others = [node.peer_id for node in nodes if node is not but]
    return [str(p) for p in sorted(others, key=lambda peer: key_of_peer(peer.raw) ^ target)[:20]]


def found(lookup: Lookup) -> list[str]:
    return [str(record.peer_id) for record in lookup.closest]


def test_nodes_that_know_one_address_find_each_other() -> None:
    """C-03, C-05, C-14."""

    async def main() -> None:
        probes = Probes()
        async with Swarm(SimNetwork(), PROFILE, plugins=probes.plugins) as swarm:
            nodes = await swarm.start(12)
            await asyncio.sleep(20)
            for node in (nodes[0], nodes[5], nodes[11]):
                lookup = await probes.of(node).peers.closest_peers(KEY)
                assert found(lookup) == nearest(nodes, KEY, node)
                assert lookup.exact
                assert len(node.peers()) >= 4, "the pool keeps its outbound slots full"
                assert len(await table_of(node)) == 11

    run(main(), seed=1)


def test_a_newcomer_connects_to_a_peer_by_its_id_alone() -> None:
    async def main() -> None:
        async with Swarm(SimNetwork(), PROFILE) as swarm:
            hub, *_, wanted = await swarm.start(4)
            await asyncio.sleep(5)
            (newcomer,) = await swarm.start(1, apart_s=0)
            await newcomer.connect(hub.addresses[0])
            assert newcomer.pool.known_record(wanted.peer_id) is None
            assert (await newcomer.connect(str(wanted.peer_id))).id == wanted.peer_id
            with pytest.raises(PeerUnreachable, match="no address is known"):
                await newcomer.connect(Identity(KEY).peer_id)

    run(main(), seed=1)


def test_content_and_values_are_found_by_nodes_that_never_met() -> None:
    async def main() -> None:
        probes = Probes()
        async with Swarm(SimNetwork(loss=0.01), PROFILE, plugins=probes.plugins) as swarm:
            nodes = await swarm.start(10)
            await asyncio.sleep(10)
            one, two, three = nodes[2], nodes[6], nodes[9]
            assert await probes.of(one).content.provide(KEY) == 9
            assert await probes.of(three).content.provide(KEY) == 9
            assert {r.peer_id for r in await probes.providers(two, KEY)} == {one.peer_id, three.peer_id}
            assert {r.peer_id for r in await probes.providers(one, KEY)} == {three.peer_id}, "without ourselves"
            assert await probes.providers(two, bytes(32)) == []

            store = probes.of(one).store
            key = await store.put_immutable(b"a stone")
            assert await probes.of(two).store.get_immutable(key) == b"a stone"
            first = await store.put_mutable(b"news", b"old")
            second = await store.put_mutable(b"news", b"new")
            assert second > first
            record = await probes.of(three).store.get_mutable(one.peer_id, b"news")
            assert (record.author, record.sequence, record.value) == (one.peer_id, second, b"new")
            with pytest.raises(NotFound):
                await probes.of(two).store.get_immutable(bytes(32))
            with pytest.raises(LimitExceeded):
                await store.put_immutable(bytes(8193))

            # What is stored outlives its author.
            await swarm.crash(one)
            assert await probes.of(two).store.get_immutable(key) == b"a stone"
            assert (await probes.of(two).store.get_mutable(one.peer_id, b"news")).value == b"new"

    run(main(), seed=2)


def test_a_full_bootstrap_peer_still_leads_into_the_network() -> None:
    async def main() -> None:
        probes = Probes()
        profile = {**PROFILE, "node": {**NODE, "slots": {"member_in": 2, "member_out": 1}}}
        async with Swarm(SimNetwork(), profile, plugins=probes.plugins) as swarm:
            nodes = await swarm.start(8)
            await asyncio.sleep(60)
            for node in nodes:
                assert len(await table_of(node)) == 7
                assert node.peers(), "one of those that it found has room"

    run(main(), seed=6)


def test_many_keys_are_announced_with_few_lookups_and_messages() -> None:
    keys = [hashlib.sha256(bytes((i,))).digest() for i in range(100)]

    async def main() -> None:
        probes = Probes()
        net = SimNetwork()
        async with Swarm(net, PROFILE, plugins=probes.plugins) as swarm:
            nodes = await swarm.start(25)
            await asyncio.sleep(20)
            packets = net.packets
            kept = await asyncio.gather(*(probes.of(nodes[3]).content.provide(key) for key in keys))
            assert min(kept) >= 18, "k, but for a peer that was slow"
            assert net.packets - packets < 20 * len(keys), "one message for each key and peer would be more"
            for key in keys[:5]:
                assert [r.peer_id for r in await probes.providers(nodes[20], key)] == [nodes[3].peer_id]

    run(main(), seed=7)


def test_silent_peers_leave_the_table() -> None:
    """C-07: liveness has its own schedule; three misses."""

    async def main() -> None:
        async with Swarm(SimNetwork(), PROFILE) as swarm:
            nodes = await swarm.start(6)
            await asyncio.sleep(10)
            gone = nodes[3].peer_id
            assert str(gone) in [row.peer_id for row in await table_of(nodes[1])]
            await swarm.crash(nodes[3])
            await asyncio.sleep(150)
            for node in swarm.nodes:
                peers = [row.peer_id for row in await table_of(node)]
                assert str(gone) not in peers
                assert len(peers) == 4

    run(main(), seed=3)


def test_node_that_only_dials_works_in_full_and_is_in_no_table() -> None:
    """C-06."""

    async def main() -> None:
        probes = Probes()
        net = SimNetwork()
        async with Swarm(net, PROFILE, plugins=probes.plugins) as swarm:
            nodes = await swarm.start(6)
            table = {"node": {"listen": [], "bootstrap": [str(nodes[0].addresses[0])]}}
            async with Node.open(PROFILE, settings=table, platform=net.platform(), plugins=probes.plugins) as client:
                await asyncio.sleep(40)
                assert client.record.is_client
                assert found(await probes.of(client).peers.closest_peers(KEY)) == nearest(nodes, KEY, client)
                assert await probes.of(client).content.provide(KEY) == 6
                assert [r.peer_id for r in await probes.providers(nodes[4], KEY)] == [client.peer_id]
                for node in nodes:
                    assert str(client.peer_id) not in [row.peer_id for row in await table_of(node)]
                # Its record is found at its own key.
                record = await probes.of(nodes[2]).peers.find_peer(client.peer_id)
                assert record is not None
                assert record.is_client

    run(main(), seed=4)


def test_table_and_promises_survive_a_restart(tmp_path: Path) -> None:
    async def main() -> None:
        probes = Probes()
        net = SimNetwork()
        async with Swarm(net, PROFILE, plugins=probes.plugins, data_dir=tmp_path) as swarm:
            nodes = await swarm.start(6)
            await asyncio.sleep(10)
            node = nodes[4]
            await probes.of(node).content.provide(KEY)
            key = await probes.of(node).store.put_immutable(b"kept")
            ip = swarm.ip_of(node)
            await swarm.stop(node)
            await swarm.stop(nodes[0])  # the bootstrap peer is gone: only the saved table leads back
            await asyncio.sleep(1)
            again = await swarm.restart(ip)
            assert again.peer_id == node.peer_id
            await asyncio.sleep(20)
            assert len(await table_of(again)) == 4
            assert [r.peer_id for r in await probes.providers(nodes[2], KEY)] == [node.peer_id]
            assert await probes.of(again).store.get_immutable(key) == b"kept"
            # Withdrawn, it is withdrawn for good.
            await probes.of(again).content.unprovide(KEY)

    run(main(), seed=5)


def test_provider_records_are_told_again_to_peers_that_came_later() -> None:
    profile = {**PROFILE, "plugins": {"discovery_kademlia": {"republish_interval_s": 30.0}}}

    async def main() -> None:
        probes = Probes()
        async with Swarm(SimNetwork(), profile, plugins=probes.plugins) as swarm:
            nodes = await swarm.start(3)
            await asyncio.sleep(10)
            await probes.of(nodes[1]).content.provide(KEY)
            newcomer = (await swarm.start(1))[0]
            await asyncio.sleep(70)
            for node in nodes:
                await swarm.crash(node)
            # Nobody is left to ask: it knows by itself.
            assert [r.peer_id for r in await probes.providers(newcomer, KEY)] == [nodes[1].peer_id]

    run(main(), seed=6)


def test_lookup_operation_shows_the_way() -> None:
    async def main() -> None:
        async with Swarm(SimNetwork(), PROFILE) as swarm:
            nodes = await swarm.start(5)
            await asyncio.sleep(10)
            operation = nodes[1].operations.get("dht.lookup").operation
            answer = await operation.handler(LookupRequest(target=str(nodes[3].peer_id)), SilentCall())
            assert isinstance(answer, LookupAnswer)
            assert answer.closest[0].peer_id == str(nodes[3].peer_id)
            assert answer.closest[0].shared_bits == 256
            assert (answer.hops, answer.exact, answer.found) == (0, True, 4)
            assert {step.event for step in answer.trace} == {"asked", "answered"}

    run(main(), seed=7)
