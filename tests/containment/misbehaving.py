"""Nodes with one plugin that misbehaves and one beside it that must not notice."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from peerkit import Node, ProtocolSpec
from peerkit.capabilities import Capability
from peerkit.event import PluginFailed
from peerkit.plugin import AnyCapability, PluginContext, PluginSpec, Settings, hookimpl
from peerkit.routine import Routine
from peerkit.session import Peer
from peerkit.testing import SimNetwork

Context = PluginContext[Settings]
AnySpec = PluginSpec[Any]
OTHERS = ("discovery_kademlia", "warehouse", "search", "trust_denylist")
GOOD = ProtocolSpec("test.org/good", "1.0.0", on_request=lambda request: request.payload)
STORE: AnyCapability = Capability("test.store/1")


class Good:
    """A plugin that does its work whatever its neighbour does."""

    def __init__(self, ctx: Context) -> None:
        self.turns = 0

    @hookimpl
    def peerkit_register_protocols(self) -> Sequence[ProtocolSpec]:
        return [GOOD]

    @hookimpl
    def peerkit_register_routines(self) -> Sequence[Routine]:
        return [Routine("good.turn", self._turn, interval_s=1)]

    async def _turn(self) -> None:
        self.turns += 1


@dataclass
class Bench:
    """Attributes:
    node: has the plugins `bad` and `good`.
    peer: another node, as a member of `node`'s pool, from its side.
    made: the newest object of each plugin.
    """

    node: Node
    other: Node
    peer: Peer
    made: dict[str, Any]

    @property
    def bad(self) -> Any:
        return self.made["bad"]

    @property
    def good(self) -> Good:
        good = self.made["good"]
        assert isinstance(good, Good)
        return good

    async def others_go_on(self) -> None:
        """The session, requests and routines beside the bad plugin are as before."""
        turns = self.good.turns
        await asyncio.sleep(3)
        assert self.good.turns >= turns + 2
        assert await self.peer.request(GOOD.id, b"still there") == b"still there"
        (member,) = self.node.peers()
        assert member.session.peer_id == self.other.peer_id

    async def told_first(self) -> tuple[str, str]:
        """(place, error) of the bad plugin's first failure, now or when it comes."""
        async for event in self.node.events.subscribe(PluginFailed, replay=True):
            if event.plugin == "bad":
                return event.where, event.error
        raise AssertionError("the node stopped")

    def told(self, plugin: str = "bad") -> list[tuple[str, str]]:
        """(place, error) of every failure of that plugin which an event told."""
        events = [emitted.event for emitted in self.node.events.recent()]
        return [(e.where, e.error) for e in events if isinstance(e, PluginFailed) and e.plugin == plugin]


def spec(factory: Callable[[Context], object], **capabilities: Sequence[AnyCapability]) -> AnySpec:
    return PluginSpec(Settings, factory, **capabilities)


@asynccontextmanager
async def bench(bad: AnySpec, **more: AnySpec) -> AsyncIterator[Bench]:
    """A node with the plugin `bad`, and another one that speaks every protocol of the first and is connected to it."""
    net = SimNetwork()
    made: dict[str, Any] = {}

    def keep(name: str, of: AnySpec) -> AnySpec:
        def factory(ctx: PluginContext[Any]) -> object:
            made[name] = of.factory(ctx)
            return made[name]

        return PluginSpec(of.settings, factory, of.provides, of.requires, of.uses)

    plugins = {name: keep(name, of) for name, of in {"bad": bad, "good": spec(Good), **more}.items()}
    async with open_node(net, plugins) as node:
        speaks = [ProtocolSpec(id, of.version) for id, of in node.pool.context.specs.items()]
        async with open_node(net, {}, speaks) as other:
            peer = await other.connect(node.addresses[-1])
            yield Bench(node, other, peer, made)


@asynccontextmanager
async def open_node(
    net: SimNetwork,
    plugins: dict[str, AnySpec],
    protocols: Sequence[ProtocolSpec] = (),
    disable: Sequence[str] = (),
    **settings: object,
) -> AsyncIterator[Node]:
    platform = net.platform()
    node = {"extends": "local", "disable": [*OTHERS, *disable], "listen": [f"tcp://{platform.ip}:0"], **settings}
    profile = {"node": node}
    async with Node.open(profile, plugins=plugins, protocols=protocols, platform=platform) as opened:
        yield opened
