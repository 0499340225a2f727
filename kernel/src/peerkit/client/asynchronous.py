"""The asyncio client: many calls at once on one connection."""

import asyncio
import itertools
import os
from collections.abc import AsyncGenerator
from contextlib import aclosing
from types import TracebackType
from typing import Self

from .._control.place import describe_place, read_place
from .._control.wire import MAX_LINE_BYTES, ErrorReceived, Json, LineSplitter, Reply, encode, parse_reply
from ..errors import EndpointClosed, LimitExceeded, NodeNotRunning, PeerkitError
from .conversation import Conversation, OnItem, OnProgress, as_json, check_hello

CONNECT_TIMEOUT_S = 5.0
MAX_UNREAD_REPLIES = 1000  # of one call; then the connection is not read until its iterator goes on


class Client:
    """A connection to a running node.  `async with Client(data_dir) as node: await node.call("peers")`.

    Any number of calls may run at once.  Cancelling a call cancels it on the node.

    Attributes:
        peer_id, version: the node's, once connected.
    """

    def __init__(self, data_dir: str | os.PathLike[str]) -> None:
        self.peer_id = ""
        self.version = ""
        self._data_dir = os.path.expanduser(data_dir)
        self._ids = itertools.count(1)
        self._replies: dict[int, asyncio.Queue[Reply]] = {}
        self._closed: EndpointClosed | None = None
        self._writer: asyncio.StreamWriter | None = None
        self._reading: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        """Raises `NodeNotRunning` when no node answers within 5 s."""
        place = await asyncio.to_thread(read_place, self._data_dir)
        try:
            async with asyncio.timeout(CONNECT_TIMEOUT_S):
                if place.tcp is not None:
                    reader, writer = await asyncio.open_connection(*place.tcp)
                    writer.write(encode({"token": place.token}))
                else:
                    reader, writer = await asyncio.open_unix_connection(place.unix)
                self._writer = writer
                hello = check_hello(parse_reply(await reader.readline()))
        except (OSError, ValueError, PeerkitError) as exc:
            if self._writer is not None:
                self._writer.close()
            if isinstance(exc, PeerkitError):
                raise
            raise NodeNotRunning(f"no node answers at {describe_place(place)}: {exc}") from exc
        self.peer_id, self.version = hello.peer_id, hello.version
        # The one task of this client; it ends with the `async with` block.
        self._reading = asyncio.create_task(self._read(reader), name="control client")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        assert self._reading is not None
        assert self._writer is not None
        self._reading.cancel()
        await asyncio.gather(self._reading, return_exceptions=True)
        self._writer.close()

    async def call(
        self, op: str, /, *, on_progress: OnProgress | None = None, on_item: OnItem | None = None, **args: object
    ) -> Json:
        """Run an operation and return its answer; see `SyncClient.call`.

        Raises:
            PeerkitError: of the class that the node raised; `EndpointClosed` when the node went away.
        """
        conversation = Conversation(on_progress, on_item)
        async with aclosing(self._converse(conversation, op, args)) as replies:
            async for _ in replies:
                pass
        return conversation.result

    async def stream(
        self, op: str, /, *, on_progress: OnProgress | None = None, **args: object
    ) -> AsyncGenerator[Json, None]:
        """Yield the parts of an operation's answer as the node tells them; those of the final answer if it told none.

        Closing the iterator (`contextlib.aclosing`) cancels the operation.
        Read on: 1,000 unread items hold up the other calls of this client.
        """
        items: list[Json] = []
        conversation = Conversation(on_progress, items.append)
        async with aclosing(self._converse(conversation, op, args)) as replies:
            async for _ in replies:
                for item in items:
                    yield item
                items.clear()
        if conversation.items_received == 0:
            for item in conversation.result if isinstance(conversation.result, list) else [conversation.result]:
                yield item

    async def _converse(
        self, conversation: Conversation, op: str, args: dict[str, object]
    ) -> AsyncGenerator[None, None]:
        """Run one call; yields after each reply."""
        if self._writer is None:
            raise EndpointClosed("the control connection", "use the client in an `async with` block")
        if self._closed is not None:
            raise self._closed
        call_id = next(self._ids)
        replies = self._replies[call_id] = asyncio.Queue[Reply](MAX_UNREAD_REPLIES)
        try:
            self._writer.write(encode({"id": call_id, "op": op, "args": as_json(args)}))
            await self._writer.drain()
            while not conversation.is_done:
                conversation.receive(await replies.get())
                yield
        except OSError as exc:
            raise EndpointClosed("the control connection", str(exc), by_peer=True) from exc
        finally:
            del self._replies[call_id]
            while not replies.empty():
                replies.get_nowait()  # `_read` may wait for a place in this queue
            if not conversation.is_done and self._closed is None:
                self._writer.write(encode({"id": call_id, "cancel": True}))

    async def _read(self, reader: asyncio.StreamReader) -> None:
        splitter = LineSplitter(MAX_LINE_BYTES)
        why = "the node went away"
        try:
            while data := await reader.read(65_536):
                for line in splitter.receive_data(data):
                    if line is None:
                        raise LimitExceeded("the node sent a line that is too long")
                    await self._dispatch(parse_reply(line))
        except (OSError, PeerkitError) as exc:
            why = str(exc)
        finally:
            self._closed = EndpointClosed("the control connection", why, by_peer=True)
            for call_id, replies in self._replies.items():
                while replies.full():
                    replies.get_nowait()
                replies.put_nowait(ErrorReceived(call_id, self._closed))

    async def _dispatch(self, reply: Reply) -> None:
        call_id = getattr(reply, "id", None)
        if isinstance(call_id, int) and (replies := self._replies.get(call_id)) is not None:
            await replies.put(reply)
