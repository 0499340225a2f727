"""The plugin object: asks peers, answers them, and tells the rest of the node what came of it."""

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING

from peerkit import protocol
from peerkit.address import Address
from peerkit.capabilities import (
    DATAGRAM_ENDPOINTS,
    DIAGNOSIS,
    OWN_ADDRESSES,
    REACHABILITY,
    Finding,
    NatFiltering,
    NatMapping,
)
from peerkit.errors import PeerkitError
from peerkit.plugin import PluginContext, hookimpl
from peerkit.protocol import ProtocolSpec
from peerkit.routine import Routine
from peerkit.session import Peer, Session
from peerkit.transport import DatagramEndpoint
from peerkit.trust import TrustPolicy

from .codec import decode_observe, decode_observed, encode_observe, encode_observed
from .contacts import Contacts
from .findings import findings
from .io.serving import PROTOCOL, Serving, seen_at
from .io.trying import Trying
from .io.url_asking import UrlAsking
from .outside_view import OutsideView
from .prefixes import network_of
from .settings import PublicAddressSettings
from .url_answers import UrlVerdict
from .verification import Candidate, Question, Verification

VERSION = "1.0.0"
ACCEPTS = ">=1.0,<2"
MAX_ASKED = 16  # members asked in one turn: more witnesses change nothing
FIRST_URL_S = 1.0  # the node listens first
MAX_STREAMS = 8  # dial-backs of one peer at once
_OBSERVE = encode_observe()


