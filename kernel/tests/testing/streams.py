"""A pipe handler that keeps what it gets, and a listener that makes one for each pipe.  Helpers of these tests."""

import asyncio
from collections.abc import Callable

from peerkit.address import Address
from peerkit.network import Network, ServerTls
from peerkit.transport import Listener, Pipe


class Recorder:
    """A `PipeHandler` that remembers everything."""

    def __init__(self, pipe: Pipe, buffer_bytes: int = 65_536) -> None:
        self.pipe = pipe
        self.received = bytearray()
        self.paused = False
        self.pauses = 0
        self.lost: list[str] = []
        self.on_data: Callable[[bytes], None] | None = None
        self._buffer = bytearray(buffer_bytes)
        self._changed = asyncio.Event()

    def get_buffer(self, size_hint: int) -> bytearray:
        return self._buffer

    def buffer_updated(self, nbytes: int) -> None:
        assert not self.lost, "data after connection_lost"
        data = bytes(self._buffer[:nbytes])
        self.received += data
        self._changed.set()
        if self.on_data is not None:
            self.on_data(data)

    def pause_writing(self) -> None:
        assert not self.paused
        self.paused = True
        self.pauses += 1

    def resume_writing(self) -> None:
        assert self.paused
        self.paused = False
        self._changed.set()

    def connection_lost(self, reason: str) -> None:
        self.lost.append(reason)
        self._changed.set()

    async def until(self, condition: Callable[[], bool]) -> None:
        while not condition():
            self._changed.clear()
            await self._changed.wait()

    async def until_received(self, count: int) -> bytes:
        await self.until(lambda: len(self.received) >= count or bool(self.lost))
        return bytes(self.received)

    async def until_lost(self) -> str:
        await self.until(lambda: bool(self.lost))
        return self.lost[0]


class Server:
    """A listener whose pipes go to recorders."""

    def __init__(self, refuse: bool = False) -> None:
        self.refuse = refuse
        self.handlers: list[Recorder] = []
        self.listener: Listener
        self._arrived = asyncio.Event()

    async def listen(
        self, network: Network, host: str, port: int = 0, tls: ServerTls | None = None, scheme: str = "tcp"
    ) -> Address:
        self.listener = await network.listen_stream(host, port, scheme, self._accept, tls)
        return self.listener.addresses[0]

    async def handler(self, index: int = 0) -> Recorder:
        while len(self.handlers) <= index:
            self._arrived.clear()
            await self._arrived.wait()
        return self.handlers[index]

    def _accept(self, pipe: Pipe) -> Recorder | None:
        if self.refuse:
            return None
        self.handlers.append(Recorder(pipe))
        self._arrived.set()
        return self.handlers[-1]


def keep(made: list[Recorder]) -> Callable[[Pipe], Recorder]:
    """Makes the handler of a pipe and puts it into `made`."""

    def make(pipe: Pipe) -> Recorder:
        made.append(Recorder(pipe))
        return made[-1]

    return make


async def dial(network: Network, address: Address, tls: object | None = None) -> Recorder:
    made: list[Recorder] = []
    await network.connect_stream(address, keep(made), tls)
    return made[0]


async def meet(network: Network, local: Address, remote: Address) -> Recorder:
    made: list[Recorder] = []
    await network.meet_stream(local, remote, keep(made))
    return made[0]
