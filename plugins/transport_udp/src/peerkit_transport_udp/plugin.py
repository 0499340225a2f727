"""The entry point."""

from collections.abc import Sequence

from peerkit.datagram import DatagramTransport
from peerkit.plugin import PluginContext, PluginSpec, hookimpl

from .adapter import UdpTransport
from .settings import UdpSettings


class Udp:
    """The plugin object of one node."""

    def __init__(self, ctx: PluginContext[UdpSettings]) -> None:
        self._transport = UdpTransport(ctx)

    @hookimpl
    def peerkit_register_transports(self) -> Sequence[DatagramTransport]:
        return [self._transport]


plugin = PluginSpec(UdpSettings, Udp)
