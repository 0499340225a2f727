"""Datagrams between simulated hosts: lost, held back, doubled, too large for the path, as the network says.

A batch that was sent by one call arrives by one call, without what was lost, as a real socket with GRO gives it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from ..address import Address
from ..first_byte import FirstByteRegistry
from ..transport import Buffer, DatagramEndpoint, DatagramHandler, HopLimitedEndpoint

if TYPE_CHECKING:
    from .sim_host import SimHost

MAX_DATAGRAM_BYTES = 65_507  # of UDP over IPv4; the path decides what arrives


class SimDatagramEndpoint:
    """One bound datagram socket of a simulated host."""

    def __init__(self, host: SimHost, local: Address) -> None:
        self._host = host
        self._local = local
        self._registry = FirstByteRegistry()
        self.is_open = True

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
        if not self.is_open:
            return 0
        data = b"".join(buffers)
        if not data or not 0 < segment_bytes <= MAX_DATAGRAM_BYTES:
            return 0
        host, net = self._host, self._host.net
        segments = [data[at : at + segment_bytes] for at in range(0, len(data), segment_bytes)]
        source = Address(
            self._local.scheme, local.host if local else host.address_towards(remote.host), self._local.port
        )
        way = host.route("udp", source, remote)
        if way is None or net.is_blocked(host, way[0]):
            return len(segments)  # taken and never heard of again, as UDP is
        target, source = way
        due = net.arrives_at(host, target, len(data))
        mtu = net.path_mtu(host, target)
        together: list[bytes] = []
        for segment in segments:
            if len(segment) > mtu or net.is_lost(host, target):
                continue
            is_late = net.reorder and net.rng.random() < net.reorder
            if not is_late:
                together.append(segment)
            if is_late or (net.duplicate and net.rng.random() < net.duplicate):
                late = due + net.rng.random() * (due - net.loop.time())
                net.loop.call_at(late, target.receive_datagrams, source, remote, segment, len(segment))
        if together:
            size = len(together[0])
            net.loop.call_at(due, target.receive_datagrams, source, remote, b"".join(together), size)
        return len(segments)

    def send_short(self, remote: Address, data: Buffer, hop_limit: int) -> bool:
        """It opens every NAT of ours, and is gone before it comes to anybody's."""
        source = Address(self._local.scheme, self._host.address_towards(remote.host), self._local.port)
        return self.is_open and self._host.route("udp", source, remote) is not None

    async def open_more(self, n: int) -> Sequence[DatagramEndpoint]:
        return [self._host.bind_datagrams(self._local.host, 0) for _ in range(n)]

    def close(self) -> None:
        if self.is_open:
            self.is_open = False
            self._host.endpoints.pop((self._local.host, self._local.port), None)

    def receive(self, source: Address, target: Address, data: bytes, segment_bytes: int) -> None:
        now = self._host.net.loop.time()
        self._registry.dispatch(memoryview(data), segment_bytes, target, source, now)
        self._registry.turn_over()


if TYPE_CHECKING:
    _fits: type[DatagramEndpoint] = SimDatagramEndpoint
    _limits_hops: type[HopLimitedEndpoint] = SimDatagramEndpoint
