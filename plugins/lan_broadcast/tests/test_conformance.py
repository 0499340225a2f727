"""The kernel's checks of discoveries and of diagnosis, with beacons on a simulated link."""

import asyncio
import itertools
from collections.abc import Sequence

import pytest
from peerkit_lan_broadcast.adapter import LanBroadcast
from peerkit_lan_broadcast.neighbours import CANDIDATE_S

from peerkit import Address, Node
from peerkit.capabilities import DIAGNOSIS
from peerkit.testing import SimNetwork, plugin_of, provided_by, run
from peerkit.testing.discovery_checks import DISCOVERY_CHECKS, DiscoveryBed, DiscoveryCheck
from peerkit.testing.health_checks import DIAGNOSIS_CHECKS, DiagnosisCheck
from plugins.lan_broadcast.tests.test_lan_nodes import LAN, genuine

OURS = "10.0.0.1"
ALONE = {"node": {"slots": {"member_out": 0}}}  # the check asks, and not the pool


def bed_of(net: SimNetwork, node: Node) -> DiscoveryBed:
    (links,) = net.host(OURS).link_endpoints
    numbers = itertools.count(2)

    async def appear(count: int) -> Sequence[Address]:
        new = [Address("udp", f"10.0.{n // 250}.{n % 250 + 2}", 4433) for n in itertools.islice(numbers, count)]
        for address in new:
            links.deliver(genuine(node, address.port), address.host)
        return new

    async def vanish() -> None:
        await asyncio.sleep(CANDIDATE_S)

    async def echo() -> None:
        await asyncio.sleep(20)  # our own beacon comes back on the link

    async def poison(data: bytes) -> None:
        links.deliver(data, "10.0.9.9")

    plugin = plugin_of(node, "lan_broadcast", LanBroadcast)
    return DiscoveryBed(plugin, node.peer_id, appear, vanish, echo, poison, [genuine(node)])


@pytest.mark.parametrize("check", DISCOVERY_CHECKS, ids=lambda check: check.__name__)
def test_the_discovery_passes_the_check(check: DiscoveryCheck) -> None:
    async def main() -> None:
        net = SimNetwork()
        net.link("lan0", OURS)
        async with Node.open(LAN, settings=ALONE, platform=net.platform(OURS)) as node:
            await asyncio.sleep(1)
            await check(bed_of(net, node))

    run(main())


@pytest.mark.parametrize("check", DIAGNOSIS_CHECKS, ids=lambda check: check.__name__)
def test_the_diagnosis_passes_the_check(check: DiagnosisCheck) -> None:
    """At once, after a beacon, and with no interface left."""

    async def main() -> None:
        net = SimNetwork()
        lan = net.link("lan0", OURS)
        async with Node.open(LAN, settings=ALONE, platform=net.platform(OURS)) as node:
            for members in (lan.members, lan.members, []):
                lan.members = members
                await check(provided_by(node, DIAGNOSIS, "lan_broadcast"))
                await asyncio.sleep(60)

    run(main())
