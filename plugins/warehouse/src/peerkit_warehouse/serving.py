"""Answering other peers: requests of a stream in order, reading ahead from the disk.

Bounds: `upload_slots` ranges are read or written at once on the whole node, each with one buffer, more are answered
BUSY; a peer that does not take its bytes for 30 s is cut off.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from peerkit import PluginContext, Stream
from peerkit.errors import NotFound, PeerkitError, RemoteProtocolError, VerificationFailed

from . import transfer_codec as codec
from .holding import Holding
from .merkle_tree import HASH_BYTES
from .settings import WarehouseSettings
from .store import Store
from .transfer_codec import Ask, Info, Refusal, Request

WRITE_TIMEOUT_S = 30.0  # for one range: a reader that is slower than 35 KB/s must not hold a slot
IDLE_TIMEOUT_S = 120.0  # between two requests
AHEAD = 3  # answers prepared while one is written: hides the disk's latency, and that of opening many small files


@dataclass(slots=True)
class _Answer:
    """`buffer` is the slot's memory, given back when the answer is written."""

    head: bytes
    data: memoryview | None = None
    buffer: bytearray | None = None


class Server:
    """Serves `peerkit/warehouse` streams.

    Attributes:
        active: ranges being read or written now.
        bytes_sent: content sent so far.
        refused_busy, bad_requests: counters.
    """

    def __init__(self, ctx: PluginContext[WarehouseSettings], store: Store) -> None:
        self.ctx = ctx
        self.store = store
        self.active = 0
        self.bytes_sent = 0
        self.refused_busy = 0
        self.bad_requests = 0

    async def on_stream(self, stream: Stream) -> None:
        """Serve one stream until the peer finishes it."""
        try:
            async with asyncio.timeout(IDLE_TIMEOUT_S):
                version = await stream.read_exactly(1)
        except (PeerkitError, TimeoutError):
            self.bad_requests += 1
            stream.reset()
            return
        if version[0] != codec.VERSION:
            await stream.write(codec.error(Refusal.VERSION, f"transfer version {codec.VERSION} is spoken here"))
            return
        serving = _Serving(self, stream)
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(serving.read_requests(group))
                group.create_task(serving.write_answers())
        except* PeerkitError as errors:
            self.bad_requests += errors.subgroup(RemoteProtocolError) is not None
            stream.reset()
        finally:
            self.active -= serving.slots


class _Serving:
    """One stream being served; `slots` are those of the node that it holds."""

    def __init__(self, server: Server, stream: Stream) -> None:
        self._server = server
        self._stream = stream
        self._answers: asyncio.Queue[asyncio.Task[_Answer] | None] = asyncio.Queue(AHEAD)
        self._free: list[bytearray] = []
        self.slots = 0

    async def read_requests(self, group: asyncio.TaskGroup) -> None:
        """Take requests and begin their answers."""
        stream = self._stream
        while True:
            try:
                async with asyncio.timeout(IDLE_TIMEOUT_S):
                    head = await stream.read(codec.REQUEST_BYTES)
                    if head and len(head) < codec.REQUEST_BYTES:
                        head += await stream.read_exactly(codec.REQUEST_BYTES - len(head))
            except TimeoutError:
                head = b""
            if not head:
                await self._answers.put(None)
                return
            await self._answers.put(group.create_task(self._answer(Request.from_bytes(head))))

    async def write_answers(self) -> None:
        """Write answers in order."""
        stream = self._stream
        while (begun := await self._answers.get()) is not None:
            answer = await begun
            try:
                async with asyncio.timeout(WRITE_TIMEOUT_S):
                    await stream.write(answer.head)
                    if answer.data is not None:
                        await stream.write(answer.data)
                        self._server.bytes_sent += answer.data.nbytes
            except TimeoutError:
                raise RemoteProtocolError(f"the peer took nothing for {WRITE_TIMEOUT_S:g} s") from None
            if answer.buffer is not None:
                answer.data = None
                self._free.append(answer.buffer)
                self._release()
        await stream.finish()

    def _release(self) -> None:
        self.slots -= 1
        self._server.active -= 1

    async def _answer(self, request: Request) -> _Answer:
        try:
            async with self._server.store.use(request.content) as holding:
                if request.ask is Ask.INFO:
                    return _info(holding)
                return await self._range(holding, request.first, request.leaves)
        except NotFound:
            return _Answer(codec.error(Refusal.UNKNOWN, "this content is not here"))
        except VerificationFailed:
            return _Answer(codec.error(Refusal.CHANGED, "the file changed since it was shared"))

    async def _range(self, holding: Holding, first: int, leaves: int) -> _Answer:
        server = self._server
        if not holding.has(first, leaves):
            return _Answer(codec.error(Refusal.NOT_HELD, "these leaves are not here"))
        if server.active >= server.ctx.settings.upload_slots:
            server.refused_busy += 1
            return _Answer(codec.error(Refusal.BUSY, "all upload slots are taken"))
        server.active += 1
        self.slots += 1
        buffer = self._free.pop() if self._free else bytearray()
        try:
            run = await server.ctx.run_blocking(lambda: holding.read_range(first, leaves, buffer))
        except VerificationFailed:
            self._release()
            raise
        head = codec.range_head(len(run.siblings) // HASH_BYTES, run.data.nbytes) + run.siblings + run.leaf_hashes
        return _Answer(head, run.data, run.buffer)


def _info(holding: Holding) -> _Answer:
    if not holding.top:
        return _Answer(codec.error(Refusal.NOT_HELD, "nothing of it is here yet"))
    held = () if holding.held is None else tuple(holding.held)
    return _Answer(Info(holding.kind, holding.size, holding.top, holding.held is None, held).to_bytes())
