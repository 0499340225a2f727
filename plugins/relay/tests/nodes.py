"""A relay with a public address and peers that cannot reach each other, on the simulated network."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from typing import Any

from peerkit import Node, ProtocolSpec
from peerkit.address import Address
from peerkit.plugin import PluginSpec
from peerkit.testing import SimNetwork, SimPlatform

ECHO = ProtocolSpec("echo", "1.0.0", on_request=lambda request: request.payload, max_request_bytes=1 << 20)
PUBLIC, HOME_A, HOME_B, HOME_C = "45.1.0.1", "192.168.1.2", "192.168.2.2", "192.168.4.2"


def open_node(
    platform: SimPlatform,
    *protocols: ProtocolSpec,
    schemes: Sequence[str] = ("udp",),
    settings: Mapping[str, object] | None = None,
    node: Mapping[str, object] | None = None,
    plugins: Mapping[str, PluginSpec[Any]] | None = None,
) -> AbstractAsyncContextManager[Node]:
    """Args:
    settings: of `[plugins.relay]`.
    plugins: more of them, by name.
    """
    profile = {
        "node": {
            "network": "test",
            "listen": [f"{scheme}://{platform.ip}:4433" for scheme in schemes],
            "enable": ["secure_noise", "transport_tcp", "transport_udp", "relay", *(plugins or ())],
            **(node or {}),
        },
        "plugins": {"relay": dict(settings or {})},
    }
    return Node.open(profile, protocols=protocols or (ECHO,), plugins=plugins or {}, platform=platform)


@dataclass(frozen=True, slots=True)
class Homes:
    """Attributes:
    relay: a node that everybody reaches.
    a, b: nodes between which no packet passes.
    """

    net: SimNetwork
    relay: Node
    a: Node
    b: Node

    @property
    def way_to_b(self) -> Address:
        (address,) = (a for a in self.b.addresses if a.via is not None)
        return address


@asynccontextmanager
async def homes(
    *protocols: ProtocolSpec,
    schemes: Sequence[str] = ("udp",),
    settings: Mapping[str, object] | None = None,
    listens: bool = True,
    latency_s: tuple[float, float] = (0.01, 0.01),
) -> AsyncIterator[Homes]:
    """Both homes are connected to the relay, and B has had time to ask for a reservation."""
    net = SimNetwork(latency_s=latency_s)
    net.partition([HOME_A], [HOME_B])
    silent: dict[str, object] = {} if listens else {"listen": []}
    async with (
        open_node(net.platform(PUBLIC), *protocols, schemes=schemes, settings=settings) as relay,
        open_node(net.platform(HOME_A), *protocols, schemes=schemes) as a,
        open_node(net.platform(HOME_B), *protocols, schemes=schemes, node=silent) as b,
    ):
        await a.connect(relay.addresses[0])
        await b.connect(relay.addresses[0])
        await asyncio.sleep(12)
        yield Homes(net, relay, a, b)
