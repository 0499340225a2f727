"""Observation and dial-backs between real nodes over real sockets on loopback."""

import asyncio
from contextlib import AsyncExitStack

import pytest

from peerkit import Node
from peerkit.capabilities import REACHABILITY, NatMapping, Reachability
from peerkit.plugin import PluginContext, PluginSpec, Settings
from plugins.public_address.tests.nodes import ENABLED

PATIENCE_S = 60.0


@pytest.mark.integration
@pytest.mark.parametrize("scheme", ["udp", "tcp"])
def test_nodes_on_loopback_see_and_reach_each_other(scheme: str) -> None:
    views: list[Reachability] = []

    def look(ctx: PluginContext[Settings]) -> object:
        views.append(ctx.require(REACHABILITY))
        return object()

    async def main() -> None:
        async with AsyncExitStack() as stack:
            nodes: list[Node] = []
            for _ in range(3):
                profile = {
                    "node": {
                        "network": "test",
                        "enable": ENABLED,
                        "log_level": "warning",
                        "listen": [f"{scheme}://127.0.0.1:0"],
                        "bootstrap": [str(node.addresses[0]) for node in nodes[:1]],
                    },
                    "plugins": {"public_address": {"verify_interval_s": 0.3}},
                }
                spec = PluginSpec(Settings, look, requires=(REACHABILITY,))
                opening = Node.open(profile, plugins={"look": spec})
                nodes.append(await stack.enter_async_context(opening))
            async with asyncio.timeout(PATIENCE_S):
                while not all(view.is_public for view in views):  # noqa: ASYNC110 - no event tells it
                    await asyncio.sleep(0.1)
            for node, view in zip(nodes, views, strict=True):
                assert view.observed(scheme) == [node.addresses[0].without_peer()]
                if scheme == "udp":
                    assert view.mapping is NatMapping.NONE

    asyncio.run(main())
