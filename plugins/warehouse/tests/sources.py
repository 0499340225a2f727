"""Sources that the tests make themselves: they speak the transfer protocol as they like."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from peerkit_warehouse import transfer_codec as codec
from peerkit_warehouse.content_id import ContentKind
from peerkit_warehouse.link import Link
from peerkit_warehouse.merkle_tree import (
    HASH_BYTES,
    LEAF_BYTES,
    content_id,
    hash_leaves,
    hash_level,
    proof_positions,
    top_of,
)
from peerkit_warehouse.transfer_codec import Ask, Info, Request

from peerkit import Node, ProtocolSpec, Stream
from peerkit.testing import SimNetwork
from plugins.warehouse.tests.beds import OTHERS

SIZE = 3 * 1024 * 1024 + 17
Answerer = Callable[[Stream, Request, "Content"], Awaitable[bool]]


class Content:
    """A file in memory with its tree, for sources that the tests make themselves."""

    def __init__(self, path: Path) -> None:
        self.data = path.read_bytes()
        self.levels = [hash_leaves(self.data)]
        while len(self.levels[-1]) > HASH_BYTES:
            self.levels.append(hash_level(self.levels[-1]))
        self.top = top_of(self.levels[0])
        self.id = content_id(ContentKind.FILE, len(self.data), self.top)

    def answer(self, request: Request, complete: bool = True, held: tuple[tuple[int, int], ...] = ()) -> bytes:
        if request.ask is Ask.INFO:
            return Info(ContentKind.FILE, len(self.data), self.top, complete, held).to_bytes()
        positions = proof_positions(len(self.levels[0]) // HASH_BYTES, request.first, request.leaves)
        siblings = b"".join(self.levels[level][i * HASH_BYTES :][:HASH_BYTES] for level, i in positions)
        hashes = self.levels[0][request.first * HASH_BYTES :][: request.leaves * HASH_BYTES]
        data = self.data[request.first * LEAF_BYTES :][: request.leaves * LEAF_BYTES]
        return codec.range_head(len(positions), len(data)) + siblings + hashes + data


@asynccontextmanager
async def source(net: SimNetwork, content: Content, answer: Answerer) -> AsyncIterator[Node]:
    """A node that speaks the transfer protocol as `answer` likes; it returns whether to go on."""

    async def on_stream(stream: Stream) -> None:
        await stream.read_exactly(1)
        while True:
            request = Request.from_bytes(await stream.read_exactly(codec.REQUEST_BYTES))
            if not await answer(stream, request, content):
                return

    platform = net.platform()
    node = {"extends": "local", "disable": [*OTHERS, "warehouse"], "listen": [f"tcp://{platform.ip}:0"]}
    spec = ProtocolSpec("peerkit/warehouse", "1.0.0", ">=1.0,<2", on_stream=on_stream)
    async with Node.open({"node": node}, protocols=[spec], platform=platform) as opened:
        yield opened


async def honest(stream: Stream, request: Request, content: Content) -> bool:
    await stream.write(content.answer(request))
    return True


def link_to(content: Content, *nodes: Node) -> str:
    return str(Link(content.id, "file.bin", len(content.data), tuple(node.addresses[0] for node in nodes)))
