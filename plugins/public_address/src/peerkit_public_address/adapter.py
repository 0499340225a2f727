"""The plugin object: asks peers, answers them, and tells others of the node what came of it."""

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING

from peerkit import protocol
from peerkit.address import Address
from peerkit.capabilities import DATAGRAM_ENDPOINTS, OWN_ADDRESSES, REACHABILITY, NatFiltering, NatMapping
from peerkit.errors import PeerkitError
from peerkit.plugin import PluginContext, hookimpl
from peerkit.protocol import ProtocolSpec
from peerkit.routine import Routine
from peerkit.session import Peer, Session
from peerkit.transport import DatagramEndpoint, PathKind

from .codec import decode_observe, decode_observed, encode_observe, encode_observed
from .outside_view import OutsideView
from .settings import PublicAddressSettings

PROTOCOL = "peerkit/public-address"
VERSION = "1.0.0"
ACCEPTS = ">=1.0,<2"
MAX_ASKED = 16  # members asked in one turn: more witnesses change nothing
_OBSERVE = encode_observe()


class PublicAddressPlugin:
    """Promises `Reachability`."""

    def __init__(self, ctx: PluginContext[PublicAddressSettings]) -> None:
        self._ctx = ctx
        self._own = ctx.require(OWN_ADDRESSES)
        self._view = OutsideView(ctx.settings.observation_age_s)
        ctx.require(DATAGRAM_ENDPOINTS).watch(self._opened)
        ctx.provide(REACHABILITY, self)

    # -- hooks ---------------------------------------------------------------------------------------------------

    @hookimpl
    def peerkit_register_protocols(self) -> Sequence[ProtocolSpec]:
        return [ProtocolSpec(PROTOCOL, VERSION, ACCEPTS, on_peer=self._on_peer, on_request=self._answer)]

    @hookimpl
    def peerkit_register_routines(self) -> Sequence[Routine]:
        turn_s = min(30.0, self._ctx.settings.ask_again_s / 3)
        return [Routine("public_address.observe", self._observe, interval_s=turn_s, jitter=0.3)]

    # -- Reachability --------------------------------------------------------------------------------------------

    def observed(self, scheme: str) -> Sequence[Address]:
        return self._view.observed(scheme)

    @property
    def mapping(self) -> NatMapping:
        return self._view.mapping.mapping

    @property
    def filtering(self) -> NatFiltering:
        return NatFiltering.UNKNOWN

    @property
    def port_step(self) -> int:
        return self._view.mapping.port_step

    @property
    def is_public(self) -> bool | None:
        return None

    # -- asking --------------------------------------------------------------------------------------------------

    def _opened(self, endpoint: DatagramEndpoint) -> None:
        """The first endpoint of a family is the one that everybody shares."""
        ip = endpoint.local.ip
        if ip is not None and endpoint.local.scheme != "relay":
            self._view.datagram_ports.setdefault(ip.version, endpoint.local.port)

    def _look_at_ourselves(self) -> None:
        self._view.listens_on(self._own.bound)
        if self._view.interfaces_are(self._ctx.network.interface_addresses()):
            self._ctx.log.info("the network changed", interfaces=list(self._view.own_hosts))

    async def _on_peer(self, peer: Peer) -> None:
        if not self._view.own_hosts:
            self._look_at_ourselves()
        await self._ask(peer.session)

    async def _observe(self) -> None:
        self._look_at_ourselves()
        now = self._ctx.clock.now()
        self._view.observations.expire(now)
        since = now - self._ctx.settings.ask_again_s
        due = [
            peer
            for peer in self._ctx.pool.peers()
            if PROTOCOL in peer.protocols and not self._view.observations.knows(peer.id, since)
        ]
        async with asyncio.TaskGroup() as group:
            for peer in self._ctx.rng.sample(due, min(len(due), MAX_ASKED)):
                group.create_task(self._ask(peer.session))

    async def _ask(self, session: Session) -> None:
        """Where does the other side see us?  What it says of a relay's circuit or of another socket than the shared one
        says nothing about us."""
        if PROTOCOL not in session.protocols or session.paths[0].kind is PathKind.RELAYED:
            return
        try:
            answer = await session.request(PROTOCOL, _OBSERVE, self._ctx.settings.request_timeout_s)
            seen = decode_observed(answer, session.transport)
        except PeerkitError as exc:
            self._ctx.log.debug("no observation", peer=session.peer_id.short, reason=str(exc))
            return
        if seen is None or seen.ip is None:
            return
        is_datagram = session.transport == "udp"
        if is_datagram and session.local.port != self._view.datagram_ports.get(seen.ip.version):
            return
        self._view.observations.add(session.peer_id, session.remote, seen, is_datagram, self._ctx.clock.now())

    # -- answering -----------------------------------------------------------------------------------------------

    def _answer(self, request: protocol.Request) -> bytes:
        decode_observe(request.payload)
        session = request.session
        is_relayed = session.paths[0].kind is PathKind.RELAYED
        return encode_observed(None if is_relayed else session.remote)


if TYPE_CHECKING:
    from peerkit.capabilities import Reachability

    _fits: type[Reachability] = PublicAddressPlugin
