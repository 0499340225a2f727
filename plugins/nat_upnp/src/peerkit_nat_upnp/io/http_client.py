"""One HTTP request to the router over the node's own network, with a deadline."""

import asyncio

from peerkit.address import Address
from peerkit.errors import ConnectFailed, RemoteProtocolError
from peerkit.network import Network
from peerkit.transport import Pipe

from ..http_answer import HttpAnswer, request
from ..mapping import MappingFailed
from ..trusted import RouterUrl

DEADLINE_S = 8.0  # for all of it: a router that sends a byte a second must not hold us
READ_BYTES = 4_096


class _Reader:
    """The pipe's handler: feeds the answer."""

    def __init__(self, pipe: Pipe) -> None:
        self._pipe = pipe
        self._buffer = bytearray(READ_BYTES)
        self.answer = HttpAnswer()
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def get_buffer(self, size_hint: int) -> bytearray:
        return self._buffer

    def buffer_updated(self, nbytes: int) -> None:
        if self.done.done():
            return
        try:
            self.answer.receive_data(bytes(self._buffer[:nbytes]))
            if self.answer.is_whole:
                self.done.set_result(None)
        except RemoteProtocolError as exc:
            self._pipe.abort()
            self.done.set_exception(exc)

    def pause_writing(self) -> None: ...
    def resume_writing(self) -> None: ...

    def connection_lost(self, reason: str) -> None:
        self.answer.receive_end()
        if not self.done.done():
            self.done.set_result(None)


async def fetch(
    network: Network, method: str, url: RouterUrl, headers: dict[str, str], body: bytes = b""
) -> tuple[int, bytes]:
    """Status and body.  Raises `MappingFailed`."""
    readers: list[_Reader] = []

    def attach(pipe: Pipe) -> _Reader:
        readers.append(_Reader(pipe))
        return readers[0]

    pipe: Pipe | None = None
    try:
        async with asyncio.timeout(DEADLINE_S):
            pipe = await network.connect_stream(Address("tcp", url.host, url.port), attach)
            pipe.write([request(method, url, headers, body)])
            await readers[0].done
            return readers[0].answer.status, readers[0].answer.body()
    except TimeoutError:
        raise MappingFailed(f"the router's HTTP server takes longer than {DEADLINE_S:g} s") from None
    except ConnectFailed as exc:
        raise MappingFailed(f"the router's HTTP server cannot be reached: {exc.reason}") from exc
    except RemoteProtocolError as exc:
        raise MappingFailed(str(exc)) from exc
    finally:
        if pipe is not None:
            pipe.abort()
