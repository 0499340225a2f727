"""The asking end of a transfer stream to one source: requests go out as they come, answers come back in order."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from peerkit import Session, Stream
from peerkit.errors import DeadlineExceeded, EndpointClosed, PeerkitError, RemoteProtocolError

from . import transfer_codec as codec
from .content_id import ContentId
from .merkle_tree import HASH_BYTES, LEAF_BYTES
from .transfer_codec import Answer, Ask, Head, Info, Refusal, Request

SPARE_BUFFERS = 4  # kept for the next answers: new memory for each costs more than what is copied into it
INFO_TIMEOUT_S = 10.0


class Refused(PeerkitError):
    """The source does not answer a request; `refusal` says why."""

    def __init__(self, refusal: int, sentence: str) -> None:
        self.refusal = refusal
        super().__init__(f"the source refused: {sentence}")


@dataclass(frozen=True, slots=True)
class RangeAnswer:
    """What came for a RANGE request, unverified.  `data` lies in `buffer`, see `SourceStream.take_back`."""

    siblings: bytes
    leaf_hashes: bytes
    data: memoryview
    buffer: bytearray


@dataclass(slots=True)
class _Expected:
    request: Request
    future: asyncio.Future[Info | RangeAnswer]


class SourceStream:
    """One source.

    Attributes:
        name: the peer id's text.
        ended: set once it is nobody's source any more.
        on_bytes: called with the name and the number of bytes as content comes in.
    """

    def __init__(self, session: Session, stream: Stream, on_bytes: Callable[[str, int], None]) -> None:
        self.name = str(session.peer_id)
        self.session = session
        self.ended = asyncio.Event()
        self._stream = stream
        self._on_bytes = on_bytes
        self._expected: deque[_Expected] = deque()
        self._spare: list[bytearray] = []
        self._out = bytearray((codec.VERSION,))
        self._wake = asyncio.Event()
        self._wake.set()
        self._error: PeerkitError | None = None

    async def run(self) -> None:
        """Move requests and answers until the source ends; then every open request fails.

        Raises:
            RemoteProtocolError: the source broke the protocol.
        """
        try:
            async with asyncio.TaskGroup() as group:
                writer = group.create_task(self._write())
                try:
                    await self._read()
                finally:
                    writer.cancel()
        except* PeerkitError as errors:
            self._error = next(e for e in errors.exceptions if isinstance(e, PeerkitError))
        finally:
            self._fail(self._error or EndpointClosed(f"the stream from {self.session.peer_id.short}"))
            self._stream.reset()
        if isinstance(self._error, RemoteProtocolError):
            raise self._error

    def close(self, error: PeerkitError) -> None:
        """End it: `run` returns soon.  Idempotent."""
        self._error = self._error or error
        self._stream.reset()
        self._fail(error)

    def _fail(self, error: PeerkitError) -> None:
        self._error = self._error or error
        while self._expected:
            future = self._expected.popleft().future
            if not future.done():
                future.set_exception(error)
                future.exception()  # whoever asked may be gone

    async def info(self, content: ContentId) -> Info:
        """What the source has of `content`, checked against its id.

        Raises:
            Refused, EndpointClosed, RemoteProtocolError, DeadlineExceeded.
        """
        try:
            async with asyncio.timeout(INFO_TIMEOUT_S):
                answer = await self._ask(Request(Ask.INFO, content))
        except TimeoutError:
            raise DeadlineExceeded(f"a question to {self.session.peer_id.short}", INFO_TIMEOUT_S) from None
        assert isinstance(answer, Info)
        return answer

    async def range(self, content: ContentId, first: int, leaves: int) -> RangeAnswer:
        """Leaves with their proof, unverified.  Silence is the scheduler's business: there is no deadline here.

        Raises:
            Refused, EndpointClosed, RemoteProtocolError.
        """
        answer = await self._ask(Request(Ask.RANGE, content, first, leaves))
        assert isinstance(answer, RangeAnswer)
        return answer

    def take_back(self, answer: RangeAnswer) -> None:
        """Whoever asked has done with the answer's data: its memory may hold another."""
        if len(self._spare) < SPARE_BUFFERS:
            self._spare.append(answer.buffer)

    def _ask(self, request: Request) -> asyncio.Future[Info | RangeAnswer]:
        future: asyncio.Future[Info | RangeAnswer] = asyncio.get_running_loop().create_future()
        if self._error is not None:
            future.set_exception(self._error)
        else:
            self._expected.append(_Expected(request, future))
            self._out += request.to_bytes()
            self._wake.set()
        return future

    async def _write(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            out, self._out = bytes(self._out), bytearray()
            await self._stream.write(out)

    async def _read(self) -> None:
        while True:
            data = await self._stream.read(codec.HEAD_BYTES)
            if not data:
                return
            if len(data) < codec.HEAD_BYTES:
                data += await self._stream.read_exactly(codec.HEAD_BYTES - len(data))
            head = Head.from_bytes(data)
            if not self._expected:
                raise RemoteProtocolError("the source answered what nobody asked")
            expected = self._expected[0]
            answer = await self._read_body(head, expected.request)
            self._expected.popleft()
            if expected.future.done():
                continue  # whoever asked is gone
            if isinstance(answer, Refused):
                expected.future.set_exception(answer)
            else:
                expected.future.set_result(answer)

    async def _read_body(self, head: Head, request: Request) -> Info | RangeAnswer | Refused:
        if head.answer is Answer.ERROR:
            sentence = codec.sentence_of(await self._stream.read_exactly(head.length) if head.length else b"")
            if head.code in (Refusal.MALFORMED, Refusal.VERSION):
                raise RemoteProtocolError(f"the source does not understand us: {sentence}")
            return Refused(head.code, sentence)
        if head.answer is Answer.INFO and request.ask is Ask.INFO:
            return Info.from_body(head, await self._stream.read_exactly(head.length), request.content)
        if head.answer is not Answer.RANGE or request.ask is not Ask.RANGE:
            raise RemoteProtocolError("the source answered another question than ours")
        if head.length > request.leaves * LEAF_BYTES:
            raise RemoteProtocolError("the source sent more than was asked for")
        hashes = await self._stream.read_exactly((head.count + request.leaves) * HASH_BYTES)
        buffer = self._spare.pop() if self._spare else bytearray()
        if len(buffer) < head.length:
            buffer = bytearray(head.length)  # not a whole group: a small file would pay for a mebibyte
        data, at = memoryview(buffer)[: head.length], 0
        while at < head.length:
            n = await self._stream.read_into(data[at:])
            if not n:
                raise RemoteProtocolError("the source ended in the middle of an answer")
            at += n
            self._on_bytes(self.name, n)
        return RangeAnswer(hashes[: head.count * HASH_BYTES], hashes[head.count * HASH_BYTES :], data, buffer)
