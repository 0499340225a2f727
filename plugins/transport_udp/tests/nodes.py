"""Nodes that speak `udp` and nothing else, on real sockets and on the simulated network."""

from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager

from peerkit import Node, ProtocolSpec
from peerkit.testing import SimNetwork, SimPlatform


def profile(listen: str, settings: Mapping[str, object] | None = None) -> dict[str, object]:
    """Args:
    settings: of `[plugins.transport_udp]`.
    """
    return {
        "node": {"network": "test", "listen": [listen], "enable": ["secure_noise", "transport_udp"]},
        "plugins": {"transport_udp": dict(settings or {})},
    }


def open_simulated(
    net: SimNetwork,
    *protocols: ProtocolSpec,
    platform: SimPlatform | None = None,
    settings: Mapping[str, object] | None = None,
) -> AbstractAsyncContextManager[Node]:
    """A node on a host of its own."""
    platform = platform or net.platform()
    return Node.open(profile(f"udp://{platform.ip}:0", settings), protocols=protocols, platform=platform)
