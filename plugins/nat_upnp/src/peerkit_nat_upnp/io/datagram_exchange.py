"""Questions to the router by datagram, asked again until an answer from it fits."""

import asyncio
from collections.abc import Callable
from typing import Generic, TypeVar

from peerkit.address import Address
from peerkit.errors import ConnectFailed, RemoteProtocolError
from peerkit.network import Network
from peerkit.transport import DatagramEndpoint

from ..mapping import MappingFailed

T = TypeVar("T")

FIRST_WAIT_S = 0.25  # RFC 6886 §3.1, doubled each time; PCP's 3 s (RFC 6887 §8.1.1) are for servers far away
TRIES = 5  # 7.75 s in all; the next check asks again


class DatagramExchange(Generic[T]):
    """One port of the router.

    Args:
        local: our own host, which is also what the router maps to.
        parse: makes an answer of bytes or raises `RemoteProtocolError`.
    """

    def __init__(self, network: Network, local: str, router: Address, parse: Callable[[bytes], T]) -> None:
        self._network = network
        self._local = local
        self._router = router
        self._parse = parse
        self._endpoint: DatagramEndpoint | None = None
        self._fits: Callable[[T], bool] = lambda answer: False  # noqa: ARG005
        self._answer: asyncio.Future[T] | None = None
        self._turn = asyncio.Lock()
        self.ignored = 0  # datagrams from others than the router, or that are no answer

    async def ask(self, question: bytes, fits: Callable[[T], bool], tries: int = TRIES) -> T:
        """Raises `MappingFailed`: no answer."""
        async with self._turn:
            endpoint = await self._opened()
            self._fits = fits
            self._answer = asyncio.get_running_loop().create_future()
            for attempt in range(tries):
                endpoint.send_batch(None, self._router, len(question), [question])
                try:
                    async with asyncio.timeout(FIRST_WAIT_S * 2**attempt):
                        return await asyncio.shield(self._answer)
                except TimeoutError:
                    continue
            raise MappingFailed("the router does not answer")

    def close(self) -> None:
        if self._endpoint is not None:
            self._endpoint.close()

    async def _opened(self) -> DatagramEndpoint:
        if self._endpoint is None:
            try:
                self._endpoint = await self._network.open_datagrams(self._local, 0)
            except ConnectFailed as exc:
                raise MappingFailed(f"no socket at {self._local}: {exc.reason}") from exc
            self._endpoint.register(0, 255, self._on_batch)
        return self._endpoint

    def _on_batch(self, buffer: memoryview, segment_bytes: int, _local: Address, remote: Address, _now: float) -> None:
        is_routers = (remote.host, remote.port) == (self._router.host, self._router.port)
        for at in range(0, len(buffer), segment_bytes):
            if not is_routers or self._answer is None or self._answer.done():
                self.ignored += 1
                continue
            try:
                answer = self._parse(bytes(buffer[at : at + segment_bytes]))
            except RemoteProtocolError:
                self.ignored += 1
                continue
            if self._fits(answer):
                self._answer.set_result(answer)
