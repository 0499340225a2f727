"""Real nodes with the plugin on simulated hosts of the internet, and a way to what it provides."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager

from peerkit import Node, ProtocolSpec
from peerkit.capabilities import OWN_ADDRESSES, REACHABILITY, OwnAddresses, Reachability
from peerkit.identity import PeerId
from peerkit.plugin import PluginContext, PluginSpec, Settings
from peerkit.testing import SimNat, SimNetwork

PORT = 4433
ENABLED = ["public_address", "secure_noise", "transport_tcp", "transport_udp"]


class Probe:
    """What another plugin sees of this one on one node."""

    def __init__(self, ctx: PluginContext[Settings]) -> None:
        self.reachability: Reachability = ctx.require(REACHABILITY)
        self.own: OwnAddresses = ctx.require(OWN_ADDRESSES)


class Nodes:
    """Starts nodes at given IPs; the first is the one that all others dial."""

    def __init__(self, net: SimNetwork) -> None:
        self.net = net
        self._stack = AsyncExitStack()
        self._probes: dict[PeerId, Probe] = {}
        self.running: list[Node] = []

    def _make_probe(self, ctx: PluginContext[Settings]) -> Probe:
        probe = self._probes[ctx.peer_id] = Probe(ctx)
        return probe

    def of(self, node: Node) -> Probe:
        return self._probes[node.peer_id]

    async def start(
        self,
        ip: str,
        *,
        schemes: Sequence[str] = ("udp",),
        listens: bool = True,
        bootstrap: Sequence[Node] = (),
        settings: Mapping[str, object] | None = None,
        plugins: Mapping[str, PluginSpec[Settings]] | None = None,
        behind: SimNat | None = None,
    ) -> Node:
        host = f"[{ip}]" if ":" in ip else ip
        node = await self._stack.enter_async_context(
            Node.open(
                {
                    "node": {
                        "network": "test",
                        "enable": ENABLED,
                        "log_level": "warning",
                        "listen": [f"{scheme}://{host}:{PORT}" for scheme in schemes] if listens else [],
                        "bootstrap": [str(other.addresses[0]) for other in bootstrap],
                    },
                    "plugins": {"public_address": dict(settings or {})},
                },
                plugins={
                    "probe": PluginSpec(Settings, self._make_probe, requires=(REACHABILITY, OWN_ADDRESSES)),
                    **(plugins or {}),
                },
                platform=self.net.platform(ip, behind),
            )
        )
        self.running.append(node)
        return node

    async def start_other(self, ip: str, *protocols: ProtocolSpec) -> Node:
        """A node without the plugin, which may speak its protocol in its own way."""
        profile = {
            "node": {
                "network": "test",
                "enable": [name for name in ENABLED if name != "public_address"],
                "log_level": "warning",
                "listen": [f"udp://{ip}:{PORT}"],
            }
        }
        opened = Node.open(profile, protocols=protocols, platform=self.net.platform(ip))
        return await self._stack.enter_async_context(opened)


@asynccontextmanager
async def nodes_on(net: SimNetwork) -> AsyncIterator[Nodes]:
    nodes = Nodes(net)
    async with nodes._stack:
        yield nodes
