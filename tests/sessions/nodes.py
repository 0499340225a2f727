"""Small nodes on the simulated network: the kernel with secure_noise and transport_tcp only."""

from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager

from peerkit import Node, ProtocolSpec
from peerkit.testing import SimNetwork, SimPlatform

OTHERS = ("discovery_kademlia", "warehouse", "search", "trust_denylist")


def open_node(
    net: SimNetwork,
    *protocols: ProtocolSpec,
    platform: SimPlatform | None = None,
    settings: Mapping[str, object] | None = None,
) -> AbstractAsyncContextManager[Node]:
    """A node on a host of its own; `settings` are of `[node]`."""
    platform = platform or net.platform()
    node = {"extends": "local", "disable": OTHERS, "listen": [f"tcp://{platform.ip}:0"], **(settings or {})}
    return Node.open({"node": node}, protocols=protocols, platform=platform)
