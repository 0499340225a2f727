"""The entry point."""

from collections.abc import Sequence

from peerkit.plugin import PluginContext, PluginSpec, hookimpl
from peerkit.transport import StreamTransport

from .adapter import TcpTransport
from .settings import TcpSettings


class Tcp:
    """The plugin object of one node."""

    def __init__(self, ctx: PluginContext[TcpSettings]) -> None:
        self._transport = TcpTransport(ctx)

    @hookimpl
    def peerkit_register_transports(self) -> Sequence[StreamTransport]:
        return [self._transport]


plugin = PluginSpec(TcpSettings, Tcp)
