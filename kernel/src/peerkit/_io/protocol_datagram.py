"""A datagram endpoint on `asyncio.DatagramProtocol`, one datagram a call: for loops that lack `add_reader` and systems
that lack `recvmsg` (Windows).  A wildcard socket cannot tell there at which address it was asked."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from ..address import Address
from ..clock import Clock
from ..errors import LimitExceeded
from ..first_byte import FirstByteRegistry
from ..transport import Buffer, DatagramEndpoint, DatagramHandler
from .segments import MAX_DATAGRAM_BYTES, segments_of
from .socket_address import from_sockaddr, to_sockaddr

MAX_MORE_SOCKETS = 512


class ProtocolEndpoint(asyncio.DatagramProtocol):
    """See `peerkit.transport.DatagramEndpoint`."""

    def __init__(self, local: Address, clock: Clock) -> None:
        self._local = local
        self._clock = clock
        self._registry = FirstByteRegistry()
        self._transport: asyncio.DatagramTransport | None = None
        self._is_full = False

    @classmethod
    async def start(cls, loop: asyncio.AbstractEventLoop, sock: socket.socket, clock: Clock) -> ProtocolEndpoint:
        """Take over a bound socket."""
        local = from_sockaddr("udp", sock.getsockname())
        try:
            _, endpoint = await loop.create_datagram_endpoint(lambda: cls(local, clock), sock=sock)
        except BaseException:
            sock.close()
            raise
        return endpoint

    @property
    def local(self) -> Address:
        return self._local

    @property
    def max_datagram_bytes(self) -> int:
        return MAX_DATAGRAM_BYTES

    def register(
        self, first: int, last: int, handler: DatagramHandler, turn_over: Callable[[], None] | None = None
    ) -> None:
        self._registry.register(first, last, handler, turn_over)

    def send_batch(self, local: Address | None, remote: Address, segment_bytes: int, buffers: Sequence[Buffer]) -> int:
        transport = self._transport
        if transport is None or transport.is_closing() or not 0 < segment_bytes <= MAX_DATAGRAM_BYTES:
            return 0
        _, target = to_sockaddr(remote.host, remote.port, str(remote))
        taken = 0
        for segment in segments_of(buffers, segment_bytes):
            if self._is_full:
                break
            transport.sendto(bytes(segment), target)
            taken += 1
        return taken

    async def open_more(self, n: int) -> Sequence[DatagramEndpoint]:
        from .datagram import open_datagrams  # it imports this module

        if n > MAX_MORE_SOCKETS:
            raise LimitExceeded(f"{n} sockets are too many; at most {MAX_MORE_SOCKETS} can be opened at once")
        return [await open_datagrams(self._local.host, 0, self._clock) for _ in range(n)]

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()

    # asyncio.DatagramProtocol

    def connection_made(self, transport: Any) -> None:
        self._transport = transport

    def pause_writing(self) -> None:
        self._is_full = True  # asyncio queues without a bound what the system does not take; we drop

    def resume_writing(self) -> None:
        self._is_full = False

    def datagram_received(self, data: bytes, addr: tuple[Any, ...]) -> None:
        remote = from_sockaddr("udp", addr)
        self._registry.dispatch(memoryview(data), len(data), self._local, remote, self._clock.now())
        self._registry.turn_over()

    def error_received(self, exc: Exception) -> None:
        """An ICMP error of an earlier datagram: lost, as datagrams are."""


if TYPE_CHECKING:
    _fits: type[DatagramEndpoint] = ProtocolEndpoint
