"""Two nodes behind NATs, and public ones that relay and coordinate, on the simulated network."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

from peerkit_holepunch.events import Punched, PunchFailed

from peerkit import Node, ProtocolSpec
from peerkit.event import Event
from peerkit.plugin import PluginContext, PluginSpec, Settings
from peerkit.session import Session, Stream
from peerkit.testing import SimNetwork, SimPlatform
from peerkit.testing.nat_kinds import NATS

ECHO = ProtocolSpec("echo", "1.0.0", on_request=lambda request: request.payload)
WITNESSES = 3  # enough for a node to tell its mapping


async def read_all(stream: Stream) -> bytes:
    read = b""
    while piece := await stream.read():
        read += piece
    return read


async def repeat(stream: Stream) -> None:
    """Say what was said, once it is over."""
    await stream.write(await read_all(stream))


REPEAT = ProtocolSpec("repeat", "1.0.0", on_stream=repeat)


def open_node(
    platform: SimPlatform,
    settings: Mapping[str, object] | None = None,
    node: Mapping[str, object] | None = None,
    plugins: Mapping[str, PluginSpec[Settings]] | None = None,
) -> AbstractAsyncContextManager[Node]:
    """Args:
    settings: of `[plugins.holepunch]`.
    """
    profile = {
        "node": {
            "network": "test",
            "listen": ["udp://0.0.0.0:4433"],
            "enable": ["secure_noise", "transport_udp", "transport_tcp", "public_address", "relay", "holepunch"],
            **(node or {}),
        },
        "plugins": {"holepunch": dict(settings or {})},
    }
    return Node.open(profile, protocols=(ECHO, REPEAT), plugins=plugins, platform=platform)


@dataclass(frozen=True, slots=True)
class Homes:
    """Attributes:
    public: nodes that everybody reaches; the first one relays.
    a, b: nodes behind NATs, members of all public ones.
    contexts: of a plugin of A and of B that does nothing: what signs in their names.
    """

    net: SimNetwork
    public: list[Node]
    a: Node
    b: Node
    contexts: list[PluginContext[Settings]]

    async def meet(self) -> Session:
        """Connect A to B over the relay; A's session."""
        for _ in range(30):
            found = [a for a in self.b.addresses if a.via is not None]
            if found:
                return (await self.a.connect(found[0])).session
            await asyncio.sleep(1)
        raise AssertionError("B has no reservation")


@asynccontextmanager
async def homes(
    a_kind: str,
    b_kind: str,
    *,
    settings: Mapping[str, object] | None = None,
    node: Mapping[str, object] | None = None,
    public_node: Mapping[str, object] | None = None,
    witnesses: int = WITNESSES,
    net: SimNetwork | None = None,
) -> AsyncIterator[Homes]:
    net = net or SimNetwork(latency_s=(0.02, 0.03))
    async with AsyncExitStack() as stack:
        public = [
            await stack.enter_async_context(open_node(net.platform(f"45.{i}.0.1"), node=public_node))
            for i in range(1, 1 + witnesses)
        ]
        inside: list[Node] = []
        contexts: list[PluginContext[Settings]] = []

        def keep(ctx: PluginContext[Settings]) -> object:
            contexts.append(ctx)
            return object()

        idle = PluginSpec(Settings, keep)
        for kind in (a_kind, b_kind):
            platform = net.platform(behind=net.nat(*NATS[kind]))
            opened = await stack.enter_async_context(open_node(platform, settings, node, {"idle": idle}))
            for other in public:
                await opened.connect(other.addresses[0])
            inside.append(opened)
        await asyncio.sleep(5)
        yield Homes(net, public, inside[0], inside[1], contexts)


def told(node: Node) -> list[Event]:
    """What holepunch told."""
    return [each.event for each in node.events.recent() if isinstance(each.event, Punched | PunchFailed)]
