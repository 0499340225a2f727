"""A home on the simulated network: our host, its router, and a neighbour who would like to be the router."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from peerkit import Address
from peerkit.link import Gateway
from peerkit.testing import SimNetwork
from peerkit.testing.sim_host import SimHost
from peerkit.transport import DatagramEndpoint, Pipe, PipeHandler

ROUTER, HOST, NEIGHBOUR = "192.168.1.1", "192.168.1.2", "192.168.1.3"
Answerer = Callable[[bytes, Address], Sequence[tuple[DatagramEndpoint, bytes]]]
"""Of a question and its source: from where to answer what."""


@dataclass(eq=False)
class Home:
    """Attributes:
    dialled: streams that were opened to the router (`http`) or to the neighbour.
    """

    net: SimNetwork
    host: SimHost
    router: SimHost
    neighbour: SimHost
    dialled: dict[str, int] = field(default_factory=dict)

    @property
    def gateway(self) -> Gateway:
        return Gateway(ROUTER, HOST)

    def answer_datagrams(self, port: int, answerer: Answerer) -> None:
        """What happens when our host asks the router at this port."""
        endpoint = self.router.bind_datagrams(ROUTER, port)

        def asked(batch: memoryview, size: int, local: Address, remote: Address, now: float) -> None:
            for sender, answer in answerer(bytes(batch), remote):
                sender.send_batch(None, remote, len(answer), [answer])

        endpoint.register(0, 255, asked)

    async def serve_http(self, host: SimHost, chunks: Sequence[bytes], pause_s: float = 0.0, port: int = 5_000) -> None:
        """Answer whatever is asked with these pieces, so much time between two, and then say nothing more."""

        def accept(pipe: Pipe) -> PipeHandler:
            self.dialled[host.ip] = self.dialled.get(host.ip, 0) + 1
            return _Server(pipe, chunks, pause_s)

        await host.listen_stream(host.ip, port, "tcp", accept)


class _Server:
    def __init__(self, pipe: Pipe, chunks: Sequence[bytes], pause_s: float) -> None:
        self._pipe, self._chunks, self._pause_s = pipe, chunks, pause_s
        self._buffer = bytearray(4_096)
        self._answering: asyncio.Task[None] | None = None

    def get_buffer(self, size_hint: int) -> bytearray:
        return self._buffer

    def buffer_updated(self, nbytes: int) -> None:
        if self._answering is None:
            self._answering = asyncio.get_running_loop().create_task(self._answer())

    async def _answer(self) -> None:
        for chunk in self._chunks:
            self._pipe.write([chunk])
            await asyncio.sleep(self._pause_s)

    def pause_writing(self) -> None: ...
    def resume_writing(self) -> None: ...

    def connection_lost(self, reason: str) -> None:
        if self._answering is not None:
            self._answering.cancel()


def home() -> Home:
    """Made on a running virtual-time loop."""
    net = SimNetwork(latency_s=(0.001, 0.001))
    host, router, neighbour = (net.host(ip) for ip in (HOST, ROUTER, NEIGHBOUR))
    host.gateways = (Gateway(ROUTER, HOST),)
    return Home(net, host, router, neighbour)
