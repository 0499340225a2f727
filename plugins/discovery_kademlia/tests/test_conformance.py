"""The kernel's checks of discoveries, protocols, routines, and of the capabilities that the plugin provides."""

import asyncio
from collections.abc import Sequence

import pytest
from peerkit_discovery_kademlia.adapter import KademliaPlugin
from peerkit_discovery_kademlia.codec import (
    AddProvider,
    FindNode,
    GetProviders,
    GetValue,
    Ping,
    PutValue,
    encode_request,
)
from peerkit_discovery_kademlia.diversity import neighbourhood
from peerkit_discovery_kademlia.io.asking import PROTOCOL
from peerkit_discovery_kademlia.namespaces import Namespace, immutable_key

from peerkit import Address, Node
from peerkit.capabilities import CONTENT_ROUTING, PEER_ROUTING, RECORD_STORE
from peerkit.identity import Identity
from peerkit.record import PeerRecord
from peerkit.testing import SimNetwork, Swarm, plugin_of, provided_by, run
from peerkit.testing.discovery_checks import DISCOVERY_CHECKS, DiscoveryBed, DiscoveryCheck
from peerkit.testing.protocol_checks import PROTOCOL_CHECKS, ProtocolBed, ProtocolCheck
from peerkit.testing.routine_checks import ROUTINE_CHECKS, RoutineBed, RoutineCheck
from peerkit.testing.routing_checks import (
    CONTENT_ROUTING_CHECKS,
    PEER_ROUTING_CHECKS,
    ContentRoutingBed,
    PeerRoutingBed,
)
from peerkit.testing.storage_checks import RECORD_STORE_CHECKS, RecordStoreBed
from plugins.discovery_kademlia.tests.nodes import PROFILE

NAME = "discovery_kademlia"
KEY = bytes(range(32))
ANSWERED = (
    Ping(),
    FindNode(KEY),
    GetProviders(KEY),
    GetValue(Namespace.MUTABLE, KEY),
    PutValue(Namespace.IMMUTABLE, immutable_key(b"value"), b"value"),
)
REFUSED = (AddProvider((b"no announcement",)), PutValue(Namespace.MUTABLE, KEY, b"not signed"), GetValue(99, KEY))


def bed_of(node: Node) -> DiscoveryBed:
    """Peers come and go in the routing table, as handshakes and missed pings make them."""
    plugin = plugin_of(node, NAME, KademliaPlugin)
    table, rng = plugin.table, node.pool.context.rng
    there: list[PeerRecord] = []

    def reached(record: PeerRecord) -> None:
        where = neighbourhood(record.addresses[0])
        table.reached(record, where, node.clock.now(), is_dialled=True)

    async def appear(count: int) -> Sequence[Address]:
        new = []
        for _ in range(count):
            address = Address("tcp", f"20.{rng.randrange(0, 256)}.{rng.randrange(0, 256)}.1", 4433)
            identity = Identity(rng.randbytes(32))
            new.append(PeerRecord.make(identity, node.record.network_id, 1, node.clock.wall(), (address,)))
            reached(new[-1])
        there.extend(new)
        return [record.addresses[0] for record in new]

    async def vanish() -> None:
        for record in there:
            while table.get(record.peer_id.raw) is not None:
                table.missed(record.peer_id.raw, node.clock.now())
        there.clear()

    async def echo() -> None:
        reached(node.record)

    return DiscoveryBed(plugin, node.peer_id, appear, vanish, echo)


@pytest.mark.parametrize("check", DISCOVERY_CHECKS, ids=lambda check: check.__name__)
def test_the_discovery_passes_the_check(check: DiscoveryCheck) -> None:
    async def main() -> None:
        platform = SimNetwork().platform("20.0.0.1")
        alone = {
            "node": {"slots": {"member_out": 0}, "listen": ["tcp://20.0.0.1:4433"]}
        }  # the check asks, not the pool
        async with Node.open(PROFILE, settings=alone, platform=platform) as node:
            await check(bed_of(node))

    run(main())


@pytest.mark.parametrize("check", PROTOCOL_CHECKS, ids=lambda check: check.__name__)
def test_the_protocol_passes_the_check(check: ProtocolCheck) -> None:
    async def main() -> None:
        answered, refused = ([encode_request(each) for each in kinds] for kinds in (ANSWERED, REFUSED))
        await check(ProtocolBed(SimNetwork(), PROFILE, PROTOCOL, answered, refused))

    run(main())


@pytest.mark.parametrize("check", ROUTINE_CHECKS, ids=lambda check: check.__name__)
def test_the_routines_pass_the_check(check: RoutineCheck) -> None:
    async def main() -> None:
        platform = SimNetwork().platform()
        async with Node.open(PROFILE, platform=platform) as node:
            for routine in plugin_of(node, NAME, KademliaPlugin).peerkit_register_routines():
                await check(RoutineBed(routine, platform, node.data_dir))

    run(main())


def test_what_it_provides_passes_the_checks() -> None:
    async def main() -> None:
        async with Swarm(SimNetwork(), PROFILE) as swarm:
            nodes = await swarm.start(6)
            await asyncio.sleep(30)
            one, two = nodes[2], nodes[5]
            others = [node.record for node in nodes if node is not one]
            for peers in PEER_ROUTING_CHECKS:
                await peers(PeerRoutingBed(provided_by(one, PEER_ROUTING), one.peer_id, others))
            content = [provided_by(node, CONTENT_ROUTING) for node in (one, two)]
            for search in CONTENT_ROUTING_CHECKS:
                await search(ContentRoutingBed(content[0], content[1], one.peer_id, two.peer_id))
            stores = [provided_by(node, RECORD_STORE) for node in (one, two)]
            for store in RECORD_STORE_CHECKS:
                await store(RecordStoreBed(stores[0], stores[1], one.peer_id))

    run(main())
