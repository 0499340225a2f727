"""The node's datagram sockets as punches use them."""

from collections.abc import Callable, Sequence
from functools import partial
from weakref import WeakSet

from peerkit.address import Address
from peerkit.capabilities import DATAGRAM_ENDPOINTS
from peerkit.plugin import PluginContext
from peerkit.session import Session
from peerkit.transport import DatagramEndpoint

from ..probe import ANSWER, PROBE, id_of
from ..settings import HolepunchSettings

Receiver = Callable[[DatagramEndpoint, bytes, memoryview, Address, float], None]
"""`(endpoint, punch id, packet, remote, now)`."""


class ProbeSockets:
    """Listens on every endpoint that is no circuit.

    Args:
        receive: takes what looks like a probe.
    """

    def __init__(self, ctx: PluginContext[HolepunchSettings], receive: Receiver) -> None:
        self.endpoints = ctx.require(DATAGRAM_ENDPOINTS)
        self._receive = receive
        self._known: WeakSet[DatagramEndpoint] = WeakSet()
        self.endpoints.watch(self.listen)

    def listen(self, endpoint: DatagramEndpoint) -> None:
        """Idempotent: a socket of our own is adopted later, and told again then."""
        if endpoint.local.scheme == "relay" or endpoint in self._known:
            return
        self._known.add(endpoint)
        endpoint.register(PROBE, ANSWER, partial(self._received, endpoint))

    async def seen_by(self, coordinator: Session, remote: Address) -> DatagramEndpoint:
        """The one that can reach `remote` and whose mapping the coordinator sees.  Raises `ConnectFailed`."""
        for endpoint in self._known:
            ours, ip = endpoint.local, remote.ip
            is_of_family = ip is not None and ours.ip is not None and ours.ip.version == ip.version
            if (
                is_of_family
                and ours.port == coordinator.local.port
                and ours.host in (coordinator.local.host, "0.0.0.0", "::")
            ):
                return endpoint
        return await self.endpoints.towards(remote)

    async def open_more(self, like: DatagramEndpoint, count: int) -> Sequence[DatagramEndpoint]:
        """Sockets of our own: close them, or let the kernel adopt them.  Raises `ConnectFailed`, `LimitExceeded`."""
        opened = await like.open_more(count)
        for endpoint in opened:
            self.listen(endpoint)
        return opened

    def _received(
        self,
        endpoint: DatagramEndpoint,
        batch: memoryview,
        segment_bytes: int,
        local: Address,
        remote: Address,
        now: float,
    ) -> None:
        for at in range(0, len(batch), segment_bytes):
            packet = batch[at : at + segment_bytes]
            name = id_of(packet)
            if name is not None:
                self._receive(endpoint, name, packet, remote, now)
