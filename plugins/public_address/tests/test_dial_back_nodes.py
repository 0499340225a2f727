"""Dial-backs between whole nodes: real handshakes and sessions, simulated wire and clock."""

import asyncio
from collections.abc import Callable, Sequence

import pytest

from peerkit import Node
from peerkit.address import Address
from peerkit.capabilities import NatFiltering
from peerkit.testing import SimNetwork, run
from plugins.public_address.tests.nodes import PORT, Nodes, nodes_on

OURS = "20.9.0.1"
KNOWN = frozenset(f"30.{i}.0.1" for i in range(4))
QUICK = {"verify_interval_s": 3.0}


async def star(nodes: Nodes, count: int, *, schemes: Sequence[str] = ("udp",), ip: str = OURS) -> Node:
    """A node that dialled `count` peers of as many networks, which know each other through one of them."""
    first = await nodes.start("30.0.0.1", schemes=schemes)
    peers = [first]
    for i in range(1, count):
        peers.append(await nodes.start(f"30.{i}.0.1", schemes=schemes, bootstrap=[first]))
    node = await nodes.start(ip, schemes=schemes, settings=QUICK)
    for peer in peers:
        await node.connect(peer.addresses[0])
    return node


@pytest.mark.parametrize("scheme", ["udp", "tcp"])
def test_a_node_that_strangers_reach_says_so(scheme: str) -> None:
    async def main() -> None:
        async with nodes_on(SimNetwork()) as nodes:
            node = await star(nodes, 3, schemes=(scheme,))
            await asyncio.sleep(60)
            probe = nodes.of(node)
            assert probe.reachability.is_public is True
            assert Address(scheme, OURS, PORT) in probe.own.addresses
            assert not node.record.is_client

    run(main(), seed=1)


def test_four_networks_confirm_an_address_without_a_dial_back() -> None:
    async def main() -> None:
        async with nodes_on(SimNetwork()) as nodes:
            first = await nodes.start("30.0.0.1")
            node = await nodes.start(OURS, settings={"dial_back": False, "ask_again_s": 6.0})
            others = [first] + [await nodes.start(f"30.{i}.0.1") for i in range(1, 4)]
            told: list[Sequence[Address]] = []
            nodes.of(node).own.advertise = lambda source, addresses: told.append(addresses)  # type: ignore[method-assign]
            for other in others[:3]:
                await node.connect(other.addresses[0])
            await asyncio.sleep(30)
            assert not any(told)
            await node.connect(others[3].addresses[0])
            await asyncio.sleep(30)
            assert told[-1] == [Address("udp", OURS, PORT)]

    run(main(), seed=1)


def let_in(net: SimNetwork, is_allowed: Callable[[Address], bool]) -> None:
    """A firewall on our machine."""
    host = net.host(OURS)
    receive = host.receive_datagrams

    def filtered(source: Address, target: Address, data: bytes, segment_bytes: int) -> None:
        if is_allowed(source):
            receive(source, target, data, segment_bytes)

    host.receive_datagrams = filtered  # type: ignore[method-assign]


@pytest.mark.parametrize(
    ("filtering", "is_allowed"),
    [
        (NatFiltering.ENDPOINT_INDEPENDENT, lambda source: True),
        (NatFiltering.ADDRESS_DEPENDENT, lambda source: source.host in KNOWN),
        (NatFiltering.ADDRESS_AND_PORT_DEPENDENT, lambda source: source.host in KNOWN and source.port == PORT),
    ],
)
def test_filtering_is_told_by_who_gets_in(filtering: NatFiltering, is_allowed: Callable[[Address], bool]) -> None:
    """The servers ask helpers that the node has never sent to.  One whom no stranger reaches becomes a client."""

    async def main() -> None:
        net = SimNetwork()
        async with nodes_on(net) as nodes:
            node = await star(nodes, 4)
            for i in range(4):
                await nodes.start(f"40.{i}.0.1", bootstrap=[nodes.running[i]])
            let_in(net, is_allowed)
            await asyncio.sleep(120)
            view = nodes.of(node).reachability
            assert view.filtering is filtering
            assert view.is_public is (filtering is NatFiltering.ENDPOINT_INDEPENDENT)
            assert node.record.is_client is not view.is_public

    run(main(), seed=1)


def test_a_partition_makes_nothing_worse_than_unknown_and_heals() -> None:
    async def main() -> None:
        net = SimNetwork()
        async with nodes_on(net) as nodes:
            node = await star(nodes, 3)
            net.partition([OURS], KNOWN)
            await asyncio.sleep(60)
            assert nodes.of(node).reachability.is_public is not False
            net.heal()
            await asyncio.sleep(400)  # servers that did not answer are left in peace for five minutes
            assert nodes.of(node).reachability.is_public is True

    run(main(), seed=1)