class PublicAddressPlugin:
    """Promises `Reachability` and `Diagnosis`."""

    def __init__(self, ctx: PluginContext[PublicAddressSettings]) -> None:
        settings = ctx.settings
        self._ctx = ctx
        self._own = ctx.require(OWN_ADDRESSES)
        self._view = OutsideView(settings.observation_age_s)
        self._verification = Verification(ctx.rng, settings.retry_s, settings.reverify_s)
        self._contacts = Contacts(ctx.clock)
        self._seen_hosts: set[str] = set()
        self._trying = Trying(ctx, self._contacts)
        self._urls = UrlAsking(ctx)
        self._url_verdict: UrlVerdict | None = None
        self._serving = Serving(ctx, self._dialable)
        ctx.require(DATAGRAM_ENDPOINTS).watch(self._opened)
        ctx.provide(REACHABILITY, self)
        ctx.provide(DIAGNOSIS, self)

    # -- hooks ---------------------------------------------------------------------------------------------------

    @hookimpl
    def peerkit_register_trust_policies(self) -> Sequence[TrustPolicy]:
        return [self._contacts]

    @hookimpl
    def peerkit_register_protocols(self) -> Sequence[ProtocolSpec]:
        return [
            ProtocolSpec(
                PROTOCOL,
                VERSION,
                ACCEPTS,
                on_peer=self._on_peer,
                on_request=self._answer,
                on_message=self._receive,
                on_stream=self._serving.serve if self._ctx.settings.dial_back else None,
                max_concurrent=MAX_STREAMS,
            )
        ]

    @hookimpl
    def peerkit_register_routines(self) -> Sequence[Routine]:
        settings = self._ctx.settings
        turn_s = min(30.0, settings.ask_again_s / 3)
        routines = [Routine("public_address.observe", self._observe, interval_s=turn_s, jitter=0.3)]
        if settings.dial_back:
            routines.append(
                Routine("public_address.verify", self._verify, interval_s=settings.verify_interval_s, jitter=0.3)
            )
        if settings.ipv4_by_url != "off":
            interval_s = settings.ipv4_url_interval_s
            routines.append(
                Routine("public_address.ask_urls", self._ask_urls, interval_s, jitter=0.3, first_after_s=FIRST_URL_S)
            )
        return routines

    # -- Reachability --------------------------------------------------------------------------------------------

    def observed(self, scheme: str) -> Sequence[Address]:
        return self._view.observed(scheme)

    @property
    def mapping(self) -> NatMapping:
        return self._view.mapping.mapping

    @property
    def filtering(self) -> NatFiltering:
        return self._verification.filtering

    @property
    def port_step(self) -> int:
        return self._view.mapping.port_step

    @property
    def is_public(self) -> bool | None:
        schemes = self._view.listening_schemes
        if not schemes:
            return False
        subjects = [s for s in self._view.subjects(self._own.addresses) if s.addresses[0].scheme in schemes]
        return self._verification.is_public(subjects, self._view.own_hosts)

    # -- Diagnosis -----------------------------------------------------------------------------------------------

    async def diagnose(self) -> Sequence[Finding]:
        self._look_at_ourselves()
        confirmed = self._view.confirmed(self._verification)
        return findings(self._view, self._verification, self.is_public, confirmed, self._url_verdict)

    # -- where we are seen ---------------------------------------------------------------------------------------

    def _opened(self, endpoint: DatagramEndpoint) -> None:
        """The first endpoint of a family is the one that everybody shares."""
        ip = endpoint.local.ip
        if ip is not None and endpoint.local.scheme != "relay":
            self._view.datagram_ports.setdefault(ip.version, endpoint.local.port)
            self._trying.watch(endpoint)

    def _look_at_ourselves(self) -> None:
        self._view.listens_on(self._own.bound)
        if self._view.interfaces_are(self._ctx.network.interface_addresses()):
            self._ctx.log.info("the network changed", interfaces=list(self._view.own_hosts))
            self._verification.forget()
            self._conclude()

    async def _on_peer(self, peer: Peer) -> None:
        self._look_at_ourselves()
        await self._ask(peer.session)

    async def _observe(self) -> None:
        """Ask members whose word is old."""
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
        self._conclude()

    async def _ask(self, session: Session) -> None:
        """Where does the other side see us?  What it says of a relay's circuit or of another socket than the shared one
        says nothing about us."""
        where = seen_at(session)
        if where is None:
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
        self._view.observations.add(session.peer_id, where, seen, is_datagram, self._ctx.clock.now())

    async def _ask_urls(self) -> None:
        self._url_verdict = verdict = await self._urls.ask()
        self._view.url_host = verdict.host
        self._ctx.log.debug("asked web pages for our IPv4", host=verdict.host, reason=verdict.reason)

    def _answer(self, request: protocol.Request) -> bytes:
        decode_observe(request.payload)
        return encode_observed(seen_at(request.session))

    # -- whether we are reached ----------------------------------------------------------------------------------

    async def _verify(self) -> None:
        """One round of dial-backs, where something is undecided or was decided long ago."""
        peers = [
            Candidate(peer.id, network_of(peer.id, where))
            for peer in self._ctx.pool.peers()
            if PROTOCOL in peer.protocols and (where := seen_at(peer.session)) is not None
        ]
        subjects = self._view.subjects(self._own.addresses)
        questions = self._verification.next_questions(subjects, peers, self._ctx.clock.now())
        async with asyncio.TaskGroup() as group:
            for question in questions:
                group.create_task(self._try(question))
        self._conclude()

    async def _try(self, question: Question) -> None:
        peer = self._ctx.pool.get(question.peer)
        if peer is None:
            return
        tried = await self._trying.try_address(peer, question.address, question.origin)
        self._ctx.log.debug("dial-back", server=peer.id.short, address=str(question.address), arrived=tried.arrived)
        self._verification.answered(question, tried.arrived, tried.reason, self._ctx.clock.now())

    def _conclude(self) -> None:
        """Put into our record what is confirmed, and say whether strangers reach us."""
        hosts = {address.host for address in self._view.observed("udp")}
        if self._seen_hosts and hosts - self._seen_hosts:
            self._contacts.forget()
        self._seen_hosts = hosts
        confirmed = self._view.confirmed(self._verification)
        self._own.advertise(self._ctx.name, confirmed)
        self._own.judge(self.is_public if self._view.listening_schemes else None)

    def _dialable(self) -> set[str]:
        """What we can send to for others: the streams that we speak, and datagrams where there is a socket."""
        streams = {address.scheme for address in self._own.bound if address.scheme not in ("udp", "relay")}
        return streams | ({"udp"} if self._view.datagram_ports else set())

    def _receive(self, request: protocol.Request) -> None:
        self._trying.message(request.session, request.payload)


if TYPE_CHECKING:
    from peerkit.capabilities import Diagnosis, Reachability

    _fits: type[Reachability] = PublicAddressPlugin
    _diagnoses: type[Diagnosis] = PublicAddressPlugin
