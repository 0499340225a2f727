"""Real nodes with the plugin, and a way to what it provides."""

from collections.abc import Mapping, Sequence

from peerkit_discovery_kademlia.operations import TableRow

from peerkit import Node
from peerkit.capabilities import CONTENT_ROUTING, PEER_ROUTING, RECORD_STORE, ContentRouting, PeerRouting, RecordStore
from peerkit.identity import PeerId
from peerkit.operation import Nothing
from peerkit.plugin import PluginContext, PluginSpec, Settings
from peerkit.record import PeerRecord

NODE: Mapping[str, object] = {
    "network": "test",
    "enable": ["discovery_kademlia", "secure_noise", "transport_tcp"],
    "log_level": "warning",
    "slots": {"member_out": 4},
}
PROFILE: Mapping[str, object] = {
    "node": NODE,
    "plugins": {"discovery_kademlia": {"liveness_interval_s": 20.0, "request_timeout_s": 2.0}},
}


class Probe:
    """What an application sees of the plugin on one node."""

    def __init__(self, ctx: PluginContext[Settings]) -> None:
        self.peers: PeerRouting = ctx.require(PEER_ROUTING)
        self.content: ContentRouting = ctx.require(CONTENT_ROUTING)
        self.store: RecordStore = ctx.require(RECORD_STORE)


class Probes:
    """Makes a probe on every node; `plugins` is for `Node.open`."""

    def __init__(self) -> None:
        self._by_id: dict[PeerId, Probe] = {}
        self.plugins = {
            "probe": PluginSpec(Settings, self._make, requires=(PEER_ROUTING, CONTENT_ROUTING, RECORD_STORE))
        }

    def _make(self, ctx: PluginContext[Settings]) -> Probe:
        probe = self._by_id[ctx.peer_id] = Probe(ctx)
        return probe

    def of(self, node: Node) -> Probe:
        return self._by_id[node.peer_id]

    async def providers(self, node: Node, key: bytes) -> list[PeerRecord]:
        return [record async for record in self.of(node).content.find_providers(key)]


class SilentCall:
    """An operation's caller that wants no progress."""

    def progress(self, done: float, total: float | None = None, unit: str = "", text: str = "") -> None: ...
    def item(self, value: object) -> None: ...


async def table_of(node: Node) -> Sequence[TableRow]:
    """What `peerkit dht table` shows."""
    rows = await node.operations.get("dht.table").operation.handler(Nothing(), SilentCall())
    assert isinstance(rows, Sequence)
    return [row for row in rows if isinstance(row, TableRow)]
