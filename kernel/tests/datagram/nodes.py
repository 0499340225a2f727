"""Small nodes on the simulated network that speak `saw` (stop and wait), and `tcp` when asked."""

from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager

from kernel.tests.datagram.stop_and_wait import STOP_AND_WAIT
from peerkit import Node, ProtocolSpec
from peerkit.plugin import PluginSpec, Settings
from peerkit.testing import SimNetwork, SimPlatform

ECHO = ProtocolSpec("echo", "1.0.0", on_request=lambda request: request.payload)


def open_node(
    net: SimNetwork,
    *protocols: ProtocolSpec,
    schemes: tuple[str, ...] = ("saw",),
    platform: SimPlatform | None = None,
    settings: Mapping[str, object] | None = None,
    plugins: Mapping[str, PluginSpec[Settings]] | None = None,
) -> AbstractAsyncContextManager[Node]:
    """A node on a host of its own, which listens on each of `schemes`; `settings` are of `[node]`."""
    platform = platform or net.platform()
    listen = [f"{scheme}://{platform.ip}:0" for scheme in schemes]
    node = {"listen": listen, "network": "test", "enable": ["secure_noise", "transport_tcp"], **(settings or {})}
    specs = {"stop_and_wait": STOP_AND_WAIT, **(plugins or {})}
    return Node.open({"node": node}, protocols=protocols or (ECHO,), plugins=specs, platform=platform)
