"""Pings on the node's datagram sockets."""

import asyncio
from functools import partial

from peerkit.address import Address
from peerkit.capabilities import DATAGRAM_ENDPOINTS
from peerkit.errors import ConnectFailed
from peerkit.identity import PeerId
from peerkit.plugin import PluginContext
from peerkit.record import PeerRecord
from peerkit.transport import DatagramEndpoint
from peerkit.trust import Action, Question

from ..ping import NONCE_BYTES, PING, PONG, SALT_BYTES, Pings, Tickets
from ..settings import KademliaSettings
from .asking import PROTOCOL

TRIES = 2
WAIT_S = 1.0  # for each; RFC 6298's first timeout


class Pinging:
    """Both sides.  Does nothing where the node has no datagram socket, or the setting `udp_pings` is off."""

    def __init__(self, ctx: PluginContext[KademliaSettings]) -> None:
        self._ctx = ctx
        self._tickets = Tickets(ctx.derive_secret(b"peerkit kademlia ping"))
        self._pings = Pings()
        self._waiting: dict[bytes, asyncio.Future[None]] = {}
        self._is_open = False
        self._endpoints = ctx.require(DATAGRAM_ENDPOINTS)
        if ctx.settings.udp_pings:
            self._endpoints.watch(self._opened)

    def grant(self, asker: PeerId) -> bytes:
        """What lets a peer ping us; empty where we take no pings."""
        clock = self._ctx.clock
        return self._tickets.grant(asker, self._ctx.rng.randbytes(SALT_BYTES), clock.wall()) if self._is_open else b""

    def learn(self, peer: PeerId, grant: bytes) -> None:
        """A peer granted us pings, or none."""
        self._pings.learn(peer, grant, self._ctx.clock.now())

    async def ping(self, record: PeerRecord) -> bool:
        """Whether the peer answered from one of its addresses.  `False` says nothing: ask it over a session."""
        address = next((a for a in record.addresses if a.scheme == "udp"), None)
        if address is None or not self._is_open:
            return False
        decision = self._ctx.check(Question(Action.DIAL, record.peer_id, address))
        if not decision.allow:
            return False
        for _ in range(TRIES):
            nonce = self._ctx.rng.randbytes(NONCE_BYTES)
            packet = self._pings.ask(record.peer_id, nonce, self._ctx.clock.now())
            if packet is None:
                return False
            answered = self._waiting[nonce] = asyncio.get_running_loop().create_future()
            try:
                endpoint = await self._endpoints.towards(address)
                endpoint.send_batch(None, address.without_peer(), len(packet), [packet])
                async with asyncio.timeout(WAIT_S):
                    await answered
                return True
            except (ConnectFailed, TimeoutError):
                continue
            finally:
                del self._waiting[nonce]
                self._pings.forget(nonce)
        return False

    def _opened(self, endpoint: DatagramEndpoint) -> None:
        self._is_open = True
        endpoint.register(PING, PONG, partial(self._receive, endpoint))

    def _receive(
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
            if packet[0] == PING:
                self._answer(endpoint, packet, local, remote)
                continue
            nonce = self._pings.answered(packet)
            waiting = self._waiting.get(nonce) if nonce is not None else None
            if waiting is not None and not waiting.done():
                waiting.set_result(None)

    def _answer(self, endpoint: DatagramEndpoint, packet: memoryview, local: Address, remote: Address) -> None:
        asked = self._tickets.answer(packet, self._ctx.clock.wall())
        if asked is None:
            return
        if self._ctx.check(Question(Action.LOOKUP, asked.asker, remote, PROTOCOL)).allow:
            endpoint.send_batch(local, remote, len(asked.pong), [asked.pong])
