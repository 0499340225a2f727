"""The kernel's checks of port mappers and of diagnosis, with a router that speaks NAT-PMP, and without one."""

import asyncio
from collections.abc import Sequence

from peerkit import Address, Node
from peerkit.capabilities import DIAGNOSIS, PORT_MAPPER
from peerkit.testing import SimNetwork, SimPlatform, provided_by, run
from peerkit.testing.health_checks import DIAGNOSIS_CHECKS, PORT_MAPPER_CHECKS, PortMapperBed
from peerkit.transport import DatagramEndpoint
from plugins.nat_upnp.tests.routers import HOST, ROUTER, home

PORT = 5_351
PROFILE = {
    "node": {
        "network": "test",
        "enable": ["nat_upnp", "secure_noise", "transport_tcp"],
        "listen": [f"tcp://{HOST}:4433"],
    },
    "plugins": {"nat_upnp": {"protocols": ["nat_pmp"]}},
}


async def check(node: Node) -> int:
    """Returns how many mappings there are."""
    mapper = provided_by(node, PORT_MAPPER)
    for maps in PORT_MAPPER_CHECKS:
        maps(PortMapperBed(mapper, node.clock))
    for look in DIAGNOSIS_CHECKS:
        await look(provided_by(node, DIAGNOSIS, "nat_upnp"))
    return len(mapper.mappings())


def test_what_it_provides_passes_the_checks() -> None:
    async def main() -> None:
        found = home()

        def answer(question: bytes, source: Address) -> Sequence[tuple[DatagramEndpoint, bytes]]:
            head = bytes((0, 128 + question[1], 0, 0)) + int(found.net.loop.time()).to_bytes(4, "big")
            told = head + (bytes((45, 1, 2, 3)) if question[1] == 0 else question[4:])
            return [(found.router.endpoints[ROUTER, PORT], told)]

        found.answer_datagrams(PORT, answer)
        async with Node.open(PROFILE, platform=SimPlatform(found.host)) as node:
            await check(node)
            await asyncio.sleep(30)
            assert await check(node) == 1
            found.net.unplug(ROUTER)
            await asyncio.sleep(24 * 3_600)
            assert await check(node) == 0, "what is not renewed runs out"

    run(main())


def test_without_a_router_they_are_kept_too() -> None:
    async def main() -> None:
        async with Node.open(PROFILE, platform=SimNetwork().platform(HOST)) as node:
            await asyncio.sleep(30)
            assert await check(node) == 0

    run(main())
