"""Small nodes on the simulated network: the kernel with secure_noise and transport_tcp only."""

from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from pathlib import Path

from peerkit import Node, ProtocolSpec
from peerkit._host.plan import AnySpec
from peerkit.testing import SimNetwork, SimPlatform

OTHERS = ("discovery_kademlia", "warehouse", "search", "trust_denylist")


def open_node(
    net: SimNetwork,
    *protocols: ProtocolSpec,
    platform: SimPlatform | None = None,
    settings: Mapping[str, object] | None = None,
    plugins: Mapping[str, AnySpec] | None = None,
    data_dir: Path | None = None,
) -> AbstractAsyncContextManager[Node]:
    """A node on a host of its own; `settings` are of `[node]`, `plugins` beside the installed ones."""
    platform = platform or net.platform()
    node = {"extends": "local", "disable": OTHERS, "listen": [f"tcp://{platform.ip}:0"], **(settings or {})}
    return Node.open({"node": node}, protocols=protocols, plugins=plugins, data_dir=data_dir, platform=platform)
