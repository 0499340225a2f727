"""Assets of a game by content id: streamed, verified, kept in a cache."""

import asyncio
from collections.abc import AsyncIterator, Mapping

from peerkit import Node
from peerkit.capabilities import BLOB_STORE
from peerkit.errors import NotFound, VerificationFailed

ALL = 1 << 62


class Assets:
    """Args:
    index: an asset's name → its link, as `game.py publish` writes it.  Whoever serves an asset cannot change it.
    """

    def __init__(self, node: Node, index: Mapping[str, str]) -> None:
        self._node = node
        self._blobs = node.require(BLOB_STORE)
        self._index = index

    async def load(self, name: str) -> bytes:
        """A whole asset, from the cache if it is there.

        Raises:
            NotFound: there is no such asset, or nobody who has it answers.
        """
        return b"".join([piece async for piece in self.stream(name)])

    async def stream(self, name: str) -> AsyncIterator[bytes]:
        """The bytes of an asset in order, in verified pieces of up to 1 MiB; the first ones while the rest is on its
        way.  Raises as `load` does."""
        offset = 0
        for is_last_try in (False, True):
            try:
                async for piece in self._stream_from(self._link(name), offset):
                    offset += len(piece)
                    yield piece
                return
            except VerificationFailed:  # the disk changed what the cache kept: once more, from the network
                if is_last_try:
                    raise

    async def _stream_from(self, link: str, offset: int) -> AsyncIterator[bytes]:
        content_id = link.removeprefix("peerkit:").partition("?")[0]
        more = asyncio.Event()

        def tell(_: object) -> None:
            more.set()

        fetching = asyncio.ensure_future(self._node.call("get", id=link, store=True, on_progress=tell))
        fetching.add_done_callback(tell)
        try:
            while True:
                more.clear()
                is_all = fetching.done()
                try:
                    async for piece in self._blobs.read(content_id, offset, ALL):
                        offset += len(piece)
                        yield piece
                    await fetching  # or the end of the download would be cancelled
                    return
                except NotFound:
                    if is_all:
                        await fetching
                        raise
                await more.wait()
        finally:
            fetching.cancel()

    def _link(self, name: str) -> str:
        try:
            return self._index[name]
        except KeyError:
            raise NotFound(f"the game has no asset named {name}") from None
