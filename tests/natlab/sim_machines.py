"""Hosts of the simulated network for `verdict`."""

import asyncio
from collections.abc import Callable

from peerkit import Address
from peerkit.errors import ConnectFailed
from peerkit.testing.sim_connect import connect
from peerkit.testing.sim_host import SimHost
from peerkit.transport import Pipe, PipeHandler
from tests.natlab.verdict import Where


class SimDatagrams:
    def __init__(self, host: SimHost) -> None:
        self._endpoint = host.bind_datagrams("0.0.0.0", 0)
        self._endpoint.register(0x00, 0xFF, self._take)
        self._inbox: asyncio.Queue[tuple[bytes, Where]] = asyncio.Queue()
        self.port = self._endpoint.local.port

    def _take(self, batch: memoryview, segment_bytes: int, local: Address, remote: Address, now: float) -> None:
        self._inbox.put_nowait((bytes(batch), (remote.host, remote.port)))

    async def send(self, data: bytes, target: Where) -> None:
        self._endpoint.send_batch(None, Address("udp", *target), len(data), [data])

    async def receive(self) -> tuple[bytes, Where]:
        return await self._inbox.get()


class _Quiet:
    """The handler of a stream on which nothing is said."""

    def get_buffer(self, size_hint: int) -> bytearray:
        raise AssertionError("nothing is said")

    def buffer_updated(self, nbytes: int) -> None: ...
    def pause_writing(self) -> None: ...
    def resume_writing(self) -> None: ...
    def connection_lost(self, reason: str) -> None: ...


class SimMachine:
    def __init__(self, host: SimHost) -> None:
        self.ip = host.ip
        self._host = host

    def datagrams(self) -> SimDatagrams:
        return SimDatagrams(self._host)

    def free_port(self) -> int:
        return self._host.free_port()

    async def listen(self, port: int, on_stream: Callable[[Where], None]) -> None:
        def accept(pipe: Pipe) -> PipeHandler:
            on_stream((pipe.remote.host, pipe.remote.port))
            return _Quiet()

        await self._host.listen_stream("0.0.0.0", port, "tcp", accept)

    async def connect(self, port: int, target: Where) -> str:
        try:
            await connect(self._host, Address("tcp", *target), lambda pipe: _Quiet(), False, port)
        except ConnectFailed as exc:
            return "refused" if exc.reason == "connection refused" else exc.reason
        return "connected"
