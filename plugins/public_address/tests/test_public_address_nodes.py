"""The plugin on whole nodes: real handshakes and sessions, simulated wire and clock."""

import asyncio

import pytest

from peerkit.address import Address
from peerkit.capabilities import NatMapping
from peerkit.testing import SimNetwork, run
from plugins.public_address.tests.nodes import PORT, nodes_on


def test_peers_tell_a_node_where_they_see_it() -> None:
    """C-34."""

    async def main() -> None:
        async with nodes_on(SimNetwork()) as nodes:
            node = await nodes.start("20.9.0.1")
            for i in range(4):
                await nodes.start(f"30.{i}.0.1", bootstrap=[node])
            await asyncio.sleep(2)
            view = nodes.of(node).reachability
            assert view.observed("udp") == [Address("udp", "20.9.0.1", PORT)]
            assert view.mapping is NatMapping.NONE

    run(main(), seed=1)


@pytest.mark.parametrize("ip", ["20.9.0.1", "2a00:9::1"])
def test_over_tcp_peers_tell_the_ip_and_the_port_is_a_guess(ip: str) -> None:
    async def main() -> None:
        async with nodes_on(SimNetwork()) as nodes:
            node = await nodes.start(ip, schemes=("tcp",))
            others = ["30.1.0.1", "30.2.0.1"] if "." in ip else ["2a01::1", "2a02::1"]
            for other in others:
                peer = await nodes.start(other, schemes=("tcp",))
                await node.connect(peer.addresses[0])  # so that the peer sees an ephemeral port
            await asyncio.sleep(2)
            view = nodes.of(node).reachability
            assert view.observed("tcp") == [Address("tcp", ip, PORT)]
            assert view.observed("udp") == []
            assert view.mapping is NatMapping.UNKNOWN

    run(main(), seed=1)


def test_a_node_that_listens_nowhere_learns_its_mapping() -> None:
    async def main() -> None:
        async with nodes_on(SimNetwork()) as nodes:
            peers = [await nodes.start(f"30.{i}.0.1") for i in range(2)]
            node = await nodes.start("20.9.0.1", listens=False)
            for peer in peers:
                await node.connect(peer.addresses[0])
            await asyncio.sleep(2)
            view = nodes.of(node).reachability
            assert [a.host for a in view.observed("udp")] == ["20.9.0.1"]
            assert view.mapping is NatMapping.NONE
            assert view.observed("tcp") == []

    run(main(), seed=1)


def test_what_peers_said_ages_out_when_they_are_gone() -> None:
    async def main() -> None:
        async with nodes_on(SimNetwork()) as nodes:
            node = await nodes.start("20.9.0.1", settings={"observation_age_s": 120.0, "ask_again_s": 60.0})
            await nodes.start("30.1.0.1", bootstrap=[node])
            await asyncio.sleep(100)
            view = nodes.of(node).reachability
            assert view.observed("udp"), "asked again in time"
            nodes.net.crash("30.1.0.1")
            await asyncio.sleep(300)
            assert not view.observed("udp")

    run(main(), seed=1)
