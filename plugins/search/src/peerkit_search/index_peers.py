"""The index peers of the network, as publisher and searcher use them: found by term, asked over transient sessions."""

import asyncio
from collections.abc import Sequence

from peerkit.capabilities import DIALER, PEER_ROUTING
from peerkit.clock import Clock
from peerkit.errors import PeerkitError, RemoteProtocolError
from peerkit.plugin import PluginContext
from peerkit.record import PeerRecord

from . import codec
from .placement import Placement, position
from .settings import SearchSettings

PROTOCOL = "peerkit/search"
VERSION = "1.0.0"
ACCEPTS = ">=1.0,<2"
LOOKUP_PEERS = 20  # Kademlia's k
DIAL_TIMEOUT_S = 3.0
REQUEST_TIMEOUT_S = 5.0
STORE_TIMEOUT_S = 15.0  # some 10 ms of signature checks there, behind those of all others who publish now
JOIN_WAIT_S = 6.0  # a node that just started may know nobody yet: a search waits so long for its first peers
_JOIN_POLL_S = 0.1


class IndexPeers:
    """Args:
    ctx: the plugin's context.
    """

    def __init__(self, ctx: PluginContext[SearchSettings]) -> None:
        self._routing = ctx.require(PEER_ROUTING)
        self._dialer = ctx.require(DIALER)
        self._clock: Clock = ctx.clock
        self._own = ctx.peer_id
        self._placement = Placement(position)
        self._started_at = ctx.clock.now()

    def known(self, key: bytes) -> Sequence[PeerRecord]:
        """What the cache says; empty when it says nothing."""
        return self._placement.find(key, self._clock.now()) or ()

    async def nearest(self, key: bytes) -> Sequence[PeerRecord]:
        """Those that speak search among the 20 peers nearest to `key`, nearest first."""
        cached = self._placement.find(key, self._clock.now())
        if cached is not None:
            return cached
        lookup = await self._routing.closest_peers(key, LOOKUP_PEERS)
        records = [record for record in lookup.closest if PROTOCOL in record.protocols and record.peer_id != self._own]
        self._placement.learn(key, records, len(lookup.closest) < LOOKUP_PEERS, self._clock.now())
        return records

    async def everyone(self) -> Sequence[PeerRecord] | None:
        """All peers that speak search, in a network of fewer than 20; `None` in a larger one."""
        records = await self.nearest(bytes(32))
        return records if self._placement.is_small(self._clock.now()) else None

    def peer_came(self) -> None:
        """A peer joined the pool: the network is larger than we knew."""
        self._placement.forget_small()

    async def nearest_when_joined(self, key: bytes) -> Sequence[PeerRecord]:
        """As `nearest`, but a node that started a moment ago waits for its first peers."""
        while True:
            records = await self.nearest(key)
            if records or self._clock.now() >= self._started_at + JOIN_WAIT_S:
                return records
            await asyncio.sleep(_JOIN_POLL_S)

    async def ask(self, target: PeerRecord, request: codec.Request) -> codec.Answer:
        """Raises `PeerkitError` when there is no usable answer."""
        payload = codec.encode_request(request)
        timeout_s = STORE_TIMEOUT_S if isinstance(request, codec.StoreRequest) else REQUEST_TIMEOUT_S
        async with self._dialer.transient(target, DIAL_TIMEOUT_S) as session:
            answer = codec.decode_answer(await session.request(PROTOCOL, payload, timeout_s))
        fits = {
            codec.StoreRequest: codec.StoreAnswer,
            codec.QueryRequest: codec.QueryAnswer,
            codec.CountRequest: codec.CountAnswer,
        }[type(request)]
        if not isinstance(answer, fits):
            raise RemoteProtocolError(f"{target.peer_id.short} answered something else than was asked")
        return answer

    async def try_ask(self, target: PeerRecord, request: codec.Request) -> codec.Answer | None:
        """`None` when there is no usable answer."""
        try:
            return await self.ask(target, request)
        except PeerkitError:
            return None
