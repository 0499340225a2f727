"""The plugin on real nodes over real TCP on loopback."""

import asyncio
from contextlib import AsyncExitStack

import pytest

from peerkit import Node
from plugins.discovery_kademlia.tests.nodes import PROFILE, Probes, table_of

KEY = bytes(range(32))
PATIENCE_S = 40.0


@pytest.mark.integration
def test_nodes_on_loopback_find_each_other_and_what_they_provide() -> None:
    async def main() -> None:
        probes = Probes()
        async with AsyncExitStack() as stack:
            nodes: list[Node] = []
            for _ in range(6):
                table: dict[str, object] = {"listen": ["tcp://127.0.0.1:0"]}
                if nodes:
                    table["bootstrap"] = [str(nodes[0].addresses[0])]
                opening = Node.open(PROFILE, settings={"node": table}, plugins=probes.plugins)
                nodes.append(await stack.enter_async_context(opening))
            async with asyncio.timeout(PATIENCE_S):
                while min([len(await table_of(node)) for node in nodes]) < 5:  # noqa: ASYNC110 - no event tells it
                    await asyncio.sleep(0.1)
                assert await probes.of(nodes[1]).content.provide(KEY) == 5
                assert [r.peer_id for r in await probes.providers(nodes[4], KEY)] == [nodes[1].peer_id]
                record = await probes.of(nodes[5]).peers.find_peer(nodes[2].peer_id)
                assert record is not None
                assert record.addresses == nodes[2].record.addresses

    asyncio.run(main())
