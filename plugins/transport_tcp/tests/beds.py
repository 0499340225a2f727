"""Transports on real sockets and on the simulated network."""

import asyncio
import ssl
from collections.abc import Awaitable, Callable
from pathlib import Path

from peerkit_transport_tcp.adapter import TcpTransport
from peerkit_transport_tcp.settings import TcpSettings

from peerkit._io.system_platform import SystemPlatform
from peerkit.address import Address
from peerkit.testing import SimNetwork, run
from peerkit.testing.plugin_context import FakePluginContext
from peerkit.testing.transport_checks import StreamTransportBed

Body = Callable[[StreamTransportBed], Awaitable[None]]


def on_real_sockets(body: Body, folder: Path, address: str = "tcp://127.0.0.1:0", tls: bool = False) -> None:
    async def main() -> None:
        platform = SystemPlatform()
        try:
            transport = TcpTransport(FakePluginContext(TcpSettings(tls=tls), platform, data_dir=folder))
            await body(StreamTransportBed(transport, transport, Address.parse(address)))
        finally:
            await platform.close()

    asyncio.run(main())


def on_the_simulated_network(body: Body, folder: Path, tls: bool = False) -> None:
    async def main() -> None:
        net = SimNetwork(jitter_s=0.001)
        a, b = (
            TcpTransport(FakePluginContext(TcpSettings(tls=tls), net.platform(), data_dir=folder)) for _ in range(2)
        )
        await body(StreamTransportBed(a, b, Address("tcp", net.hosts[1].ip, 0)))

    run(main())


def foreign_client() -> ssl.SSLContext:
    """A client as others would write it, not the plugin's own, and as willing as an attacker."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context
