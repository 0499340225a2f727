"""Whole nodes on simulated links: they find each other with no address given, and only those they should."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager

import pytest
from peerkit_lan_broadcast.beacon import KEY_LABEL, RANDOM_BYTES, Beacon
from peerkit_lan_broadcast.neighbours import MAX_CANDIDATES
from peerkit_secure_noise.network_key import NoiseNetworkKey

from peerkit import Address, Node
from peerkit.event import CandidatesFound
from peerkit.link import HOP_LIMIT
from peerkit.testing import SimNetwork, run

DISABLED = ("discovery_kademlia", "search", "warehouse")
LAN: Mapping[str, object] = {"node": {"extends": "lan", "disable": list(DISABLED)}}
PSK = {"secure_noise": {"psk": "ab" * 32}}


@asynccontextmanager
async def nodes_on(
    net: SimNetwork, ips: list[str], profiles: Mapping[str, Mapping[str, object]] | None = None
) -> AsyncIterator[list[Node]]:
    async with AsyncExitStack() as stack:
        found = []
        for ip in ips:
            settings = (profiles or {}).get(ip, {})
            found.append(await stack.enter_async_context(Node.open(LAN, settings=settings, platform=net.platform(ip))))
        yield found


async def until_all_meet(nodes: list[Node], within_s: float = 60.0) -> None:
    for _ in range(round(2 * within_s)):
        if all(len(node.peers()) >= len(nodes) - 1 for node in nodes):
            return
        await asyncio.sleep(0.5)
    raise AssertionError(f"after {within_s:g} s they have {[len(node.peers()) for node in nodes]} peers")


def test_neighbours_find_each_other_and_hosts_elsewhere_do_not() -> None:
    async def main() -> None:
        net = SimNetwork()
        ips = ["10.0.0.1", "10.0.0.2", "10.0.0.3", "10.7.0.1"]
        net.link("lan0", *ips[:3])
        async with nodes_on(net, ips) as nodes:
            await until_all_meet(nodes[:3])
            await asyncio.sleep(60)
            assert not nodes[3].peers()
            assert {peer.session.transport for peer in nodes[0].peers()} == {"udp"}

    run(main(), seed=1)


def test_it_takes_seconds_whatever_the_back_off_says() -> None:
    """The pool asks its discoveries less and less often while they have nothing: a beacon ends that."""

    async def main() -> None:
        net = SimNetwork()
        lan = net.link("lan0", "10.0.0.1")
        async with nodes_on(net, ["10.0.0.1"]) as (first,):
            await asyncio.sleep(900)
            lan.members.append(net.host("10.0.0.2"))
            began = net.loop.time()
            async with nodes_on(net, ["10.0.0.2"]) as (second,):
                await until_all_meet([first, second])
                assert net.loop.time() - began < 10

    run(main(), seed=2)


def test_with_a_peer_beacons_become_rare() -> None:
    async def main() -> None:
        net = SimNetwork()
        lan = net.link("lan0", "10.0.0.1", "10.0.0.2")
        async with nodes_on(net, ["10.0.0.1", "10.0.0.2"]) as nodes:
            await until_all_meet(nodes)
            sent = lan.datagrams
            await asyncio.sleep(3_600)
            assert 8 <= lan.datagrams - sent <= 16, "two nodes, one each in 10 min"

    run(main(), seed=3)


def test_a_host_that_is_plugged_in_later_is_found_at_once() -> None:
    async def main() -> None:
        net = SimNetwork()
        lan = net.link("lan0", "10.0.0.1")
        async with nodes_on(net, ["10.0.0.1", "10.0.0.2"]) as nodes:
            await asyncio.sleep(100)
            assert not nodes[0].peers()
            lan.members.append(net.host("10.0.0.2"))
            await until_all_meet(nodes, 12)

    run(main(), seed=4)


def test_nodes_of_another_name_or_key_do_not_meet() -> None:
    async def main() -> None:
        net = SimNetwork()
        ips = ["10.0.0.1", "10.0.0.2", "10.0.0.3", "10.0.0.4"]
        net.link("lan0", *ips)
        profiles: dict[str, Mapping[str, object]] = {
            ips[1]: {"node": {"network": "another"}},
            ips[2]: {"plugins": PSK},
            ips[3]: {"plugins": PSK},
        }
        async with nodes_on(net, ips, profiles) as nodes:
            await until_all_meet(nodes[2:])
            await asyncio.sleep(60)
            assert not nodes[0].peers() and not nodes[1].peers()
            assert [len(node.peers()) for node in nodes[2:]] == [1, 1]

    run(main(), seed=5)


def test_beacons_of_a_private_network_need_its_key() -> None:
    public = NoiseNetworkKey(bytes(32), None).derive(KEY_LABEL)
    assert len({public, NoiseNetworkKey(bytes(32), bytes([7]) * 32).derive(KEY_LABEL)}) == 2


@pytest.mark.parametrize(("hop_limit", "is_on_link"), [(HOP_LIMIT - 1, True), (HOP_LIMIT, False)])
def test_off_link_beacons_cause_no_dial(hop_limit: int, is_on_link: bool) -> None:
    async def main() -> None:
        net = SimNetwork()
        net.link("lan0", "10.0.0.1")
        async with nodes_on(net, ["10.0.0.1"]) as (node,):
            await asyncio.sleep(5)
            (links,) = net.host("10.0.0.1").link_endpoints
            links.deliver(genuine(node), "10.5.0.5", hop_limit, is_on_link)
            await asyncio.sleep(30)
            assert not [e for e in node.events.recent() if isinstance(e.event, CandidatesFound)]

    run(main(), seed=6)


def test_a_flood_of_genuine_beacons_is_dialled_slowly(monkeypatch: pytest.MonkeyPatch) -> None:
    async def main() -> None:
        net = SimNetwork()
        net.link("lan0", "10.0.0.1")
        victim = net.host("10.6.0.6")
        async with nodes_on(net, ["10.0.0.1"]) as (node,):
            await asyncio.sleep(5)
            (links,) = net.host("10.0.0.1").link_endpoints
            dialled: set[int] = set()

            def receive(source: Address, target: Address, data: bytes, segment_bytes: int) -> None:
                dialled.add(target.port)

            monkeypatch.setattr(victim, "receive_datagrams", receive)
            for port in range(1, 4 * MAX_CANDIDATES):
                links.deliver(genuine(node, port), victim.ip)
            await asyncio.sleep(60)
            assert 1 <= len(dialled) <= 7, "one port in 10 s"

    run(main(), seed=7)


def genuine(node: Node, port: int = 4_433) -> bytes:
    key = NoiseNetworkKey(node.record.network_id, None).derive(KEY_LABEL)
    return Beacon("udp", port, port.to_bytes(RANDOM_BYTES, "big")).to_bytes(key, node.clock.wall())
