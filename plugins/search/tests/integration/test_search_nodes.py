"""Search on whole nodes: over real TCP on loopback, and on the simulated network.

The nodes are real; two small plugins of this file stand in for routing (it knows whom the node knows) and for a
content store (it holds only names), so that search is judged alone.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from typing import cast

import pytest
from peerkit_search.operations import SearchHit, SearchRequest
from peerkit_search.placement import position

from peerkit import Node, text_form
from peerkit.capabilities import ADDRESS_BOOK, BLOB_STORE, PEER_ROUTING, BlobInfo, Lookup
from peerkit.errors import NotFound
from peerkit.event import ContentShared, ContentUnshared
from peerkit.identity import PeerId
from peerkit.plugin import PluginContext, PluginSpec, Settings
from peerkit.record import PeerRecord
from peerkit.testing import SimNetwork, run
from peerkit.testing.swarm import Swarm
from plugins.search.tests.swarm import CollectingCall

PROFILE = {"node": {"extends": "local", "disable": ["discovery_kademlia", "warehouse"]}}


class Directory:
    """Routing among all peers whose record the node has."""

    def __init__(self, ctx: PluginContext[Settings]) -> None:
        self._book = ctx.require(ADDRESS_BOOK)
        self._own = ctx.peer_id
        ctx.provide(PEER_ROUTING, self)

    async def find_peer(self, peer_id: PeerId) -> PeerRecord | None:
        return self._book.get(peer_id)

    async def closest_peers(self, key: bytes, count: int = 20) -> Lookup:
        target = int.from_bytes(key, "big")
        known = [record for record in self._book.records() if record.peer_id != self._own]
        known.sort(key=lambda record: int.from_bytes(position(record.peer_id), "big") ^ target)
        return Lookup(tuple(known[:count]), 0, 0, exact=True)


class Shelf:
    """Names that the node shares."""

    shelves: dict[PeerId, "Shelf"] = {}  # noqa: RUF012 - the test reaches a node's plugin by its peer id

    def __init__(self, ctx: PluginContext[Settings]) -> None:
        self._ctx = ctx
        self._blobs: dict[str, BlobInfo] = {}
        self.shelves[ctx.peer_id] = self
        ctx.provide(BLOB_STORE, self)

    def listing(self) -> Sequence[BlobInfo]:
        return list(self._blobs.values())

    def read(self, content_id: str, offset: int, length: int) -> AsyncIterator[bytes]:
        raise NotFound(f"{content_id} from {offset} for {length}")

    def share(self, name: str) -> str:
        content_id = text_form.encode(text_form.Kind.CONTENT, self._ctx.rng.randbytes(32))
        self._blobs[content_id] = BlobInfo(content_id, name, 10, "text/plain", listed=True, complete=True)
        self._ctx.emit(ContentShared(content_id, name, 10, "text/plain", listed=True))
        return content_id

    def unshare(self, content_id: str) -> None:
        self._ctx.emit(ContentUnshared(content_id, self._blobs.pop(content_id).name))


PLUGINS = {
    "directory": PluginSpec(Settings, Directory, provides=(PEER_ROUTING,), requires=(ADDRESS_BOOK,)),
    "shelf": PluginSpec(Settings, Shelf, provides=(BLOB_STORE,)),
}


async def search(node: Node, *words: str) -> list[SearchHit]:
    operation = node.operations.get("search").operation
    return list(cast(Sequence[SearchHit], await operation.handler(SearchRequest(words=words), CollectingCall())))


async def eventually(check: Callable[[], Awaitable[bool]], timeout_s: float = 20.0) -> None:
    async with asyncio.timeout(timeout_s):
        while not await check():  # noqa: ASYNC110 - what is waited for happens on another node
            await asyncio.sleep(0.05)


async def share_search_unshare(nodes: Sequence[Node]) -> None:
    """On the first node, seen from the last, which never met the first."""
    publisher, asker = Shelf.shelves[nodes[0].peer_id], nodes[-1]
    content_id = publisher.share("The Art of Peer-to-Peer.pdf")
    publisher.share("art of noise.txt")

    async def found() -> bool:
        return [hit.content_id for hit in await search(asker, "peers", "art")] == [content_id]

    async def gone() -> bool:
        return await search(asker, "peers", "art") == []

    await eventually(found)
    (hit,) = await search(asker, "peers", "art")
    assert (hit.name, hit.size_bytes, hit.publisher) == ("The Art of Peer-to-Peer.pdf", 10, str(nodes[0].peer_id))
    assert asker.pool.get(nodes[0].peer_id) is None
    publisher.unshare(content_id)
    await eventually(gone)
    assert [hit.name for hit in await search(asker, "art")] == ["art of noise.txt"]


@pytest.mark.integration
def test_share_search_unshare_over_real_sockets() -> None:
    async def main() -> None:
        async with AsyncExitStack() as stack:
            nodes = [await stack.enter_async_context(Node.open(PROFILE, plugins=PLUGINS)) for _ in range(4)]
            for node in nodes[1:-1]:
                await node.connect(nodes[0].addresses[0])
                await nodes[-1].connect(node.addresses[0])
            await share_search_unshare(nodes)

    asyncio.run(main())


@pytest.mark.simulation
def test_share_search_unshare_on_the_simulated_network() -> None:
    async def main() -> None:
        async with Swarm(SimNetwork(loss=0.01), PROFILE, plugins=PLUGINS) as swarm:
            nodes = await swarm.start(8)
            for node in nodes[2:-1]:  # all know the first, by which they came
                await node.connect(nodes[1].addresses[0])
                await nodes[-1].connect(node.addresses[0])
            await share_search_unshare(nodes[1:])

    run(main(), seed=3)
